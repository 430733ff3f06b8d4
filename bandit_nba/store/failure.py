"""What a driver's error means to the caller: busy (try again), unusable (with a hint), or a mistake of ours."""

import sqlite3
from dataclasses import dataclass

import sqlalchemy as sa

from bandit_nba.errors import StoreBusyError, StoreError


@dataclass(frozen=True)
class Meaning:
    """One of SQLite's primary result codes, in words. reopen: a connection that met it should not be used again."""

    what: str
    hint: str
    busy: bool = False
    reopen: bool = False


_WRITABLE = "make the file and its folder writable for this user; SQLite also writes `-wal` and `-shm` beside it"
_RESTORE = "stop the service and restore a backup; keep the damaged file"
_SQLITE = {
    sqlite3.SQLITE_BUSY: Meaning("is locked by another process", "try again", busy=True),
    sqlite3.SQLITE_LOCKED: Meaning("is locked by another connection", "try again", busy=True),
    sqlite3.SQLITE_PROTOCOL: Meaning("is locked by too many processes at once", "try again", busy=True),
    sqlite3.SQLITE_FULL: Meaning("cannot grow: the disk or the quota is full", "free space; nothing need be restarted"),
    sqlite3.SQLITE_NOMEM: Meaning("cannot work: memory is exhausted", "free memory; nothing need be restarted"),
    sqlite3.SQLITE_PERM: Meaning("cannot be accessed", _WRITABLE, reopen=True),
    sqlite3.SQLITE_READONLY: Meaning("is read-only", _WRITABLE, reopen=True),
    sqlite3.SQLITE_CANTOPEN: Meaning("cannot be opened", _WRITABLE, reopen=True),
    sqlite3.SQLITE_IOERR: Meaning("cannot be read or written: a disk error", "check the disk", reopen=True),
    sqlite3.SQLITE_CORRUPT: Meaning("is damaged", _RESTORE, reopen=True),
    sqlite3.SQLITE_NOTADB: Meaning("is not an SQLite database, or is damaged", _RESTORE, reopen=True),
}


def meaning(error: Exception) -> Meaning | None:
    """The meaning of a driver's error; None where the store is not to blame (a constraint, a wrong statement)."""
    cause = error.orig if isinstance(error, sa.exc.DBAPIError) else error
    if isinstance(cause, sqlite3.Error):
        return _SQLITE.get(getattr(cause, "sqlite_errorcode", sqlite3.SQLITE_ERROR) & 0xFF)
    if isinstance(error, sa.exc.TimeoutError):
        return Meaning("has no free connection", "try again, or let fewer threads wait for it", busy=True)
    if isinstance(error, sa.exc.OperationalError | sa.exc.InterfaceError):
        return Meaning("cannot be reached", "check that the database server runs and that the URL is right")
    return None


def store_error(error: Exception, found: Meaning, *, where: str) -> StoreError:
    """`error` as a `StoreError`, a `StoreBusyError` where the same call may be tried again."""
    cause = error.orig if isinstance(error, sa.exc.DBAPIError) else error
    name = getattr(cause, "sqlite_errorname", type(cause).__name__)
    words = " ".join(str(cause).split())  # one line, whatever the driver writes
    kind = StoreBusyError if found.busy else StoreError
    return kind(f"{found.what} ({name}: {words})", where=where, hint=found.hint)
