"""The other files of a Telco workspace as text: what an answer earns, how to decide, how to serve."""

from pathlib import Path

from bandit_nba.workspace import init_workspace
from simulators.telco_catalogue import telco_catalogue

WAIT = "PT3S"


def write_workspace(path: Path, *, wait: str = WAIT) -> None:
    """Write a new workspace of this world, fresh secrets included.

    Raises
    ------
    SettingsError
        If there is a workspace already, or the directory cannot be written.
    """
    init_workspace(path)
    for name, text in telco_workspace(wait=wait).items():
        (path / name).write_text(text, encoding="utf-8")


def telco_workspace(*, wait: str = WAIT) -> dict[str, str]:
    """File names and texts of a whole workspace; `wait` is ISO-8601, how long a decision waits for its outcome."""
    return {
        "catalogue.toml": telco_catalogue(),
        "rewards.toml": telco_rewards(wait=wait),
        "policy.toml": telco_policy(),
        "service.toml": telco_service(),
        "labels.toml": _LABELS,
    }


def telco_rewards(*, wait: str = WAIT) -> str:
    """The text of `rewards.toml`: an accepted offer is one response; a rejected one is known and earns nothing."""
    return f"""\
# What one decision earns: 1 if the customer accepts within the wait, else 0.
unit = "response"
range = [0.0, 1.0]
aggregation = "max"
default = 0.0
wait = "{wait}"                 # ISO-8601; seconds here so that a demonstration ends today

[outcomes.accept]
reward = 1.0

[outcomes.reject]
reward = 0.0
"""


def telco_policy() -> str:
    """The text of `policy.toml`."""
    return _POLICY


def telco_service() -> str:
    """The text of `service.toml`."""
    return _SERVICE


_LABELS = """\
# What facts are called where employees read why something was proposed; what is not named here goes by its own name.
[en.facts]
tenure_months = "months as a customer"
monthly_charges = "monthly bill in USD"
total_charges = "paid since the start in USD"
owned = "owns"

[de.facts]
tenure_months = "Kunde seit Monaten:"
monthly_charges = "Monatsrechnung in USD"
total_charges = "bisher gezahlt in USD"
contract = "Vertrag"
payment = "Zahlungsweise"
internet = "Internet"
owned = "besitzt"
"""

_POLICY = """\
# From a customer to a probability for each action.
# Chosen on the world's seeds 1 to 10; `python -m experiments.telco_tuning` prints what was compared.
name = "telco"

[features]
customer = [
    "senior", "partner", "dependents", "tenure_months", "monthly_charges", "total_charges",
    "contract", "payment", "paperless", "internet", "owned",
]
channel = false                 # one channel only: it would say nothing
interactions = ["UA"]           # customer x action: what lets the ranking differ between customers
bits = 18

[features.numbers.tenure_months]
scale = 72.0
bins = [6.0, 12.0, 24.0, 48.0]

[features.numbers.monthly_charges]
scale = 120.0
bins = [35.0, 60.0, 80.0, 95.0]

[features.numbers.total_charges]
scale = 8700.0
bins = [400.0, 1400.0, 3800.0]

# Small steps: few answers in a hundred are a yes, and a model that follows each of them changes its mind too often.
[learning.options]
ftrl = true
ftrl_alpha = 0.005
ftrl_beta = 1.0

# Close calls are tried often, so that the log can judge rivals that would have chosen otherwise.
[exploration]
kind = "squarecb"
scale = 1.0
exponent = 0.5
floor = 0.05
"""

_SERVICE = """\
# How the service runs.
host = "127.0.0.1"
port = 8080
replicas = 1
publish_every = "PT2S"
poll_every = "PT0.5S"

[channels.web]
valid_for = "PT30M"
activation = "immediate"
"""
