"""How many outcomes had which fate, kept in the transaction that keeps the outcomes."""

from collections.abc import Mapping

import sqlalchemy as sa

from bandit_nba.store.tables import outcome_counts

SHARDS = 16
"""Rows per fate: replicas on PostgreSQL rarely wait for each other's."""

# ON CONFLICT reads the same on SQLite and PostgreSQL, but SQLAlchemy has it only per dialect.
_ADD = sa.text(
    "INSERT INTO outcome_counts (fate, shard, count) VALUES (:fate, :shard, :count)"
    " ON CONFLICT (fate, shard) DO UPDATE SET count = outcome_counts.count + excluded.count"
)


def add(connection: sa.Connection, counts: Mapping[str, int], *, shard: int) -> None:
    """Count some more. shard: any number; another for each process."""
    rows = [{"fate": fate, "shard": shard % SHARDS, "count": n} for fate, n in sorted(counts.items()) if n]
    if rows:
        connection.execute(_ADD, rows)


def read(connection: sa.Connection) -> dict[str, int]:
    """The counts by fate, of all replicas since the log began."""
    total = sa.func.sum(outcome_counts.c.count)
    rows = connection.execute(sa.select(outcome_counts.c.fate, total).group_by(outcome_counts.c.fate))
    return {row[0]: int(row[1]) for row in rows}
