"""Outcomes: each is kept once, and handed to the decisions whose wait it falls into."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

import sqlalchemy as sa

from bandit_nba.store.bulk import IN_LIST, chunks, execute_many
from bandit_nba.store.tables import decisions, outcomes

Fate = Literal["new", "duplicate", "conflict"]

_INSERT = sa.insert(outcomes)
_RECEIVED = sa.select(
    decisions.c.id,
    outcomes.c.type,
    outcomes.c.amount,
    outcomes.c.received_at,
    outcomes.c.occurred_at,
    outcomes.c.id.label("outcome"),
)
_NAMES_DECISION = sa.and_(
    outcomes.c.decision == decisions.c.id,
    outcomes.c.received_at <= decisions.c.matures_at,
)
_NAMES_CUSTOMER = sa.and_(
    outcomes.c.customer == decisions.c.customer,
    outcomes.c.customer != "",
    outcomes.c.decision.is_(None),
    outcomes.c.received_at.between(decisions.c.decided_at, decisions.c.matures_at),
)


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What happened, as a client reports it: it names a decision, or only a customer (the other is None).

    occurred_at: seconds since the epoch by the client's word. payload_sha256: of what the client sent, 32 bytes.
    """

    id: str
    type: str
    payload_sha256: bytes
    decision: str | None = None
    customer: str | None = None
    amount: float | None = None
    occurred_at: float | None = None


class Received(NamedTuple):
    """An outcome that counts for a decision; one that names only a customer can count for several."""

    decision: str
    type: str
    amount: float | None
    received_at: float
    occurred_at: float | None
    id: str


def insert(connection: sa.Connection, batch: Sequence[Outcome], *, now_s: float) -> list[Fate]:
    """Keep the new ones of `batch`, and say for each what it was.

    "duplicate": its id is known, also from earlier in the batch, with the same payload. "conflict": with another
    payload; the first one stays. now_s: by the server's clock, taken inside the transaction.
    """
    known = _payloads(connection, {outcome.id for outcome in batch})
    fates: list[Fate] = []
    rows = []
    for outcome in batch:
        if outcome.id not in known:
            known[outcome.id] = outcome.payload_sha256
            rows.append(_row(outcome, now_s))
            fates.append("new")
        else:
            fates.append("duplicate" if known[outcome.id] == outcome.payload_sha256 else "conflict")
    execute_many(connection, _INSERT, rows)
    return fates


def for_decisions(connection: sa.Connection, ids: Collection[str], *, each: Collection[str]) -> list[Received]:
    """The outcomes that count for these decisions, in order of receipt (received_at, then outcome id).

    An outcome counts for the decision it names if it was received by `matures_at`, whenever it came before that. One
    that names only a customer counts, if its type is among `each`, for every decision of that customer with
    decided_at <= received_at <= matures_at. The rule is that of `learn.join`, by the database's indexes.
    """
    named = _RECEIVED.join_from(decisions, outcomes, _NAMES_DECISION)
    shared = _RECEIVED.join_from(decisions, outcomes, _NAMES_CUSTOMER).where(outcomes.c.type.in_(sorted(each)))
    found: list[Received] = []
    for chunk in chunks(dict.fromkeys(ids), IN_LIST):
        for query in (named, shared) if each else (named,):
            found += map(Received._make, connection.execute(query.where(decisions.c.id.in_(chunk))))
    return sorted(found, key=lambda r: (r.received_at, r.id))


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
    return (o.id, o.decision, o.customer, o.type, o.amount, o.occurred_at, received_at, o.payload_sha256)
