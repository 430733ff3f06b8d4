"""A workspace with two offers and two kinds of customers, and decisions of any policy with answers of known chance."""

import hashlib
import re
from pathlib import Path

import numpy as np

from bandit_nba.decide.batch import Requests
from bandit_nba.decide.columns import Coded, Facts
from bandit_nba.decide.engine import Engine
from bandit_nba.decide.record import records
from bandit_nba.decide.scoring import NoModel, Scorer
from bandit_nba.learn.join import matures_at
from bandit_nba.online.definitions import register
from bandit_nba.store.database import Database
from bandit_nba.store.log import decisions, outcomes
from bandit_nba.store.log.outcomes import Outcome
from bandit_nba.workspace import Workspace, init_workspace, open_workspace

START_S = 1_700_000_000.0
WAIT_S = 10.0
# response rate by segment for "no action", "alpha" and "beta"
RATES = {"young": (0.02, 0.50, 0.05), "old": (0.02, 0.05, 0.50)}

CATALOGUE = """
[facts]
segment = "category"
barred = "boolean"

[groups.offers]
applicability = 'customer.barred == false'

[[actions]]
id = "alpha"
kind = "offer"
group = "offers"
cost = 0.5

[[actions]]
id = "beta"
kind = "offer"
group = "offers"
cost = 0.5
"""
REWARDS = f"""
wait = "PT{WAIT_S:.0f}S"
[outcomes.accept]
reward = 1.0
[outcomes.complaint]
reward = 0.0
"""
SERVICE = """
[channels.web]
valid_for = "PT5M"
activation = "immediate"
"""
FEATURES = """
[features]
customer = ["segment"]
channel = false
interactions = ["UA"]
"""
UNIFORM = f'name = "uniform"\n{FEATURES}\n[exploration]\nkind = "uniform"\n'
SHARP = f'name = "sharp"\n{FEATURES}\n[exploration]\nkind = "epsilon_greedy"\nepsilon = 0.0\nfloor = 0.1\n'


def make(directory: Path, policy: str = UNIFORM) -> Workspace:
    """The workspace with this policy file and always the same salt, so that a test draws the same every time."""
    init_workspace(directory)
    secrets = directory / "secrets" / "salts.toml"
    secrets.write_text(re.sub(r"[0-9a-f]{64}", "5a17" * 16, secrets.read_text()))
    files = {"catalogue": CATALOGUE, "rewards": REWARDS, "service": SERVICE, "policy": policy}
    for name, text in files.items():
        (directory / f"{name}.toml").write_text(text)
    return open_workspace(directory)


def play(
    workspace: Workspace, n: int, *, start_s: float, seed: int, scorer: Scorer | None = None, turned: bool = False
) -> None:
    """n decisions of the workspace's policy, one a second, with their answers; turned: customers answer the other way.

    Every twentieth customer is barred, so that only no action is left; one in thirty offers of beta brings a complaint.
    """
    rng = np.random.default_rng(seed)
    scorer = scorer or NoModel()
    segment = rng.integers(2, size=n)
    barred = rng.random(n) < 0.05
    schema = workspace.catalogue.facts
    rows = [{"segment": ("young", "old")[s], "barred": bool(b)} for s, b in zip(segment, barred, strict=True)]
    requests = Requests(
        ids=[f"{start_s:.0f}-{i:06d}" for i in range(n)],
        customers=[f"c{i}" for i in rng.integers(n, size=n)],
        channels=Coded(codes=np.zeros(n, dtype=np.int64), values=("web",)),
        decided_at=start_s + np.arange(n, dtype=np.float64),
        facts=Facts.from_rows(rows, schema),
        readable=np.ones(n, dtype=np.bool_),
    )
    engine = Engine(
        workspace.catalogue, workspace.rules, workspace.policy, workspace.salt, reward_unit=workspace.rewards.unit
    )
    made = engine.decide(requests, scorer)
    ripe = matures_at(workspace.rewards, requests.channels, requests.decided_at)
    log = records(
        made,
        versions=engine.versions(scorer, reward=workspace.rewards.version),
        valid_until=requests.decided_at + 300.0,
        matures_at=ripe,
        activate_by=np.full(n, np.nan),
        payload_sha256=[hashlib.sha256(i.encode()).digest() for i in requests.ids],
        answers=[b"{}"] * n,
    )
    kinds = 1 - segment if turned else segment
    rates = np.array([RATES["young"], RATES["old"]])[kinds, made.chosen]
    accepted = rng.random(n) < rates
    complained = (made.chosen == 2) & (rng.random(n) < 1 / 30)
    database = Database.open(workspace.database_url)
    register(workspace, database)
    try:
        with database.write() as connection:
            decisions.insert(connection, log)
        for i in np.flatnonzero(accepted | complained).tolist():
            answers = [
                Outcome(id=f"{kind}-{requests.ids[i]}", type=kind, payload_sha256=b"0" * 32, decision=requests.ids[i])
                for kind, happened in (("accept", accepted[i]), ("complaint", complained[i]))
                if happened
            ]
            with database.write() as connection:
                outcomes.insert(connection, answers, now_s=float(requests.decided_at[i]) + 1.0)
    finally:
        database.close()
