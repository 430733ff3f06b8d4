"""Decisions among actions that came with their requests: learned as the catalogue's are, and counted by arm."""

from pathlib import Path

import numpy as np
import pytest

from bandit_nba.catalogue import Action, Catalogue
from bandit_nba.decide import inline
from bandit_nba.decide.inline import InlineAction
from bandit_nba.learn.guard import verified
from bandit_nba.store.database import Database
from bandit_nba.store.tables import QUARANTINED
from tests.learn import tiny_world as world
from tests.learn.tiny_world import Clock

LATE_S = 5_000.0
SIZE = 400
FEATURES = {"data": {"depth": 1.0}, "tv": {"depth": 2.0}, "care": {"tone": "kind"}}
BROUGHT = tuple(InlineAction(id=name, group="offers", features=features) for name, features in FEATURES.items())
DECLARED = Catalogue(
    facts=world.CATALOGUE.facts,
    groups=world.CATALOGUE.groups,
    actions=tuple(
        Action(id=name, kind="offer", group="offers", features=features) for name, features in FEATURES.items()
    ),
)


def decide(database: Database, *, brought: set[int]) -> None:
    """The same decisions and outcomes, each by its number among inline actions or the catalogue's."""
    content, rng = inline.encoded(BROUGHT), np.random.default_rng(0)
    names = list(FEATURES)
    arms = [names[k] for k in rng.integers(3, size=SIZE)]
    world.decide(
        database,
        [
            world.record(
                i,
                arm=arm,
                segment=world.SEGMENTS[i % 3],
                catalogue=DECLARED,
                inline_actions=content if i in brought else None,
            )
            for i, arm in enumerate(arms)
        ],
    )
    liked = [i for i, arm in enumerate(arms) if world.BEST[world.SEGMENTS[i % 3]] == arm]
    world.receive(
        database, world.START_S + 30.0, *(world.outcome(f"o{i}", "accept", decision=f"d{i:05d}") for i in liked)
    )


def test_the_same_rows_give_the_same_weights_wherever_their_actions_came_from(tmp_path: Path) -> None:
    """All from the catalogue, all inline, and mixed: equal weights, equal counts."""
    found = set()
    for n, brought in enumerate((set(), set(range(SIZE)), set(range(0, SIZE, 3)))):
        folder = tmp_path / str(n)
        folder.mkdir()
        with world.opened(folder) as database:
            with database.write() as connection:
                world.put_catalogue(connection, DECLARED)
            decide(database, brought=brought)
            learner = world.learner(database, Clock(LATE_S), catalogue=DECLARED, batch=97)
            while learner.step().examples:
                pass
            stored = world.newest(database)
            assert stored is not None
            counts = dict(stored.manifest.arm_examples)
            assert sum(counts.values()) == stored.manifest.examples_learned == SIZE
            assert verified(stored).arm_examples == counts
            found.add((stored.manifest.weights_sha256, tuple(sorted(counts.items()))))

    assert len(found) == 1


def test_counts_survive_a_new_learner_and_a_new_lineage(database: Database) -> None:
    with database.write() as connection:
        world.put_catalogue(connection, DECLARED)
    decide(database, brought={1, 2, 3})
    world.learner(database, Clock(LATE_S), catalogue=DECLARED, batch=100).step()
    first = world.newest(database)
    learner = world.learner(database, Clock(LATE_S), catalogue=DECLARED, batch=1_000)
    learner.step()
    second = world.newest(database)
    assert first is not None
    assert second is not None
    assert sum(first.manifest.arm_examples.values()) == 100
    assert sum(second.manifest.arm_examples.values()) == SIZE

    again = world.learner(
        database, Clock(LATE_S), catalogue=DECLARED, rewards=world.RewardDefinition(wait="PT60S", outcomes={}), batch=90
    )
    for _ in range(10):
        again.step()
    third = world.newest(database)
    assert third is not None
    assert third.manifest.parent == ""
    assert third.manifest.arm_examples == second.manifest.arm_examples


@pytest.mark.parametrize(
    "content",
    [b"", b"[", b"{}", b'[{"id":1}]', inline.encoded(BROUGHT[:1]), b'[{"id":"tv","features":{"arm":"x"}}]'],
    ids=["empty", "cut", "no list", "no name", "the arm is not among them", "a feature whose name is taken"],
)
def test_rows_whose_actions_cannot_be_read_are_set_aside(database: Database, content: bytes) -> None:
    with database.write() as connection:
        world.put_catalogue(connection, DECLARED)
    decide(database, brought=set())
    world.decide(database, [world.record(900, arm="tv", catalogue=DECLARED, inline_actions=content)])
    report = world.learner(database, Clock(LATE_S), catalogue=DECLARED).step()

    assert report.set_aside == ("d00900",)
    assert world.marks(database)["d00900"] == QUARANTINED
    assert report.examples == SIZE
