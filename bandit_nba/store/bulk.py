"""Many rows in one statement: SQL compiled once from the Core table, rows handed to the driver as they are."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cache
from itertools import islice
from typing import TypeVar

import sqlalchemy as sa
from sqlalchemy.dialects import registry
from sqlalchemy.sql.dml import Insert

T = TypeVar("T")

IN_LIST = 500
"""Members of one IN list; below every database's limit, and above it longer lists gain nothing."""

_POSITIONAL: Mapping[str, sa.Dialect] = {
    "sqlite": registry.load("sqlite")(paramstyle="qmark"),
    "postgresql": registry.load("postgresql.psycopg")(paramstyle="format"),
}


def execute_many(connection: sa.Connection, statement: Insert, rows: Sequence[tuple[object, ...]]) -> None:
    """Run `statement` once per row; a row holds the values of its columns, in the order of the table.

    SQLAlchemy's own path costs 12 us more per logged decision, for bind processing that these columns (text, bytes and
    doubles) do not need.
    """
    if rows:
        connection.exec_driver_sql(_sql(statement, connection.dialect.name), list(rows))


def chunks(items: Iterable[T], size: int) -> Iterator[list[T]]:
    """Lists of at most `size` items, in order."""
    rest = iter(items)
    while chunk := list(islice(rest, size)):
        yield chunk


@cache
def _sql(statement: Insert, backend: str) -> str:
    return str(statement.compile(dialect=_POSITIONAL[backend]))
