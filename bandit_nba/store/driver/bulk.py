"""Many rows or keys in one statement: SQL compiled once from Core, values handed to the driver as they are."""

import sqlite3
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from functools import cache
from itertools import islice
from typing import Any, TypeVar

import sqlalchemy as sa
from sqlalchemy import Select
from sqlalchemy.dialects import registry
from sqlalchemy.sql.dml import Insert

from bandit_nba.store.driver.straight import Straight

T = TypeVar("T")
Session = sa.Connection | Straight

IN_LIST = 500
"""Members of one IN list; below every database's limit, and above it longer lists gain nothing."""

_POSITIONAL: Mapping[str, sa.Dialect] = {
    "sqlite": registry.load("sqlite")(paramstyle="qmark"),
    "postgresql": registry.load("postgresql.psycopg")(paramstyle="format"),
}


def execute_many(connection: Session, statement: Insert, rows: Sequence[tuple[object, ...]]) -> None:
    """Insert the rows; a row holds the values of the statement's places, in the order of the table.

    SQLAlchemy's own path costs 12 us more per logged decision, for bind processing that these columns (text, bytes and
    doubles) do not need. sqlite3 looks for adapters, 0.3 us a value, where it gets another kind than int, float, str
    and bytearray. (Several rows in one statement gain nothing: 16 take as long in large batches, longer in small ones.)
    """
    if not rows:
        return
    backend = backend_of(connection)
    text = _sql(statement, backend)
    if backend == "sqlite":
        rows = [tuple([bytearray(value) if type(value) is bytes else value for value in row]) for row in rows]
    if isinstance(connection, Straight):
        connection.many(text, rows)
    else:
        connection.exec_driver_sql(text, list(rows))


def select_in(connection: Session, statement: Select[Any], keys: Collection[str], **values: float) -> list[Any]:
    """The rows of a query whose bound list is named `keys`; `values` are its other parameters, which have defaults.

    SQLAlchemy's own path costs 60 us more per statement, for lists whose length it cannot know and for the columns of
    results. Here lists are filled up to a power of two with their last key, so that a few texts serve all lengths.
    """
    rows: list[Any] = []
    backend = backend_of(connection)
    for chunk in chunks(keys, IN_LIST):
        size = 1 << (len(chunk) - 1).bit_length()
        text, before, after, constants = _listed(statement, backend, size)
        known = {**constants, **values}
        filled = (*chunk, *chunk[-1:] * (size - len(chunk)))
        parameters = (*[known[place] for place in before], *filled, *[known[place] for place in after])
        rows += fetched(connection, text, parameters)
    return rows


def select(connection: Session, statement: Select[Any]) -> Sequence[Any]:
    """The rows of a query whose only values are constants."""
    return fetched(connection, _constant(statement, backend_of(connection)), ())


def backend_of(connection: Session) -> str:
    """ "sqlite" or "postgresql"."""
    return connection.backend if isinstance(connection, Straight) else connection.dialect.name


def fetched(connection: Session, text: str, parameters: tuple[object, ...]) -> Sequence[Any]:
    """The rows that the driver gives for a text; places as it writes them: `?` or `%s`."""
    if isinstance(connection, Straight):
        return connection.rows(text, parameters)
    driver = connection.connection.driver_connection
    if isinstance(driver, sqlite3.Connection):
        return driver.execute(text, parameters).fetchall()
    return connection.exec_driver_sql(text, parameters).all()


def changed(connection: Session, text: str, parameters: tuple[object, ...]) -> None:
    """Run a text that gives no rows."""
    if isinstance(connection, Straight):
        connection.run(text, parameters)
    else:
        connection.exec_driver_sql(text, parameters)


def chunks(items: Iterable[T], size: int) -> Iterator[list[T]]:
    """Lists of at most `size` items, in order."""
    rest = iter(items)
    while chunk := list(islice(rest, size)):
        yield chunk


@cache
def _sql(statement: Insert, backend: str) -> str:
    return str(statement.compile(dialect=_POSITIONAL[backend]))


@cache
def _constant(statement: Select[Any], backend: str) -> str:
    return str(statement.compile(dialect=_POSITIONAL[backend], compile_kwargs={"literal_binds": True}))


@cache
def _listed(
    statement: Select[Any], backend: str, size: int
) -> tuple[str, Sequence[str], Sequence[str], Mapping[str, object]]:
    """The text for a list of `size`, the names of the places before and behind it, and the values that are fixed."""
    compiled = statement.compile(dialect=_POSITIONAL[backend])
    values = compiled.construct_params({"keys": [""] * size})
    expanded = compiled.construct_expanded_state(values)
    places = list(expanded.positiontup or ())
    first = places.index("keys_1")
    fixed = {name: value for name, value in values.items() if name != "keys"}
    return expanded.statement, places[:first], places[first + size :], fixed
