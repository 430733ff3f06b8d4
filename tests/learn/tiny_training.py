"""A bulk retraining on the tiny world."""

from collections.abc import Callable
from pathlib import Path

from bandit_nba.decide.policy import Policy
from bandit_nba.learn.ahead import Helper
from bandit_nba.learn.definition import RewardDefinition
from bandit_nba.learn.examples import ExampleMaker
from bandit_nba.learn.learner import lineage_of
from bandit_nba.learn.retrain import By, Retraining, Trained
from bandit_nba.store.database import Database
from bandit_nba.store.learner.learning import LearningStore
from bandit_nba.store.learner.training import FrozenIds
from tests.learn.tiny_world import CATALOGUE, POLICY, REWARDS, Clock

LATE_S = 10_000.0
CHUNK = 200


def training(
    folder: Path,
    database: Database,
    *,
    policy: Policy = POLICY,
    rewards: RewardDefinition = REWARDS,
    by: By = "learner",
    chunk: int = CHUNK,
    helper: Helper | None = None,
) -> Callable[..., Trained]:
    """A run in `folder`, to be called; ids are frozen at the first."""
    log = LearningStore(database, clock=Clock(LATE_S), holder="train")
    maker = ExampleMaker(policy.features, CATALOGUE.facts, rewards, catalogue=log.catalogue)
    lineage = lineage_of(policy, rewards, feature_version=maker.featuriser.version)
    run = Retraining(maker, lineage, folder=folder, by=by, chunk=chunk)
    path = folder / "ids"
    if not path.exists():
        FrozenIds.freeze(path, database, clock=Clock(LATE_S), since_s=None, until_s=None).close()
    ids = FrozenIds(path)
    ids.skip(run.resumed)

    def go(progress: Callable[[int], None] = lambda _count: None) -> Trained:
        try:
            return run.run(log, ids.take, created_at=LATE_S, progress=progress, helper=helper)
        finally:
            ids.close()

    return go
