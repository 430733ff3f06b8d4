"""The log learned anew in one go, without crashes and checkpoints: the weights must be those of the newest model."""

import time
from dataclasses import dataclass

import numpy as np
import sqlalchemy as sa

from bandit_nba.learn.careful import CarefulRegressor
from bandit_nba.learn.examples import ExampleMaker
from bandit_nba.learn.join import counted
from bandit_nba.learn.options import vw_arguments
from bandit_nba.learn.registry import Lineage
from bandit_nba.learn.rewards import rewards
from bandit_nba.store.database import Database
from bandit_nba.store.learner.learning import LearningStore
from bandit_nba.store.registry import models
from bandit_nba.workspace import Workspace

_LEARNED = """
    SELECT id FROM decisions WHERE learned_in IS NOT NULL AND learned_in NOT IN ('never', 'quarantined', 'overridden')
    ORDER BY matures_at, id
"""


@dataclass(frozen=True)
class Relearned:
    """ids: of the decisions marked as learned, in learning order. reward: as the library counts them. sha256: of the
    weights learned anew from them; newest_sha256, newest_examples: what the newest model's manifest says.
    """

    ids: list[str]
    reward: list[float]
    sha256: str
    newest_sha256: str
    newest_examples: int


def relearn(workspace: Workspace, database: Database) -> Relearned:
    """Learn everything that is marked as learned, as one batch."""
    policy, definition = workspace.policy, workspace.rewards
    store = LearningStore(database, clock=time.time, holder="the runner")
    with database.read() as connection:
        ids = list(connection.execute(sa.text(_LEARNED)).scalars())
    batch = store.batch(ids)
    maker = ExampleMaker(policy.features, workspace.catalogue.facts, definition, catalogue=store.catalogue)
    lineage = Lineage(
        features=policy.features,
        learning=policy.learning,
        vw_args=vw_arguments(policy.features, policy.learning),
        feature_version=maker.featuriser.version,
        reward_version=definition.version,
        reward_range=definition.range,
        members=policy.ensemble,
    )
    careful = CarefulRegressor(maker, lineage)
    poison = careful.learn(batch) if len(batch) else []
    if poison:
        raise AssertionError(f"cannot be learned: {poison[:3]}")
    reward = rewards(definition, counted(definition, batch.windows, batch.outcomes), size=len(batch))
    with database.read() as connection:
        newest = models.newest(connection)
        manifest = None if newest is None else models.read(connection, newest).manifest
    return Relearned(
        ids=list(batch.windows.ids),
        reward=np.asarray(reward).tolist(),
        sha256=careful.regressor.weights().sha256(),
        newest_sha256=manifest.weights_sha256 if manifest else "",
        newest_examples=manifest.examples_learned if manifest else 0,
    )
