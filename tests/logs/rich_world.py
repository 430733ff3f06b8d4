"""A workspace with facts of every kind and values that a text format could spoil, and a log made by its policy."""

import hashlib
from pathlib import Path

import numpy as np

from bandit_nba.decide.batch import Requests
from bandit_nba.decide.columns import Coded, Facts
from bandit_nba.decide.engine import Engine
from bandit_nba.decide.record import records
from bandit_nba.decide.scoring import NoModel
from bandit_nba.learn.join import matures_at
from bandit_nba.online.definitions import register
from bandit_nba.online.learning_loop import LearningLoop
from bandit_nba.store.database import Database
from bandit_nba.store.log import decisions, outcomes
from bandit_nba.store.log.outcomes import Outcome
from bandit_nba.store.registry import models
from bandit_nba.workspace import Workspace, open_workspace
from tests.promote import world

START_S = 1_700_000_000.0
NOW_S = START_S + 10 * 86_400.0
SEGMENTS = ("One year", " lead and trail ", "017", "a|b:c", "Grüße", "x" * 150, 'q"uote', "_under", "\ttab")
CATALOGUE = """
[facts]
seg = "category"
age = "number"
owned = "set"
senior = "boolean"
note = "text"

[groups.offers]
applicability = 'customer.senior != true'

[[actions]]
id = "alpha"
kind = "offer"
group = "offers"
features = {price = 0.3, colour = "deep blue"}

[[actions]]
id = "beta"
kind = "offer"
group = "offers"
features = {price = 1.7}
"""
POLICY = """
name = "even"
[features]
customer = ["seg", "age", "owned", "senior", "note"]
channel = true
interactions = ["UA", "RA"]
[features.numbers.age]
scale = 37.0
bins = [30.0, 60.0]
[exploration]
kind = "uniform"
"""


def make(directory: Path) -> Workspace:
    world.make(directory)
    (directory / "catalogue.toml").write_text(CATALOGUE)
    (directory / "policy.toml").write_text(POLICY)
    return open_workspace(directory)


def facts(rng: np.random.Generator) -> dict[str, object]:
    """Every fact is missing now and then."""
    known: dict[str, object] = {
        "seg": SEGMENTS[int(rng.integers(len(SEGMENTS)))],
        "age": float(rng.normal(45.0, 17.0)),
        "owned": tuple(sorted({f"p {k}" for k in rng.integers(6, size=int(rng.integers(4))).tolist()})),
        "senior": bool(rng.random() < 0.2),
        "note": ("call me later", "later call", "no|thing: new", "")[int(rng.integers(4))],
    }
    return {name: value for name, value in known.items() if rng.random() < 0.85}


def play(workspace: Workspace, n: int, *, seed: int, start_s: float = START_S) -> None:
    rng = np.random.default_rng(seed)
    rows = [facts(rng) for _ in range(n)]
    requests = Requests(
        ids=[f"{start_s:.0f}-{i:05d}" for i in range(n)],
        customers=[f"c{i}" for i in rng.integers(n // 2, size=n)],
        channels=Coded(codes=np.zeros(n, dtype=np.int64), values=("web",)),
        decided_at=start_s + np.cumsum(rng.random(n)),
        facts=Facts.from_rows(rows, workspace.catalogue.facts),
        readable=np.ones(n, dtype=np.bool_),
    )
    engine = Engine(
        workspace.catalogue, workspace.rules, workspace.policy, workspace.salt, reward_unit=workspace.rewards.unit
    )
    made = engine.decide(requests, NoModel())
    log = records(
        made,
        versions=engine.versions(NoModel(), reward=workspace.rewards.version),
        valid_until=requests.decided_at + 300.0,
        matures_at=matures_at(workspace.rewards, requests.channels, requests.decided_at),
        activate_by=np.full(n, np.nan),
        payload_sha256=[hashlib.sha256(i.encode()).digest() for i in requests.ids],
        answers=[b"{}"] * n,
    )
    chosen = made.chosen.tolist()
    happy = [
        rng.random() < (0.5 if k and (row.get("seg") in SEGMENTS[:4]) == (k == 1) else 0.1)
        for k, row in zip(chosen, rows, strict=True)
    ]
    database = Database.open(workspace.database_url)
    register(workspace, database)
    try:
        with database.write() as connection:
            decisions.insert(connection, log)
            for i in np.flatnonzero(happy).tolist():
                one = Outcome(
                    id=f"o{requests.ids[i]}", type="accept", payload_sha256=b"0" * 32, decision=requests.ids[i]
                )
                outcomes.insert(connection, [one], now_s=float(requests.decided_at[i]) + 1.0)
    finally:
        database.close()


def learn(directory: Path, *, now_s: float = NOW_S) -> models.StoredModel:
    """Learn all that has matured; the newest model."""
    workspace = open_workspace(directory)
    database = Database.open(workspace.database_url)
    try:
        loop = LearningLoop.open(workspace, database, clock=lambda: now_s)
        loop.step()
        assert loop.stop()
        with database.read() as connection:
            return models.read(connection, models.newest(connection))
    finally:
        database.close()
