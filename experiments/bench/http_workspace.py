"""The workspace that the HTTP benchmark serves: 20 arms, 12 stored and 4 request facts, rules, contact rules, a key."""

from pathlib import Path

import numpy as np

from bandit_nba.access.grant import Grant
from bandit_nba.store import keys
from bandit_nba.store.database import Database
from bandit_nba.workspace import init_workspace, open_workspace

ARMS, CATEGORIES, NUMBERS, REQUEST = 19, 8, 4, 4  # and "no action": 20 arms
WORDS = 8
CUSTOMERS = 5_000


def write(path: Path, *, replicas: int = 1) -> str:
    """Write it, and return a key for it."""
    init_workspace(path)
    service = _SERVICE.replace("replicas = 1", f"replicas = {replicas}")
    for name, text in {"catalogue.toml": _catalogue(), "policy.toml": _policy(), "service.toml": service}.items():
        (path / name).write_text(text, encoding="utf-8")
    (path / "rewards.toml").write_text(_REWARDS, encoding="utf-8")
    (path / "labels.toml").write_text("", encoding="utf-8")
    database = Database.open(open_workspace(path).database_url)
    try:
        with database.write() as connection:
            rights = Grant("", "bench", frozenset({"decide", "outcome", "customers", "report"}))
            return keys.add(connection, rights, actor="bench", now_s=0.0).text
    finally:
        database.close()


def profiles(*, seed: int) -> list[dict[str, object]]:
    """Profiles of all customers, as the API takes them."""
    rng = np.random.default_rng(seed)
    words = rng.integers(WORDS, size=(CUSTOMERS, CATEGORIES))
    numbers = rng.random((CUSTOMERS, NUMBERS)).round(4)
    return [
        {
            "customerId": f"customer-{i}",
            "facts": {f"c{j}": f"w{words[i, j]}" for j in range(CATEGORIES)}
            | {f"n{j}": float(numbers[i, j]) for j in range(NUMBERS)},
        }
        for i in range(CUSTOMERS)
    ]


def _catalogue() -> str:
    facts = [f'c{j} = "category"' for j in range(CATEGORIES)] + [f'n{j} = "number"' for j in range(NUMBERS)]
    facts += [f'r{j} = "category"' for j in range(REQUEST // 2)]
    facts += [f'r{j} = "number"' for j in range(REQUEST // 2, REQUEST)]
    actions = []
    for i in range(ARMS):
        rule = f"\neligibility = '''customer.n{i % NUMBERS} >= 0.{i % 2}'''" if i < 5 else ""
        actions.append(f'[[actions]]\nid = "a{i}"\nkind = "offer"\ngroup = "g{i % 3}"\nvalue = 1.0{rule}\n')
    lines = ["[facts]", *facts, "", *(f'[groups.g{i}]\ntitle = "Group {i}"\n' for i in range(3))]
    return "\n".join([*lines, _CONTACT_RULES, *actions])


def _policy() -> str:
    customer = [f"c{j}" for j in range(CATEGORIES)] + [f"n{j}" for j in range(NUMBERS)]
    request = [f"r{j}" for j in range(REQUEST)]
    return f"""\
name = "bench"

[features]
customer = {customer!r}
request = {request!r}
interactions = ["UA", "RA"]
bits = 18

[exploration]
kind = "squarecb"
scale = 10.0
exponent = 0.5
floor = 0.05
""".replace("'", '"')


_CONTACT_RULES = """\
[[contact_rules]]
kind = "cap"
scope = "action"
max = 50
within = "P7D"

[[contact_rules]]
kind = "cap"
scope = "all"
max = 1000
within = "P1D"
"""
_REWARDS = """\
unit = "response"
range = [0.0, 1.0]
aggregation = "max"
default = 0.0
wait = "PT1S"

[outcomes.accept]
reward = 1.0
"""
_SERVICE = """\
host = "127.0.0.1"
port = 8080
replicas = 1
publish_every = "PT5S"
poll_every = "PT0.5S"

[channels.web]
deadline = "PT5S"
"""
