"""Leases with fence numbers: many may ask, one holds, and a holder that lost it can never commit.

A lease that ran out may be taken by another, whose fence number is higher. A holder that was only paused may still
believe that it holds: so every commit made under a lease calls `holds` inside its own transaction. That compares the
fence number, not the time, and stays right whatever the clocks do.
"""

from dataclasses import dataclass

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite

from bandit_nba.store.tables import leases


@dataclass(frozen=True)
class Lease:
    """A lease as it was taken: the `fence` grows by one whenever it changes hands."""

    name: str
    holder: str
    fence: int


def acquire(connection: sa.Connection, name: str, *, holder: str, now_s: float, lease_s: float) -> Lease | None:
    """Take or prolong the lease for `lease_s` seconds; None while another holds it. Belongs into a write transaction.

    The same holder keeps its fence number; `holder` must therefore be unique to a process and its start.
    """
    query = sa.select(leases).where(leases.c.name == name).with_for_update()
    row = connection.execute(query).one_or_none()
    expires_at = now_s + lease_s
    if row is None:
        # of two that come first only one is inserted; the other waits for it here, and then finds its row
        insert = (postgresql if connection.dialect.name == "postgresql" else sqlite).insert(leases)
        new = insert.values(name=name, holder=holder, fence=1, expires_at=expires_at).on_conflict_do_nothing()
        if connection.execute(new.returning(leases.c.fence)).one_or_none():
            return Lease(name=name, holder=holder, fence=1)
        row = connection.execute(query).one()
    if row.holder != holder and row.expires_at > now_s:
        return None
    fence = row.fence if row.holder == holder else row.fence + 1
    changed = {"holder": holder, "fence": fence, "expires_at": expires_at}
    connection.execute(sa.update(leases).where(leases.c.name == name).values(changed))
    return Lease(name=name, holder=holder, fence=fence)


def holds(connection: sa.Connection, lease: Lease) -> bool:
    """Whether nobody has taken the lease since; the row stays locked until the transaction ends."""
    fence = connection.execute(
        sa.select(leases.c.fence).where(leases.c.name == lease.name).with_for_update()
    ).scalar_one_or_none()
    return fence == lease.fence


def release(connection: sa.Connection, name: str, *, holder: str) -> None:
    """Let others take the lease at once; nothing happens if `holder` has lost it."""
    mine = (leases.c.name == name) & (leases.c.holder == holder)
    connection.execute(sa.update(leases).where(mine).values(expires_at=0.0, holder=""))
