"""The decision log read column by column, a few thousand rows at a time: what judging needs of each decision.

Rows whose large columns are in the archive come without them: see `archive.restore`.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, fields
from itertools import islice
from operator import attrgetter

import sqlalchemy as sa

from bandit_nba.decide.record import DecisionRecord
from bandit_nba.store.tables import decisions

ROWS = 5_000


@dataclass(frozen=True)
class LogChunk:
    """N decisions as columns of equal length; their meaning is that of `DecisionRecord`'s fields of the same name."""

    id: Sequence[str]
    customer: Sequence[str]
    channel: Sequence[str]
    decided_at: Sequence[float]
    matures_at: Sequence[float]
    activate_by: Sequence[float | None]
    activated_at: Sequence[float | None]
    kind: Sequence[str]
    arm: Sequence[str]
    arms: Sequence[bytes]
    probabilities: Sequence[bytes]
    removed: Sequence[bytes]
    catalogue_version: Sequence[str]
    policy_version: Sequence[str]
    reward_version: Sequence[str]
    support: Sequence[bool]
    slate: Sequence[bytes | None]
    inline_actions: Sequence[bytes | None]
    picked: Sequence[str | None]
    learned_in: Sequence[str | None]
    origin: Sequence[str | None]
    archived_on: Sequence[str | None]
    facts: Sequence[bytes | None]

    def __len__(self) -> int:
        return len(self.id)


_NAMES = tuple(field.name for field in fields(LogChunk))
_of_record = attrgetter(*_NAMES)
_COLUMNS = sa.select(*(decisions.c[name] for name in _NAMES))


def chunks_of(records: Iterable[DecisionRecord], *, rows: int = ROWS) -> Iterator[LogChunk]:
    """Records as chunks, in their order."""
    rest = iter(records)
    while batch := list(islice(rest, rows)):
        yield LogChunk(*zip(*map(_of_record, batch), strict=True))


def scan_chunks(
    connection: sa.Connection, *, since_s: float | None = None, until_s: float | None = None, rows: int = ROWS
) -> Iterator[LogChunk]:
    """Decisions made in [since_s, until_s), in (decided_at, id) order, all of the connection's snapshot."""
    query = _COLUMNS.order_by(decisions.c.decided_at, decisions.c.id)
    if since_s is not None:
        query = query.where(decisions.c.decided_at >= since_s)
    if until_s is not None:
        query = query.where(decisions.c.decided_at < until_s)
    for batch in connection.execute(query, execution_options={"yield_per": rows}).partitions(rows):
        yield LogChunk(*zip(*batch, strict=True))
