"""Outcomes: each is kept once. Which decisions one counts for is the learner's join (`learn.join`)."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from operator import itemgetter
from typing import Any, Literal

import sqlalchemy as sa

from bandit_nba.decide.slates.log import first_slot
from bandit_nba.learn.fates import Named
from bandit_nba.store.driver.bulk import IN_LIST, chunks, execute_many, select_in
from bandit_nba.store.tables import decisions, outcomes

Receipt = Literal["created", "duplicate", "conflict"]

_INSERT = sa.insert(outcomes)
_KEYS: sa.BindParameter[Any] = sa.bindparam("keys", expanding=True)
_NAMED = sa.select(
    decisions.c.id,
    decisions.c.customer,
    decisions.c.kind,
    decisions.c.decided_at,
    decisions.c.matures_at,
    decisions.c.activate_by,
    decisions.c.activated_at,
    decisions.c.learned_in,
    decisions.c.slate,
).where(decisions.c.id.in_(_KEYS))
_LATEST = (
    sa.select(outcomes.c.decision, sa.func.max(outcomes.c.occurred_at))
    .where(outcomes.c.decision.in_(_KEYS), outcomes.c.occurred_at.is_not(None))
    .group_by(outcomes.c.decision)
)


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What happened, as a client reports it: it names a decision, or only a customer (the other is None).

    occurred_at: seconds since the epoch by the client's word. slot: which place of a slate it is about, None where
    that is not said. payload_sha256: of what the client sent, 32 bytes.
    """

    id: str
    type: str
    payload_sha256: bytes
    decision: str | None = None
    customer: str | None = None
    amount: float | None = None
    occurred_at: float | None = None
    slot: str | None = None


def insert(connection: sa.Connection, batch: Sequence[Outcome], *, now_s: float) -> list[Receipt]:
    """Keep the new ones of `batch`, and say for each what it was.

    "duplicate": its id is known, also from earlier in the batch, with the same payload. "conflict": with another
    payload; the first one stays. now_s: by the server's clock, taken inside the transaction.
    """
    known = _payloads(connection, {outcome.id for outcome in batch})
    receipts: list[Receipt] = []
    rows = []
    for outcome in batch:
        if outcome.id not in known:
            known[outcome.id] = outcome.payload_sha256
            rows.append(_row(outcome, now_s))
            receipts.append("created")
        else:
            receipts.append("duplicate" if known[outcome.id] == outcome.payload_sha256 else "conflict")
    execute_many(connection, _INSERT, sorted(rows, key=itemgetter(0)))  # in one order, as decisions are
    return receipts


def named(connection: sa.Connection, ids: Collection[str]) -> dict[str, Named]:
    """What bears on the outcomes of these decisions; those that are not known are left out."""
    return {
        row[0]: Named(
            customer=row[1],
            kind=row[2],
            decided_at=row[3],
            matures_at=row[4],
            activate_by=row[5],
            activated_at=row[6],
            mark=row[7] or "",
            first_slot=first_slot(row[8]),
        )
        for row in select_in(connection, _NAMED, sorted(ids))
    }


def latest(connection: sa.Connection, ids: Collection[str]) -> dict[str, float]:
    """For each of these decisions the latest time at which one of its outcomes occurred, where any says so."""
    return {row[0]: row[1] for row in select_in(connection, _LATEST, sorted(ids))}


def count(connection: sa.Connection) -> int:
    """How many outcomes are kept."""
    return connection.execute(sa.select(sa.func.count()).select_from(outcomes)).scalar_one()


def _payloads(connection: sa.Connection, ids: Collection[str]) -> dict[str, bytes]:
    known: dict[str, bytes] = {}
    for chunk in chunks(ids, IN_LIST):
        query = sa.select(outcomes.c.id, outcomes.c.payload_sha256).where(outcomes.c.id.in_(chunk))
        known.update({row.id: row.payload_sha256 for row in connection.execute(query)})
    return known


def _row(outcome: Outcome, received_at: float) -> tuple[object, ...]:
    """The columns of `outcomes` in order."""
    o = outcome
    return (o.id, o.decision, o.customer, o.type, o.amount, o.occurred_at, received_at, o.payload_sha256, o.slot)
