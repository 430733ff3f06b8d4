"""What each side of the benchmark of learning does with the events."""

import shutil
import time
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path

from bandit_nba.learn.examples import ExampleMaker
from bandit_nba.learn.learner import Learner, lineage_of
from bandit_nba.learn.log import LoggedBatch
from bandit_nba.learn.options import vw_arguments
from bandit_nba.learn.retrain import By, Retraining
from bandit_nba.learn.vowpal import VowpalRegressor
from bandit_nba.store.database import Database, sqlite_url
from bandit_nba.store.learner.beside import Beside, Task, helping
from bandit_nba.store.learner.learning import LearningStore
from bandit_nba.store.learner.training import FrozenIds, keep
from experiments.bench.learn_events import CATALOGUE, POLICY, REWARDS
from experiments.bench.peer_vowpal import driven

BATCH = 2_000  # as the service's learner
CHUNK = 50_000  # as `nba train`
NOW_S = 1e7


def driver(text: Path, model: Path, *, onethread: bool) -> None:
    """VW's command-line driver over a text file of the events."""
    driven(text, model, vw_arguments(POLICY.features, POLICY.learning), onethread=onethread)


def online(batches: list[LoggedBatch]) -> VowpalRegressor:
    """What the learner does with rows in memory: facts decoded, outcomes joined, rewards, features, learned, stored."""
    maker = ExampleMaker(POLICY.features, CATALOGUE.facts, REWARDS, catalogue=lambda _version: CATALOGUE)
    regressor = VowpalRegressor(POLICY.features, POLICY.learning)
    for batch in batches:
        for made in maker.examples(batch):
            regressor.learn(made.contexts, made.arms, made.chosen, made.reward)
    regressor.serialize()
    return regressor


def from_store(database: Database, size: int) -> None:
    """The service's learner, until everything is learned and published: model, manifest, sparse weights, marks."""
    begun = time.monotonic()

    def clock() -> float:
        return NOW_S + time.monotonic() - begun

    learner = Learner(
        LearningStore(database, clock=clock, holder="bench"),
        policy=POLICY,
        rewards=REWARDS,
        schema=CATALOGUE.facts,
        clock=clock,
        batch=BATCH,
    )
    learned = 0
    while found := learner.step().examples:
        learned += found
    learner.finish()
    if learned != size:
        raise AssertionError(f"learned {learned} of {size}")


def bulk(
    database: Database,
    folder: Path,
    *,
    by: By = "learner",
    alone: bool = False,
    progress: Callable[[int, Beside | None], None] = lambda _count, _helper: None,
) -> str:
    """What `nba train` does: ids frozen, rows read, joined, featurised and learned, the model kept; gives its hash.

    alone: without a helper process, as on a single core.
    """
    log = LearningStore(database, clock=lambda: NOW_S, holder="bench")
    maker = ExampleMaker(POLICY.features, CATALOGUE.facts, REWARDS, catalogue=log.catalogue)
    lineage = lineage_of(POLICY, REWARDS, feature_version=maker.featuriser.version)
    run = Retraining(maker, lineage, folder=folder, by=by, chunk=CHUNK)
    url = sqlite_url(Path(database.where))
    task = Task(database=url, archive="", features=POLICY.features, facts=CATALOGUE.facts, rewards=REWARDS)
    now_s = time.time()
    with nullcontext() if alone else helping(folder / "beside", database, task) as helper:
        ids = FrozenIds.freeze(folder / "ids", database, clock=lambda: NOW_S, since_s=None, until_s=None)
        made = run.run(log, ids.take, created_at=now_s, progress=lambda count: progress(count, helper), helper=helper)
        ids.close()
    keep(database, made.model, named={}, now_s=now_s, who="bench", why="")
    shutil.rmtree(folder)
    return made.model.manifest.weights_sha256
