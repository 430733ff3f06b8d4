"""The log of a store with its rewards, and what else happened in the same decisions, as arrays to judge on."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import msgspec
import numpy as np
import sqlalchemy as sa

from bandit_nba.catalogue import FactSchema
from bandit_nba.decide.columns import Bools, Coded, Floats, Ints
from bandit_nba.decide.slates.log import first_slot
from bandit_nba.evaluate.exclusion import closes_at, why_left_out
from bandit_nba.evaluate.gather import Codes, Gathering
from bandit_nba.evaluate.log import LoggedDecisions
from bandit_nba.learn.definition import RewardDefinition
from bandit_nba.learn.join import Windows, counted
from bandit_nba.learn.rewards import RECORDED, Counted, rewards
from bandit_nba.store.archive.restore import NO_ARCHIVE, Archive
from bandit_nba.store.database import Database
from bandit_nba.store.learner import learning
from bandit_nba.store.log.chunk import LogChunk, scan_chunks

_REMOVED = msgspec.json.Decoder(dict[str, tuple[str, str]])


@dataclass(frozen=True)
class WholeLog:
    """N judged decisions and what is known beside them, row by row in the log's order.

    happened: by outcome type, bool (N,): whether one was received within the wait. amounts: by outcome type with
    amounts, float64 (N,), their sum. removed: int64 (N,), index into `removals` (each arm -> stage and reason).
    policies: the policy version of each row.
    """

    log: LoggedDecisions
    happened: Mapping[str, Bools]
    amounts: Mapping[str, Floats]
    removed: Ints
    removals: Sequence[Mapping[str, tuple[str, str]]]
    policies: Coded


def read_log(
    database: Database,
    definition: RewardDefinition,
    schema: FactSchema,
    *,
    now_s: float,
    since_s: float | None = None,
    until_s: float | None = None,
    horizon_s: float | None = None,
    slates: bool = False,
    archive: Archive | None = None,
) -> LoggedDecisions:
    """Decisions made in [since_s, until_s) that have matured by `now_s`, each with its reward under `definition`.

    The definition may be any, also one that was never in force: outcomes are kept for good. horizon_s: how long every
    decision waits for outcomes, by default as long as the definition says for its channel. slates: judge them by their
    first place instead of leaving them out. archive: where rows lie whose large columns have left the store. One
    snapshot: what arrives meanwhile is not mixed in.

    Raises
    ------
    InputError
        If a row cannot be read or is no distribution; the row is named.
    RefusedError
        If nothing is left to judge.
    """
    read = _Reading(definition, schema, now_s=now_s, horizon_s=horizon_s, slates=slates, archive=archive)
    with database.read() as connection:
        read.all(connection, since_s=since_s, until_s=until_s)
    return read.gathering.log()[0]


def read_whole(
    connection: sa.Connection,
    definition: RewardDefinition,
    schema: FactSchema,
    *,
    now_s: float,
    inline: bool = True,
    archive: Archive | None = None,
) -> WholeLog:
    """All matured decisions with their rewards and what is known beside them; raises as `read_log` does.

    inline: with those whose actions the request brought.
    """
    read = _Reading(definition, schema, now_s=now_s, beside=_Beside(), inline=inline, archive=archive)
    read.all(connection)
    log, order = read.gathering.log()
    beside = read.beside or _Beside()
    policies = beside.policies.column()
    return WholeLog(
        log=log,
        happened={kind: _flags(parts, len(log))[order] for kind, parts in beside.happened.items()},
        amounts={kind: _sums(parts, len(log))[order] for kind, parts in beside.amounts.items()},
        removed=np.concatenate(beside.removed)[order],
        removals=[_REMOVED.decode(content) for content in beside.patterns],
        policies=Coded(codes=policies.codes[order], values=policies.values),
    )


@dataclass
class _Beside:
    """What is gathered while the log is read, in the order of reading."""

    rows: int = 0
    happened: dict[str, list[Ints]] = field(default_factory=dict)
    amounts: dict[str, list[tuple[Ints, Floats]]] = field(default_factory=dict)
    removed: list[Ints] = field(default_factory=list)
    patterns: dict[bytes, int] = field(default_factory=dict)
    policies: Codes = field(default_factory=Codes)

    def add(self, chunk: LogChunk, kept: Sequence[int], found: Counted) -> None:
        seen = self.patterns
        self.removed.append(np.array([seen.setdefault(chunk.removed[i], len(seen)) for i in kept], dtype=np.int64))
        self.policies.add(chunk.policy_version[i] for i in kept)
        for code, kind in enumerate(found.types.values):
            if kind == RECORDED:
                continue  # a reward from elsewhere: it tells of no outcome of ours
            of_kind = found.types.codes == code
            self.happened.setdefault(kind, []).append(self.rows + found.rows[of_kind])
            known = of_kind & np.isfinite(found.amounts)
            if known.any():
                self.amounts.setdefault(kind, []).append((self.rows + found.rows[known], found.amounts[known]))
        self.rows += len(kept)


class _Reading:
    """One pass over the log: join, reward and arrays, a chunk at a time."""

    def __init__(
        self,
        definition: RewardDefinition,
        schema: FactSchema,
        *,
        now_s: float,
        horizon_s: float | None = None,
        slates: bool = False,
        inline: bool = True,
        beside: _Beside | None = None,
        archive: Archive | None = None,
    ) -> None:
        self.gathering = Gathering(schema)
        self.beside = beside
        self._definition = definition
        self._now_s = now_s
        self._horizon_s = horizon_s
        self._slates = slates
        self._inline = inline
        self._archive = archive or NO_ARCHIVE

    def all(self, connection: sa.Connection, *, since_s: float | None = None, until_s: float | None = None) -> None:
        for chunk in map(self._archive.chunk, scan_chunks(connection, since_s=since_s, until_s=until_s)):
            closes = closes_at(chunk, self._definition, horizon_s=self._horizon_s)
            why = why_left_out(chunk, closes, now_s=self._now_s, slates=self._slates, inline=self._inline)
            kept = self.gathering.keep(chunk, why)
            if kept:
                found = joined(connection, self._definition, chunk, kept, closes)
                reward = rewards(self._definition, found, size=len(kept))
                self.gathering.add(chunk, kept, reward, origins=[origin or "" for origin in chunk.origin])
                if self.beside is not None:
                    self.beside.add(chunk, kept, found)


def joined(
    connection: sa.Connection, definition: RewardDefinition, chunk: LogChunk, kept: Sequence[int], closes: Floats
) -> Counted:
    """The outcomes that count for the rows `kept` of a chunk, received until `closes`, float64 (len(chunk),)."""
    windows = Windows(
        ids=[chunk.id[i] for i in kept],
        customers=[chunk.customer[i] for i in kept],
        opens_at=np.array([chunk.decided_at[i] for i in kept], dtype=np.float64),
        closes_at=closes[kept],
        first_slots=[first_slot(chunk.slate[i]) for i in kept],
    )
    return counted(definition, windows, learning.outcomes_within(connection, windows))


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
