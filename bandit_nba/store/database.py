"""One database, many threads and processes: read snapshots and short write transactions.

SQLite by default (WAL, synchronous=FULL: a commit that returned survives a power loss), PostgreSQL by its URL.
"""

import contextlib
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from typing import Any, cast

import sqlalchemy as sa

from bandit_nba.errors import SettingsError, StoreBusyError, StoreError
from bandit_nba.store import schema
from bandit_nba.store.driver import failure, sqlite
from bandit_nba.store.driver.straight import Straight
from bandit_nba.store.driver.turns import Turns

BUSY_S = 10.0
"""How long a transaction waits for its turn before it is refused with `StoreBusyError`."""


def sqlite_url(path: Path) -> str:
    """The URL of an SQLite file, whatever characters its path holds."""
    return sa.URL.create("sqlite", database=str(path.absolute())).render_as_string()


def is_missing(url: str | sa.URL) -> bool:
    """Whether this is an SQLite file that is not there (yet)."""
    parsed = parsed_url(url)
    return _is_sqlite(parsed) and not Path(str(parsed.database)).exists()


class Database:
    """The store's transactions; safe to share between threads, one object per process (never across a fork).

    An error of the store (locked, full, read-only, damaged, gone) leaves a transaction as `StoreError`; a broken
    constraint leaves it as SQLAlchemy's `IntegrityError`, since only the caller knows what it means.
    """

    def __init__(self, *, where: str, reader: sa.Engine, writer: sa.Engine, is_lost: Callable[[Any], bool]) -> None:
        self.where = where
        self._is_lost = is_lost
        self._reader = reader
        self._writer = writer
        self._turns = Turns() if writer.dialect.name == "sqlite" else None
        self._closed = False
        self._straight_writer: sqlite3.Connection | None = None
        self._idle_readers: list[sqlite3.Connection] = []

    @property
    def is_closed(self) -> bool:
        """Whether transactions are refused, since `close` was called."""
        return self._closed

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
        parsed = parsed_url(url)
        if _is_sqlite(parsed):
            where = str(parsed.database)
            sqlite.prepare_file(Path(where), create=create)
            engines = {"reader": sqlite.reader(parsed, busy_s=BUSY_S), "writer": sqlite.writer(parsed, busy_s=BUSY_S)}
            return cls(where=where, is_lost=sqlite.is_lost, **engines)
        from bandit_nba.store.driver import postgresql  # its driver takes time to load

        engines = {
            "reader": postgresql.reader(parsed, busy_s=BUSY_S),
            "writer": postgresql.writer(parsed, busy_s=BUSY_S),
        }
        return cls(where=postgresql.place(parsed), is_lost=postgresql.is_lost, **engines)

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
        with self._turn():
            try:
                with self._transaction(self._writer) as connection:
                    yield connection
                    self._check_kept(connection.connection.driver_connection)
            except BaseException:
                self._straight_writer = None  # its connection may be closed because of that
                raise

    @contextmanager
    def read_straight(self) -> Iterator[Straight]:
        """As `read`, for statements that go to the driver as they are."""
        if self._turns is None:
            with self.read() as connection:
                yield Straight(connection.connection.driver_connection, "postgresql")
            return
        with _Meant(self, self._reader.dialect):
            driver = self._idle_reader() or self._one_more_reader()
            try:
                sqlite.begin_snapshot(driver)
                yield Straight(driver, "sqlite")
                sqlite.commit(driver)
            except BaseException:
                driver.close()  # whatever it is: the next read begins with a fresh one
                raise
            self._idle_readers.append(driver)
            if self._closed:
                self._close_idle_readers()

    @contextmanager
    def write_straight(self) -> Iterator[Straight]:
        """As `write`, for statements that go to the driver as they are."""
        if self._turns is None:
            with self.write() as connection:
                yield Straight(connection.connection.driver_connection, "postgresql")
            return
        with self._turn(), _Meant(self, self._writer.dialect):
            driver = self._straight_writer or self._pooled_writer()
            try:
                sqlite.begin_immediate(driver, BUSY_S)
                yield Straight(driver, "sqlite")
                self._check_kept(driver)
                sqlite.commit(driver)
            except BaseException as error:
                self._give_up(error)
                raise

    def close(self) -> None:
        """Close all connections; transactions that begin later are refused."""
        self._closed = True
        self._close_idle_readers()
        self._reader.dispose()
        with contextlib.suppress(StoreBusyError), self._turn():
            self._straight_writer = None
        self._writer.dispose()

    def _turn(self) -> AbstractContextManager[None]:
        """Among this process's writers; PostgreSQL needs none."""
        return self._turns.turn(wait_s=BUSY_S, where=self.where) if self._turns else nullcontext()

    def _check_schema(self, *, create: bool) -> None:
        with self.read() as connection:
            found = schema.revision(connection)
        if found is None and create:
            with self.write() as connection:
                schema.create(connection)
                found = schema.revision(connection)
        schema.check(found, where=self.where)

    def _check_kept(self, driver: Any) -> None:
        if self._is_lost(driver):
            raise StoreError(
                "gave up the transaction after an error",
                where=self.where,
                hint="do not catch errors inside a transaction",
            )

    @contextmanager
    def _transaction(self, engine: sa.Engine) -> Iterator[sa.Connection]:
        with (
            _Meant(self, engine.dialect),
            engine.connect() as connection,
            _never_reused_after_damage(connection),
            connection.begin(),
        ):
            yield connection

    def _one_more_reader(self) -> sqlite3.Connection:
        """A connection of our own: getting one from the pool and back costs more than a short read."""
        pooled = self._reader.raw_connection()
        driver = cast(sqlite3.Connection, pooled.driver_connection)
        pooled.detach()
        return driver

    def _idle_reader(self) -> sqlite3.Connection | None:
        try:
            return self._idle_readers.pop()
        except IndexError:
            return None

    def _close_idle_readers(self) -> None:
        while (driver := self._idle_reader()) is not None:
            driver.close()

    def _pooled_writer(self) -> sqlite3.Connection:
        """The pool's only connection, which whoever has the turn may use; it is asked for anew after each failure."""
        pooled = self._writer.raw_connection()
        self._straight_writer = cast(sqlite3.Connection, pooled.driver_connection)
        pooled.close()
        return self._straight_writer

    def _give_up(self, error: BaseException) -> None:
        """Leave nothing of a transaction behind: the pool rolls back what it gets, or opens a fresh connection."""
        self._straight_writer = None
        if self._closed:
            return
        pooled = self._writer.raw_connection()
        found = failure.meaning(error) if isinstance(error, sqlite3.Error) else None
        if found is not None and found.reopen:
            pooled.invalidate(error)
        pooled.close()


class _Meant:
    """Errors as their callers know them, whichever way the statement took."""

    __slots__ = ("_database", "_dialect")

    def __init__(self, database: Database, dialect: sa.Dialect) -> None:
        self._database = database
        self._dialect = dialect

    def __enter__(self) -> None:
        if self._database.is_closed:
            raise StoreError("is closed", where=self._database.where)

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if error is None or not isinstance(error, sa.exc.SQLAlchemyError | self._dialect.loaded_dbapi.Error):
            return
        found = failure.meaning(error)
        if found is not None:
            raise failure.store_error(error, found, where=self._database.where) from error
        if isinstance(error, self._dialect.loaded_dbapi.IntegrityError):
            raise sa.exc.IntegrityError(None, None, error, hide_parameters=True) from error


@contextmanager
def _never_reused_after_damage(connection: sa.Connection) -> Iterator[None]:
    """A connection whose file was moved, cut or unreadable is closed; the next transaction opens a fresh one."""
    try:
        yield
    except (sa.exc.SQLAlchemyError, connection.dialect.loaded_dbapi.Error) as error:
        found = failure.meaning(error)
        if found is not None and found.reopen and not connection.invalidated:
            connection.invalidate(error)
        raise


def parsed_url(url: str | sa.URL) -> sa.URL:
    """A store's URL in its parts.

    Raises
    ------
    SettingsError
        If it is none, or of another kind of database.
    """
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
