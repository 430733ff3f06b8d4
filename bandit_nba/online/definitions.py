"""Leaves in the store what decisions are made by, so that they can be recomputed when the files have changed."""

import time
from collections.abc import Callable

import msgspec

from bandit_nba.store import definitions
from bandit_nba.store.database import Database
from bandit_nba.workspace import Workspace

_CANONICAL = msgspec.json.Encoder(order="sorted")


def register(workspace: Workspace, database: Database, *, clock: Callable[[], float] = time.time) -> None:
    """Keep catalogue, policy, features and reward definition under their versions; again changes nothing."""
    parts: dict[definitions.Kind, tuple[str, object]] = {
        "catalogue": (workspace.catalogue.version, workspace.catalogue),
        "policy": (workspace.policy.version, workspace.policy),
        "features": (workspace.policy.features.version, workspace.policy.features),
        "reward": (workspace.rewards.version, workspace.rewards),
    }
    with database.write() as connection:
        for kind, (version, definition) in parts.items():
            definitions.put(connection, kind, version, _CANONICAL.encode(definition), now_s=clock())
