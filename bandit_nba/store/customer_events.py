"""Events about customers: each is taken once."""

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite

from bandit_nba.store.log.outcomes import Receipt
from bandit_nba.store.tables import customer_events


def put(
    connection: sa.Connection,
    event: str,
    *,
    customer: str,
    kind: str,
    occurred_at: float | None,
    payload_sha256: bytes,
    now_s: float,
) -> Receipt:
    """Note an event; "duplicate": it is known with this payload, "conflict": with another. customer: pseudonymous key.

    Belongs into the transaction that does what the event is for.
    """
    insert = (postgresql if connection.dialect.name == "postgresql" else sqlite).insert(customer_events)
    row = insert.values(
        id=event,
        customer=customer,
        type=kind,
        occurred_at=occurred_at,
        received_at=now_s,
        payload_sha256=payload_sha256,
    )
    # Not by the row count: PostgreSQL's driver gives -1 here.
    if connection.execute(row.on_conflict_do_nothing().returning(customer_events.c.id)).one_or_none() is not None:
        return "created"
    known = connection.execute(sa.select(customer_events.c.payload_sha256).where(customer_events.c.id == event))
    return "duplicate" if bytes(known.scalar_one()) == payload_sha256 else "conflict"
