"""The log to judge policies on, and what else happened in the very same decisions."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

import msgspec
import numpy as np
import sqlalchemy as sa

from bandit_nba.decide.batch import Bools, Floats, Ints
from bandit_nba.decide.policy import Policy
from bandit_nba.decide.record import DecisionRecord
from bandit_nba.decide.slate_log import first_slot
from bandit_nba.evaluate.log import LoggedDecisions, from_records, why_left_out
from bandit_nba.learn.definition import RewardDefinition
from bandit_nba.learn.join import Windows, counted
from bandit_nba.learn.manifest import Manifest
from bandit_nba.learn.rewards import rewards
from bandit_nba.store import decisions, learning, models
from bandit_nba.store import definitions as stored_definitions
from bandit_nba.store.database import Database
from bandit_nba.workspace import Workspace

BATCH = 5_000
INLINE = "actions brought by the request"
_REMOVED = msgspec.json.Decoder(dict[str, tuple[str, str]])


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


@dataclass
class _Beside:
    """What is gathered while the log is read; `rows` number the decisions in the order of reading."""

    rows: dict[str, int] = field(default_factory=dict)
    earned: dict[str, float] = field(default_factory=dict)
    happened: dict[str, list[Ints]] = field(default_factory=dict)
    amounts: dict[str, list[tuple[Ints, Floats]]] = field(default_factory=dict)
    removed: list[int] = field(default_factory=list)
    patterns: dict[bytes, int] = field(default_factory=dict)
    policies: list[str] = field(default_factory=list)
    inline: int = 0


def read(database: Database, workspace: Workspace, *, now_s: float) -> Reading:
    """All matured decisions among the catalogue's actions, with their rewards and what is known beside them.

    Raises
    ------
    RefusedError
        If there is none.
    """
    beside = _Beside()
    definition = workspace.rewards
    with database.read() as connection:
        found = decisions.scan(connection)
        records = _joined(connection, found, definition, beside, now_s=now_s)
        log = from_records(records, beside.earned, workspace.catalogue.facts, now_s=now_s)
        known = [row.manifest for row in models.listing(connection, limit=100_000)]
        definitions = _definitions(connection, beside)
    order = np.array([beside.rows[decision] for decision in log.ids], dtype=np.int64)
    size = len(beside.rows)
    return Reading(
        log=log if not beside.inline else _with_left_out(log, beside.inline),
        happened={kind: _flags(parts, size)[order] for kind, parts in beside.happened.items()},
        amounts={kind: _sums(parts, size)[order] for kind, parts in beside.amounts.items()},
        removed=np.array(beside.removed, dtype=np.int64)[order],
        removals=[_REMOVED.decode(content) for content in beside.patterns],
        policies=[beside.policies[row] for row in order.tolist()],
        definitions=definitions,
        known=known,
    )


def _joined(
    connection: sa.Connection,
    records: Iterator[DecisionRecord],
    definition: RewardDefinition,
    beside: _Beside,
    *,
    now_s: float,
) -> Iterator[DecisionRecord]:
    for batch in _batches(records):
        among = [record for record in batch if record.inline_actions is None]
        beside.inline += len(batch) - len(among)
        judged = [record for record in among if not why_left_out(record, now_s=now_s)]
        if judged:
            _look_beside(connection, judged, definition, beside)
        yield from among


def _look_beside(
    connection: sa.Connection, judged: Sequence[DecisionRecord], definition: RewardDefinition, beside: _Beside
) -> None:
    first = len(beside.rows)
    windows = Windows(
        ids=[record.id for record in judged],
        customers=[record.customer for record in judged],
        opens_at=np.array([record.decided_at for record in judged], dtype=np.float64),
        closes_at=np.array([record.matures_at for record in judged], dtype=np.float64),
        first_slots=[first_slot(record.slate) for record in judged],
    )
    found = counted(definition, windows, learning.outcomes_within(connection, windows))
    earned = rewards(definition, found, size=len(judged))
    for record, reward in zip(judged, earned.tolist(), strict=True):
        beside.rows[record.id] = len(beside.rows)
        beside.earned[record.id] = reward
        beside.removed.append(beside.patterns.setdefault(record.removed, len(beside.patterns)))
        beside.policies.append(record.policy_version)
    for code, kind in enumerate(found.types.values):
        of_kind = found.types.codes == code
        beside.happened.setdefault(kind, []).append(first + found.rows[of_kind])
        known = of_kind & np.isfinite(found.amounts)
        if known.any():
            beside.amounts.setdefault(kind, []).append((first + found.rows[known], found.amounts[known]))


def _definitions(connection: sa.Connection, beside: _Beside) -> dict[str, Policy]:
    """Policies by the version that the log names; one content has two versions once settings gain keys."""
    found = {}
    for version in set(beside.policies):
        content = stored_definitions.get(connection, "policy", version)
        try:
            found[version] = msgspec.json.decode(content or b"", type=Policy)
        except msgspec.DecodeError:
            continue  # written by another version of this program: not to be compared with
    return found


def _flags(parts: Sequence[Ints], size: int) -> Bools:
    flags = np.zeros(size, dtype=np.bool_)
    for rows in parts:
        flags[rows] = True
    return flags


def _sums(parts: Sequence[tuple[Ints, Floats]], size: int) -> Floats:
    sums = np.zeros(size)
    for rows, amounts in parts:
        np.add.at(sums, rows, amounts)
    return sums


def _with_left_out(log: LoggedDecisions, inline: int) -> LoggedDecisions:
    return replace(log, left_out={**log.left_out, INLINE: inline})


def _batches(records: Iterator[DecisionRecord]) -> Iterator[list[DecisionRecord]]:
    batch: list[DecisionRecord] = []
    for record in records:
        batch.append(record)
        if len(batch) == BATCH:
            yield batch
            batch = []
    yield batch
