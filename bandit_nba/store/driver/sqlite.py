"""SQLite: one file, many readers, one writer at a time; a commit that returned survives a power loss."""

import random
import sqlite3
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar, cast

import sqlalchemy as sa

from bandit_nba.errors import StoreError
from bandit_nba.store.driver import failure

T = TypeVar("T")

_READERS = 16
_PAUSE_S = (0.000_2, 0.002)
_WAL_LIMIT_BYTES = 64 * 2**20
_PAGE_BYTES = 8_192  # of a new file: three rows of a decision fit, where 4,096 hold one
_CHECKPOINT_PAGES = 4_000  # 32 MB; random ids touch index pages again and again: SQLite's 4 MB cost a third more
_CACHE_KIB = 32_768  # SQLite's 2 MB cannot hold what 256 decisions change, and writes pages twice
# Pages and cache together: 16 % more decisions a second at 256 clients, and as many at one.


def prepare_file(path: Path, *, create: bool) -> None:
    """Make the file's folder, or refuse a file that is not there."""
    if not create and not path.exists():
        raise StoreError(
            "there is no such file", where=str(path), hint="`nba serve DIR` makes it; `nba init DIR` makes a workspace"
        )
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StoreError(f"its folder cannot be made ({error})", where=str(path)) from error


def reader(url: sa.URL, *, busy_s: float) -> sa.Engine:
    """Snapshots that cannot write."""
    engine = sa.create_engine(
        url, pool_size=_READERS, pool_timeout=busy_s, connect_args={"timeout": busy_s}, hide_parameters=True
    )
    sa.event.listen(engine, "connect", lambda driver, _: _configure_reader(driver, busy_s))
    sa.event.listen(engine, "begin", lambda connection: begin_snapshot(_driver(connection)))
    return engine


def writer(url: sa.URL, *, busy_s: float) -> sa.Engine:
    """Transactions that hold the write lock from their start, on one connection.

    With one, threads take turns rather than poll SQLite against each other, and SQLite's cache stays warm.
    """
    engine = sa.create_engine(url, pool_size=1, max_overflow=0, connect_args={"timeout": 0.0}, hide_parameters=True)
    sa.event.listen(engine, "connect", lambda driver, _: _configure_writer(driver, busy_s))
    sa.event.listen(engine, "begin", lambda connection: begin_immediate(_driver(connection), busy_s))
    return engine


def is_lost(driver: sqlite3.Connection) -> bool:
    """Whether SQLite ended the transaction by itself after an error; sqlite3's `commit` would do nothing, silently."""
    return not driver.in_transaction


def commit(driver: sqlite3.Connection) -> None:
    """End a transaction: what was written is on disk."""
    driver.commit()


def _configure(driver: sqlite3.Connection, busy_s: float) -> None:
    # Python 3.11's sqlite3 begins transactions by its own rules (never before DDL or SELECT); None leaves it to us.
    driver.isolation_level = None
    driver.execute(f"PRAGMA page_size={_PAGE_BYTES}")
    mode = _patiently(lambda: driver.execute("PRAGMA journal_mode=WAL").fetchone()[0], busy_s)
    if mode != "wal":
        raise StoreError("its file system cannot hold a write-ahead log", got=mode, allowed="journal mode wal")
    driver.execute("PRAGMA synchronous=FULL")
    driver.execute("PRAGMA fullfsync=ON")  # macOS: fsync alone leaves data in the disk's cache; no effect elsewhere
    driver.execute(f"PRAGMA journal_size_limit={_WAL_LIMIT_BYTES}")
    driver.execute(f"PRAGMA wal_autocheckpoint={_CHECKPOINT_PAGES}")


def _configure_writer(driver: sqlite3.Connection, busy_s: float) -> None:
    _configure(driver, busy_s)
    driver.execute(f"PRAGMA cache_size=-{_CACHE_KIB}")


def _configure_reader(driver: sqlite3.Connection, busy_s: float) -> None:
    _configure(driver, busy_s)
    driver.execute("PRAGMA query_only=ON")


def begin_snapshot(driver: sqlite3.Connection) -> None:
    """Begin to read."""
    driver.execute("BEGIN")


def begin_immediate(driver: sqlite3.Connection, busy_s: float) -> None:
    """Begin to write, once the lock is free."""
    _patiently(lambda: driver.execute("BEGIN IMMEDIATE"), busy_s)


def _driver(connection: sa.Connection) -> sqlite3.Connection:
    return cast(sqlite3.Connection, connection.connection.driver_connection)


def _patiently(run: Callable[[], T], busy_s: float) -> T:
    """Try until the lock is free, at most `busy_s`.

    SQLite's own busy handler sleeps up to 100 ms between tries, so that a process which writes all the time starves
    the others: with three such processes the longest wait was 1.8 s; polling every 0.2 to 2 ms it was 0.09 s.
    """
    deadline = time.monotonic() + busy_s
    while True:
        try:
            return run()
        except sqlite3.OperationalError as error:
            found = failure.meaning(error)
            if found is None or not found.busy or time.monotonic() > deadline:
                raise
        time.sleep(random.uniform(*_PAUSE_S))
