"""One database, many threads and processes: read snapshots and short write transactions.

SQLite by default (WAL, synchronous=FULL: a commit that returned survives a power loss), PostgreSQL by its URL.
"""

import random
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import TypeVar, cast

import sqlalchemy as sa

from bandit_nba.errors import SettingsError, StoreError
from bandit_nba.store import failure, schema
from bandit_nba.store.turns import Turns

T = TypeVar("T")

BUSY_S = 10.0
"""How long a transaction waits for its turn before it is refused with `StoreBusyError`."""

_READERS = 16
_PAUSE_S = (0.000_2, 0.002)
_WAL_LIMIT_BYTES = 64 * 2**20
_CHECKPOINT_PAGES = 4_000  # 16 MB; random ids touch index pages again and again: 1.3 times the rows of SQLite's 1,000


def sqlite_url(path: Path) -> str:
    """The URL of an SQLite file, whatever characters its path holds."""
    return sa.URL.create("sqlite", database=str(path.absolute())).render_as_string()


def is_missing(url: str | sa.URL) -> bool:
    """Whether this is an SQLite file that is not there (yet)."""
    parsed = _parsed(url)
    return _is_sqlite(parsed) and not Path(str(parsed.database)).exists()


class Database:
    """The store's transactions; safe to share between threads, one object per process (never across a fork).

    An error of the store (locked, full, read-only, damaged, gone) leaves a transaction as `StoreError`; a broken
    constraint leaves it as SQLAlchemy's `IntegrityError`, since only the caller knows what it means.
    """

    def __init__(self, *, where: str, reader: sa.Engine, writer: sa.Engine) -> None:
        self.where = where
        self._reader = reader
        self._writer = writer
        self._turns = Turns() if writer.dialect.name == "sqlite" else None
        self._closed = False

    @classmethod
    def open(cls, url: str | sa.URL, *, create: bool = True) -> "Database":
        """Connect, and with `create` make file and tables where they are missing.

        Raises
        ------
        SettingsError
            If the URL is not one of SQLite (a file) or PostgreSQL.
        StoreError
            If it cannot be opened, holds no tables and `create` is False, or has another schema (see `migrate`).
        """
        database = cls.unchecked(url, create=create)
        try:
            database._check_schema(create=create)
        except BaseException:
            database.close()
            raise
        return database

    @classmethod
    def unchecked(cls, url: str | sa.URL, *, create: bool) -> "Database":
        """Connect, whatever schema is there; `create` is only about the file's folder. For migrations; else `open`."""
        parsed = _parsed(url)
        where = str(parsed.database) if _is_sqlite(parsed) else parsed.render_as_string(hide_password=True)
        if _is_sqlite(parsed):
            _prepare_file(Path(where), create=create)
        return cls(where=where, reader=_reader(parsed), writer=_writer(parsed))

    @contextmanager
    def read(self) -> Iterator[sa.Connection]:
        """A snapshot: every statement sees the same state, taken at the first one. Never waits for writers.

        Keep it short on SQLite: while it is open, the write-ahead log cannot be reused and grows.
        """
        with self._transaction(self._reader) as connection:
            yield connection

    @contextmanager
    def write(self) -> Iterator[sa.Connection]:
        """A write transaction that holds SQLite's write lock from its start: committed and on disk when it returns.

        What an exception leaves is rolled back. One at a time per process on SQLite: never nest it.
        """
        turn = self._turns.turn(wait_s=BUSY_S, where=self.where) if self._turns else nullcontext()
        with turn, self._transaction(self._writer) as connection:
            yield connection
            _refuse_lost_transaction(connection, where=self.where)

    def close(self) -> None:
        """Close all connections; transactions that begin later are refused."""
        self._closed = True
        self._reader.dispose()
        self._writer.dispose()

    def _check_schema(self, *, create: bool) -> None:
        with self.read() as connection:
            found = schema.revision(connection)
        if found is None and create:
            with self.write() as connection:
                schema.create(connection)
                found = schema.revision(connection)
        schema.check(found, where=self.where)

    @contextmanager
    def _transaction(self, engine: sa.Engine) -> Iterator[sa.Connection]:
        if self._closed:
            raise StoreError("is closed", where=self.where)
        try:
            with engine.connect() as connection, _never_reused_after_damage(connection), connection.begin():
                yield connection
        except (sa.exc.SQLAlchemyError, sqlite3.Error) as error:
            found = failure.meaning(error)
            if found is None:
                raise
            raise failure.store_error(error, found, where=self.where) from error


@contextmanager
def _never_reused_after_damage(connection: sa.Connection) -> Iterator[None]:
    """A connection whose file was moved, cut or unreadable is closed; the next transaction opens a fresh one."""
    try:
        yield
    except (sa.exc.SQLAlchemyError, sqlite3.Error) as error:
        found = failure.meaning(error)
        if found is not None and found.reopen and not connection.invalidated:
            connection.invalidate(error)
        raise


def _refuse_lost_transaction(connection: sa.Connection, *, where: str) -> None:
    """SQLite ends a transaction by itself on some errors; sqlite3's `commit` would then do nothing, silently."""
    driver = connection.connection.driver_connection
    if isinstance(driver, sqlite3.Connection) and not driver.in_transaction:
        raise StoreError(
            "gave up the transaction after an error", where=where, hint="do not catch errors inside a transaction"
        )


def _parsed(url: str | sa.URL) -> sa.URL:
    try:
        parsed = sa.make_url(url)
    except sa.exc.ArgumentError as error:
        raise SettingsError(f"is not a database URL ({error})", where="database") from None
    backend = parsed.get_backend_name()
    if backend == "postgresql" or (backend == "sqlite" and parsed.database and ":memory:" not in parsed.database):
        return parsed
    raise SettingsError(
        "database of another kind",
        where="database",
        got=parsed.render_as_string(hide_password=True),
        allowed="sqlite:////absolute/path/to/file.db (a file) or postgresql://user@host/name",
    )


def _is_sqlite(url: sa.URL) -> bool:
    return url.get_backend_name() == "sqlite"


def _prepare_file(path: Path, *, create: bool) -> None:
    if not create and not path.exists():
        raise StoreError(
            "there is no such file", where=str(path), hint="`nba serve DIR` makes it; `nba init DIR` makes a workspace"
        )
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StoreError(f"its folder cannot be made ({error})", where=str(path)) from error


def _reader(url: sa.URL) -> sa.Engine:
    if not _is_sqlite(url):
        options = {"postgresql_readonly": True}
        return sa.create_engine(url, isolation_level="REPEATABLE READ", execution_options=options, pool_pre_ping=True)
    engine = sa.create_engine(url, pool_size=_READERS, pool_timeout=BUSY_S, connect_args={"timeout": BUSY_S})
    sa.event.listen(engine, "connect", _configure_reader)
    sa.event.listen(engine, "begin", _begin_snapshot)
    return engine


def _writer(url: sa.URL) -> sa.Engine:
    if not _is_sqlite(url):
        return sa.create_engine(url, pool_pre_ping=True)
    # One connection: threads take turns rather than poll SQLite against each other, and SQLite's cache stays warm.
    engine = sa.create_engine(url, pool_size=1, max_overflow=0, connect_args={"timeout": 0.0})
    sa.event.listen(engine, "connect", _configure)
    sa.event.listen(engine, "begin", _begin_immediate)
    return engine


def _configure(driver: sqlite3.Connection, _entry: object) -> None:
    # Python 3.11's sqlite3 begins transactions by its own rules (never before DDL or SELECT); None leaves it to us.
    driver.isolation_level = None
    mode = _patiently(lambda: driver.execute("PRAGMA journal_mode=WAL").fetchone()[0])
    if mode != "wal":
        raise StoreError("its file system cannot hold a write-ahead log", got=mode, allowed="journal mode wal")
    driver.execute("PRAGMA synchronous=FULL")
    driver.execute("PRAGMA fullfsync=ON")  # macOS: fsync alone leaves data in the disk's cache; no effect elsewhere
    driver.execute(f"PRAGMA journal_size_limit={_WAL_LIMIT_BYTES}")
    driver.execute(f"PRAGMA wal_autocheckpoint={_CHECKPOINT_PAGES}")


def _configure_reader(driver: sqlite3.Connection, entry: object) -> None:
    _configure(driver, entry)
    driver.execute("PRAGMA query_only=ON")


def _begin_snapshot(connection: sa.Connection) -> None:
    _driver(connection).execute("BEGIN")


def _begin_immediate(connection: sa.Connection) -> None:
    driver = _driver(connection)
    _patiently(lambda: driver.execute("BEGIN IMMEDIATE"))


def _driver(connection: sa.Connection) -> sqlite3.Connection:
    return cast(sqlite3.Connection, connection.connection.driver_connection)


def _patiently(run: Callable[[], T]) -> T:
    """Try until the lock is free, at most `BUSY_S`.

    SQLite's own busy handler sleeps up to 100 ms between tries, so that a process which writes all the time starves
    the others: with three such processes the longest wait was 1.8 s; polling every 0.2 to 2 ms it was 0.09 s.
    """
    deadline = time.monotonic() + BUSY_S
    while True:
        try:
            return run()
        except sqlite3.OperationalError as error:
            found = failure.meaning(error)
            if found is None or not found.busy or time.monotonic() > deadline:
                raise
        time.sleep(random.uniform(*_PAUSE_S))
