"""A log small enough to reason about: three segments, three offers and "no action", the best offer of each known."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import msgspec
import numpy as np
import sqlalchemy as sa

from bandit_nba.catalogue import Action, Catalogue, Group
from bandit_nba.decide.policy import FeatureSettings, Learning, Policy
from bandit_nba.decide.record import DecisionRecord
from bandit_nba.learn.definition import OutcomeReward, RewardDefinition
from bandit_nba.learn.learner import Learner
from bandit_nba.learn.log import LearningLog
from bandit_nba.learn.manifest import StoredModel
from bandit_nba.store.database import Database, sqlite_url
from bandit_nba.store.learner.learning import LearningStore
from bandit_nba.store.log import decisions as log
from bandit_nba.store.log import outcomes
from bandit_nba.store.log.outcomes import Outcome
from bandit_nba.store.registry import definitions, models
from bandit_nba.store.tables import decisions

SEGMENTS = ("young", "family", "senior")
BEST = {"young": "data", "family": "tv", "senior": "care"}
WAIT_S = 60.0
START_S = 1_000.0

CATALOGUE = Catalogue(
    facts={"segment": "category", "age": "number"},
    groups={"offers": Group(title="Offers")},
    actions=tuple(Action(id=name, kind="offer", group="offers") for name in BEST.values()),
)
POLICY = Policy(features=FeatureSettings(customer=("segment", "age"), bits=14, numbers={}), learning=Learning())
REWARDS = RewardDefinition(
    wait="PT60S",
    outcomes={"accept": OutcomeReward(reward=1.0), "buy": OutcomeReward(reward=0.5, attribution="each")},
)


class Clock:
    """A clock that stands still until it is set."""

    def __init__(self, now_s: float = START_S) -> None:
        self.now_s = now_s

    def __call__(self) -> float:
        return self.now_s


@contextmanager
def opened(folder: Path) -> Iterator[Database]:
    """A database that knows the catalogue."""
    database = Database.open(sqlite_url(folder / "nba.db"))
    try:
        with database.write() as connection:
            put_catalogue(connection, CATALOGUE)
        yield database
    finally:
        database.close()


def put_catalogue(connection: sa.Connection, catalogue: Catalogue) -> None:
    content = msgspec.json.encode(catalogue, order="sorted")
    definitions.put(connection, "catalogue", catalogue.version, content, now_s=START_S)


def record(
    number: int,
    *,
    arm: str = "data",
    segment: str = "young",
    customer: str = "",
    decided_at: float | None = None,
    catalogue: Catalogue = CATALOGUE,
    facts: bytes | None = None,
    **options: object,
) -> DecisionRecord:
    """Decision d<number>, made at 1000 + number / 100 seconds unless said otherwise."""
    at = START_S + number / 100.0 if decided_at is None else decided_at
    columns = {
        "id": f"d{number:05d}",
        "customer": customer,
        "channel": "web",
        "decided_at": at,
        "valid_until": at + 30.0,
        "matures_at": at + WAIT_S,
        "activate_by": None,
        "kind": "normal",
        "arm": arm,
        "propensity": 0.25,
        "arms": b"[]",
        "probabilities": b"[]",
        "expected_rewards": b"[]",
        "removed": b"{}",
        "catalogue_version": catalogue.version,
        "policy_version": "p",
        "feature_version": "f",
        "reward_version": "r",
        "model_version": "none",
        "salt_id": "s",
        "payload_sha256": bytes(32),
        "answer": b"{}",
        "facts": facts if facts is not None else msgspec.json.encode({"segment": segment, "age": 30.0 + number % 7}),
    }
    return DecisionRecord(**{**columns, **options})  # type: ignore[arg-type]  # options differ from test to test


def outcome(identifier: str, kind: str, *, decision: str | None = None, customer: str | None = None) -> Outcome:
    return Outcome(id=identifier, type=kind, payload_sha256=bytes(32), decision=decision, customer=customer)


def decide(database: Database, records: Sequence[DecisionRecord]) -> None:
    with database.write() as connection:
        log.insert(connection, records)


def receive(database: Database, at: float, *received: Outcome) -> None:
    with database.write() as connection:
        outcomes.insert(connection, received, now_s=at)


def play(database: Database, size: int, *, seed: int, first: int = 0, skip: int = 0) -> None:
    """Uniform decisions; the segment's best offer is accepted with probability .6, another with .1.

    skip: leave out so many that an earlier call with the same seed has stored.
    """
    rng = np.random.default_rng(seed)
    arms = ["no_action", *BEST.values()]
    records, accepted = [], []
    for number in range(first, first + size):
        segment, arm = SEGMENTS[rng.integers(3)], arms[rng.integers(4)]
        records.append(record(number, arm=arm, segment=segment, customer=f"c{rng.integers(50)}"))
        chance = 0.0 if arm == "no_action" else 0.6 if BEST[segment] == arm else 0.1
        if rng.random() < chance:
            accepted.append(outcome(f"o{number}", "accept", decision=f"d{number:05d}"))
    decide(database, records[skip:])
    receive(database, START_S + 30.0, *accepted)


def learner(
    database: Database,
    clock: Clock,
    *,
    holder: str = "a",
    log: LearningLog | None = None,
    policy: Policy = POLICY,
    rewards: RewardDefinition = REWARDS,
    catalogue: Catalogue = CATALOGUE,
    publish_every_s: float = 0.0,
    batch: int = 500,
    enough_pending: int = 3_000,
) -> Learner:
    return Learner(
        log or LearningStore(database, clock=clock, holder=holder),
        policy=policy,
        rewards=rewards,
        schema=catalogue.facts,
        clock=clock,
        publish_every_s=publish_every_s,
        batch=batch,
        enough_pending=enough_pending,
    )


def newest(database: Database) -> StoredModel | None:
    with database.read() as connection:
        version = models.newest(connection)
        return None if version is None else models.read(connection, version)


def marks(database: Database) -> dict[str, str | None]:
    """What stands in `learned_in` of each decision."""
    with database.read() as connection:
        return {row.id: row.learned_in for row in connection.execute(sa.select(decisions.c.id, decisions.c.learned_in))}
