"""All rows of a store as Parquet files, a file per table, from one snapshot; and back into an empty store.

The same files come out of SQLite and PostgreSQL, and go into either. `content` of a table is the sum of its rows'
BLAKE2b digests modulo 2^128: equal for equal rows in any order, so that it is compared across databases.
"""

import hashlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import pyarrow as pa
import pyarrow.parquet as pq
import sqlalchemy as sa

from bandit_nba.errors import StoreError
from bandit_nba.store import schema
from bandit_nba.store.migrate import upgrade
from bandit_nba.store.tables import FORMER, metadata

PAGE = 2_000
_DIGEST_BYTES = 16

Progress = Callable[[str, int], None]
"""Told a table's name and how many more of its rows are done."""


class TableDump(msgspec.Struct, frozen=True, kw_only=True):
    """One table: its rows, and what they add up to (see the head of this module)."""

    name: str
    rows: int
    content: str


def tables_of(connection: sa.Connection) -> list[sa.Table]:
    """This program's tables as the database has them, whatever its revision, by name."""
    there = set(sa.inspect(connection).get_table_names())
    reflected = sa.MetaData()
    reflected.reflect(connection, only=sorted(there & {*metadata.tables, *FORMER}))
    return [reflected.tables[name] for name in sorted(reflected.tables)]


def dump(connection: sa.Connection, folder: Path, progress: Progress) -> list[TableDump]:
    """Write every table of this snapshot into `folder`, as NAME.parquet; an empty table too."""
    return [_dump(connection, metadata.tables[name], folder, progress) for name in sorted(metadata.tables)]


def load(
    connection: sa.Connection, folder: Path, dumped: list[TableDump], *, revision: str, progress: Progress
) -> None:
    """Fill an empty database, in the caller's write transaction: the schema of then, the rows, today's schema.

    Raises
    ------
    StoreError
        If the database holds tables of this program, the schema cannot be made, or what was written reads otherwise
        than what was dumped. Nothing stays then, as the transaction is rolled back.
    """
    if tables_of(connection):
        hint = "restore into an empty database; one that a killed restore has filled is to be made anew"
        raise StoreError("the database holds data already", hint=hint)
    schema.check_known(revision, where="the backup")
    upgrade(connection, to=revision)
    tables = {table.name: table for table in tables_of(connection)}
    for one in dumped:
        table = tables.get(one.name)
        if table is None:
            raise StoreError("the backup holds a table that its schema does not have", where=one.name)
        connection.execute(sa.delete(table))  # a revision may have left rows of its own
        _load(connection, table, folder / f"{one.name}.parquet", progress)
        found = _summed(connection, table)
        if found != one:
            raise StoreError(
                "reads otherwise than what was backed up",
                where=one.name,
                got=f"{found.rows:,} rows, content {found.content}",
                allowed=f"{one.rows:,} rows, content {one.content}",
            )
    upgrade(connection, to="head")


def _dump(connection: sa.Connection, table: sa.Table, folder: Path, progress: Progress) -> TableDump:
    columns = pa.schema([pa.field(column.name, _kind(column.type)) for column in table.columns])
    rows, content = 0, 0
    with pq.ParquetWriter(folder / f"{table.name}.parquet", columns, compression="zstd") as writer:
        for page in _pages(connection, table):
            found = list(zip(*page, strict=True))
            arrays = [pa.array(values, type=field.type) for values, field in zip(found, columns, strict=True)]
            writer.write_batch(pa.record_batch(arrays, schema=columns))
            rows, content = rows + len(page), content + _digests(page)
            progress(table.name, len(page))
    return TableDump(name=str(table.name), rows=rows, content=_hex(content))


def _load(connection: sa.Connection, table: sa.Table, path: Path, progress: Progress) -> None:
    with pq.ParquetFile(path) as file:
        for batch in file.iter_batches(PAGE):
            rows = batch.to_pylist()
            connection.execute(sa.insert(table), rows)
            progress(table.name, len(rows))


def _summed(connection: sa.Connection, table: sa.Table) -> TableDump:
    rows, content = 0, 0
    for page in _pages(connection, table):
        rows, content = rows + len(page), content + _digests(page)
    return TableDump(name=str(table.name), rows=rows, content=_hex(content))


def _pages(connection: sa.Connection, table: sa.Table) -> Iterator[list[tuple[Any, ...]]]:
    found = connection.execute(sa.select(table), execution_options={"yield_per": PAGE})
    for page in found.partitions():
        yield [tuple(row) for row in page]


def _digests(page: list[tuple[Any, ...]]) -> int:
    encode = msgspec.msgpack.Encoder().encode
    return sum(int.from_bytes(hashlib.blake2b(encode(row), digest_size=_DIGEST_BYTES).digest(), "big") for row in page)


def _hex(content: int) -> str:
    return f"{content % (1 << (8 * _DIGEST_BYTES)):032x}"


def _kind(kind: sa.types.TypeEngine[Any]) -> pa.DataType:
    if isinstance(kind, sa.Boolean):
        return pa.bool_()
    if isinstance(kind, sa.Integer):
        return pa.int64()
    if isinstance(kind, sa.Float):
        return pa.float64()
    if isinstance(kind, sa.LargeBinary):
        return pa.binary()
    return pa.string()
