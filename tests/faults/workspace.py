"""The workspace that the fault runner drives: waits of seconds, every way of answering, rewards that add up."""

from pathlib import Path

from bandit_nba.workspace import init_workspace

WAIT_S = 1.5
ACTIVATE_WITHIN_S = 1.0
REWARDS = """
unit = "money"
range = [-2.0, 20.0]
aggregation = "sum"
default = 0.125
wait = "PT1.5S"
[outcomes.click]
reward = 0.25
[outcomes.accept]
reward = 1.0
amount_weight = 0.5
[outcomes.purchase]
reward = 0.5
amount_weight = 0.125
attribution = "each"
[outcomes.reject]
reward = -0.5
"""
SERVICE = """
database = "{database}"
publish_every = "PT0.4S"
poll_every = "PT0.2S"
[channels.web]
deadline = "PT4S"
[channels.email]
direction = "outbound"
deadline = "PT4S"
unwritable = "no_action"
[channels.call_center]
deadline = "PT4S"
activation = "deferred"
activate_within = "PT1S"
"""


def make_workspace(directory: Path, *, database: str = "") -> Path:
    """A workspace with fresh secrets; `database`: the URL of a store, empty for a file of its own."""
    init_workspace(directory)
    (directory / "rewards.toml").write_text(REWARDS)
    (directory / "service.toml").write_text(SERVICE.format(database=database))
    return directory
