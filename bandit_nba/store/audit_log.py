"""Who changed what and when: append-only, each entry's hash over the one before it.

    hash_n = SHA-256(hash_{n-1} || JSON of [seq, at, actor, action, subject, detail]),   hash_0 = 32 zero bytes

Whoever changes, removes or inserts an entry breaks the chain at that place. Whoever can write the database could make
the whole chain anew, or cut its end: against that the newest hash is kept elsewhere from time to time, and given to
`verify`.
"""

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import msgspec
import sqlalchemy as sa

from bandit_nba.store.tables import audit_log

_LOCK = 7_243_501_340  # PostgreSQL advisory lock; SQLite's write transaction needs none
_START = bytes(32)
_PAGE = 1_000


@dataclass(frozen=True)
class Entry:
    """One entry. actor: who; action: what, such as "key.create"; subject: of what; detail: plain JSON values."""

    seq: int
    at: float
    actor: str
    action: str
    subject: str
    detail: Mapping[str, object]
    hash: bytes


@dataclass(frozen=True)
class Break:
    """The first place where the chain does not hold."""

    seq: int
    why: str


def append(
    connection: sa.Connection,
    *,
    now_s: float,
    actor: str,
    action: str,
    subject: str,
    detail: Mapping[str, object] | None = None,
) -> Entry:
    """Add an entry inside the caller's write transaction, so that it is kept exactly if the change itself is."""
    if connection.dialect.name == "postgresql":
        connection.execute(sa.select(sa.func.pg_advisory_xact_lock(_LOCK)))
    last = connection.execute(_newest_first.limit(1)).one_or_none()
    seq, before = (1, _START) if last is None else (last.seq + 1, bytes(last.hash))
    content = msgspec.json.encode(dict(detail or {}), order="deterministic")
    digest = _digest(before, seq, now_s, actor, action, subject, content)
    row = {"seq": seq, "at": now_s, "actor": actor, "action": action, "subject": subject}
    connection.execute(sa.insert(audit_log).values(**row, detail=content, hash=digest))
    return Entry(seq, now_s, actor, action, subject, dict(detail or {}), digest)


def newest(connection: sa.Connection, *, limit: int) -> list[Entry]:
    """The newest entries, newest first."""
    return [_entry(row) for row in connection.execute(_newest_first.limit(limit))]


def verify(connection: sa.Connection, *, head: bytes | None = None) -> tuple[int, bytes, Break | None]:
    """How many entries hold, the hash of the last of them, and the first break if there is one.

    head: the hash that was the newest once; it must still be in the chain.
    """
    before, seq, seen = _START, 0, head is None
    for row in _in_order(connection):
        if row.seq != seq + 1:
            return seq, before, Break(seq + 1, "is missing")
        digest = _digest(before, row.seq, row.at, row.actor, row.action, row.subject, bytes(row.detail))
        if digest != bytes(row.hash):
            return seq, before, Break(row.seq, "was changed, or the one before it was")
        before, seq = digest, row.seq
        seen = seen or digest == head
    return seq, before, None if seen else Break(seq + 1, "is missing: the chain ended later when its head was noted")


def _in_order(connection: sa.Connection) -> Iterator[sa.Row[tuple[object, ...]]]:
    after = -1 << 62
    while rows := connection.execute(
        sa.select(audit_log).where(audit_log.c.seq > after).order_by(audit_log.c.seq).limit(_PAGE)
    ).all():
        yield from rows
        after = rows[-1].seq


def _digest(before: bytes, seq: int, at: float, actor: str, action: str, subject: str, detail: bytes) -> bytes:
    fields = msgspec.json.encode([seq, at, actor, action, subject, msgspec.Raw(detail)])
    return hashlib.sha256(before + fields).digest()


def _entry(row: sa.Row[tuple[object, ...]]) -> Entry:
    detail = msgspec.json.decode(row.detail, type=dict[str, object])
    return Entry(row.seq, row.at, row.actor, row.action, row.subject, detail, bytes(row.hash))


_newest_first = sa.select(audit_log).order_by(audit_log.c.seq.desc())
