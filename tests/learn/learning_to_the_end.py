"""A learner that learns all there is, and what an undisturbed one makes of the same log."""

from pathlib import Path

from bandit_nba.learn.learner import Learner
from bandit_nba.learn.manifest import Manifest
from bandit_nba.store.database import Database
from bandit_nba.store.registry import models
from tests.learn import tiny_world as world
from tests.learn.tiny_world import Clock

LATE_S = 10_000.0


def run(learner: Learner, *, steps: int = 50) -> Manifest:
    """Learn until nothing is left, and publish it all."""
    for _ in range(steps):
        if learner.step().examples == 0:
            break
    learner.finish()
    newest = world.newest(learner._log._database)  # type: ignore[attr-defined]  # any log of these tests has one
    assert newest is not None
    return newest.manifest


def in_one_go(folder: Path, **options: object) -> Manifest:
    """What an undisturbed learner makes of 1,200 decisions."""
    with world.opened(folder) as database:
        world.play(database, 1_200, seed=3)
        return run(world.learner(database, Clock(LATE_S), batch=5_000, **options))  # type: ignore[arg-type]


def listing(database: Database) -> list[models.ModelRow]:
    with database.read() as connection:
        return models.listing(connection)
