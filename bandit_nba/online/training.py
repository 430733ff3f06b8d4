"""One bulk retraining of a workspace, from its settings to a model in the registry that does not serve yet."""

import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import msgspec

from bandit_nba.catalogue import FactSchema
from bandit_nba.decide.policy import Policy
from bandit_nba.learn.definition import RewardDefinition
from bandit_nba.learn.examples import ExampleMaker
from bandit_nba.learn.learner import lineage_of
from bandit_nba.learn.log import Poison
from bandit_nba.learn.manifest import Manifest
from bandit_nba.learn.registry import Lineage
from bandit_nba.learn.retrain import By, Retraining
from bandit_nba.online import definitions
from bandit_nba.settings import version_of
from bandit_nba.store.alone import alone
from bandit_nba.store.archive.restore import Archive
from bandit_nba.store.database import Database
from bandit_nba.store.learner.beside import Task, helping
from bandit_nba.store.learner.learning import LearningStore
from bandit_nba.store.learner.training import FrozenIds, keep
from bandit_nba.store.registry import definitions as store_definitions
from bandit_nba.store.registry.definitions import Kind
from bandit_nba.workspace import Workspace

FOLDER = "training"
CHUNK = 50_000

_CANONICAL = msgspec.json.Encoder(order="sorted")


@dataclass(frozen=True, kw_only=True)
class Wish:
    """What to train: by default what the workspace's files say, on all that can be learned.

    since_s, until_s: of decided_at, seconds since the epoch. chunk: decisions between two checkpoints.
    """

    policy: Policy
    rewards: RewardDefinition
    since_s: float | None = None
    until_s: float | None = None
    by: By = "learner"
    chunk: int = CHUNK


@dataclass(frozen=True)
class Outcome:
    """decisions: how many the run went over. resumed: of them before this process. failed: could not be learned."""

    manifest: Manifest
    decisions: int
    resumed: int
    failed: tuple[Poison, ...]


def train(
    workspace: Workspace,
    database: Database,
    wish: Wish,
    *,
    who: str,
    why: str = "",
    fresh: bool = False,
    clock: Callable[[], float] = time.time,
    progress: Callable[[int, int], None] = lambda _done, _total: None,
) -> Outcome:
    """Go on with an unfinished run of the same wish, or begin one; the model is in the registry when this returns.

    Ids are frozen when a run begins, so that one that was killed ends with the same weights. fresh: forget what an
    unfinished run has done. progress: called with decisions done and in all.

    Raises
    ------
    StoreBusyError
        If another process trains a model of this workspace.
    NbaError
        As `learn.retrain.Retraining` and its `run`.
    """
    with alone(workspace.path / FOLDER, at="trains a model"):
        return _trained(workspace, database, wish, who=who, why=why, fresh=fresh, clock=clock, progress=progress)


def _trained(
    workspace: Workspace,
    database: Database,
    wish: Wish,
    *,
    who: str,
    why: str,
    fresh: bool,
    clock: Callable[[], float],
    progress: Callable[[int, int], None],
) -> Outcome:
    schema = _schema(workspace, database)
    log = LearningStore(database, clock=clock, holder="train", archive=Archive(workspace.archive_folder))
    maker = ExampleMaker(wish.policy.features, schema, wish.rewards, catalogue=log.catalogue)
    lineage = lineage_of(wish.policy, wish.rewards, feature_version=maker.featuriser.version)
    folder = workspace.path / FOLDER / _name(lineage, wish)
    if fresh:
        shutil.rmtree(folder, ignore_errors=True)
    run = Retraining(maker, lineage, folder=folder, by=wish.by, chunk=wish.chunk)
    task = Task(
        database=workspace.database_url,
        archive=str(workspace.archive_folder),
        features=wish.policy.features,
        facts=schema,
        rewards=wish.rewards,
    )
    with helping(folder / "beside", database, task) as helper:
        ids = _ids(folder / "ids", database, wish, clock=clock)
        try:
            ids.skip(run.resumed)
            done = [run.resumed]

            def advance(count: int) -> None:
                done[0] += count
                progress(done[0], len(ids))

            progress(run.resumed, len(ids))
            made = run.run(log, ids.take, created_at=clock(), progress=advance, helper=helper)
        finally:
            ids.close()
    named: dict[Kind, tuple[str, bytes]] = {
        "policy": (wish.policy.version, _CANONICAL.encode(wish.policy)),
        "features": (wish.policy.features.version, _CANONICAL.encode(wish.policy.features)),
        "reward": (wish.rewards.version, _CANONICAL.encode(wish.rewards)),
    }
    keep(database, made.model, named=named, now_s=clock(), who=who, why=why)
    shutil.rmtree(folder, ignore_errors=True)
    return Outcome(manifest=made.model.manifest, decisions=len(ids), resumed=made.resumed, failed=made.failed)


def _ids(path: Path, database: Database, wish: Wish, *, clock: Callable[[], float]) -> FrozenIds:
    if path.exists():
        return FrozenIds(path)
    return FrozenIds.freeze(path, database, clock=clock, since_s=wish.since_s, until_s=wish.until_s)


def _name(lineage: Lineage, wish: Wish) -> str:
    """The same for the same model on the same range: an unfinished run is found by it."""
    what = (lineage.vw_args, lineage.feature_version, lineage.reward_version, lineage.members)
    return version_of([*map(str, what), wish.since_s, wish.until_s, wish.chunk])


def _schema(workspace: Workspace, database: Database) -> FactSchema:
    """The facts of the catalogue in force, as the learner's."""
    with database.read() as connection:
        found = store_definitions.catalogue_in_force(connection)
    if found is None or found.version == workspace.catalogue.version:
        return workspace.catalogue.facts
    return definitions.catalogue(database, found.version).facts
