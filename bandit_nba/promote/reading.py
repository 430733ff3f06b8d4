"""The log to judge policies on, and what else happened in the very same decisions."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import msgspec
import numpy as np
import sqlalchemy as sa

from bandit_nba.decide.columns import Bools, Floats, Ints
from bandit_nba.decide.policy import Policy
from bandit_nba.evaluate.log import LoggedDecisions
from bandit_nba.evaluate.stored import read_whole
from bandit_nba.learn.manifest import Manifest
from bandit_nba.store.archive.restore import Archive
from bandit_nba.store.database import Database
from bandit_nba.store.registry import definitions as stored_definitions
from bandit_nba.store.registry import models
from bandit_nba.workspace import Workspace


@dataclass(frozen=True)
class Reading:
    """N judged decisions and what is known beside them, row by row in the log's order.

    happened: by outcome type, bool (N,): whether one was received within the wait. amounts: by outcome type with
    amounts, float64 (N,), their sum. removed: int64 (N,), index into `removals` (each arm -> stage and reason).
    policies: the policy version of each row; definitions: those that are still known, by version. known: manifests of
    all published models, newest first.
    """

    log: LoggedDecisions
    happened: Mapping[str, Bools]
    amounts: Mapping[str, Floats]
    removed: Ints
    removals: Sequence[Mapping[str, tuple[str, str]]]
    policies: Sequence[str]
    definitions: Mapping[str, Policy]
    known: Sequence[Manifest]

    def after(self, split: float) -> "Reading":
        """Decisions made after `split`."""
        first = int(np.searchsorted(self.log.decided_at, split, side="right"))
        return Reading(
            log=self.log.between(split),
            happened={kind: flags[first:] for kind, flags in self.happened.items()},
            amounts={kind: sums[first:] for kind, sums in self.amounts.items()},
            removed=self.removed[first:],
            removals=self.removals,
            policies=self.policies[first:],
            definitions=self.definitions,
            known=self.known,
        )


def read(database: Database, workspace: Workspace, *, now_s: float) -> Reading:
    """All matured decisions among the catalogue's actions, with their rewards and what is known beside them.

    Raises
    ------
    RefusedError
        If there is none.
    """
    with database.read() as connection:
        whole = read_whole(
            connection,
            workspace.rewards,
            workspace.catalogue.facts,
            now_s=now_s,
            inline=False,
            archive=Archive(workspace.archive_folder),
        )
        known = [row.manifest for row in models.listing(connection, limit=100_000)]
        definitions = _definitions(connection, whole.policies.values)
    versions = whole.policies.values
    return Reading(
        log=whole.log,
        happened=whole.happened,
        amounts=whole.amounts,
        removed=whole.removed,
        removals=whole.removals,
        policies=[versions[code] for code in whole.policies.codes.tolist()],
        definitions=definitions,
        known=known,
    )


def _definitions(connection: sa.Connection, versions: Sequence[str]) -> dict[str, Policy]:
    """Policies by the version that the log names; one content has two versions once settings gain keys."""
    found = {}
    for version in versions:
        content = stored_definitions.get(connection, "policy", version)
        try:
            found[version] = msgspec.json.decode(content or b"", type=Policy)
        except msgspec.DecodeError:
            continue  # written by another version of this program: not to be compared with
    return found
