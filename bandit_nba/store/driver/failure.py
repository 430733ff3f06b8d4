"""What a driver's error means to the caller: busy (try again), unusable (with a hint), or a mistake of ours."""

import sqlite3
from dataclasses import dataclass

import sqlalchemy as sa

from bandit_nba.errors import StoreBusyError, StoreError


@dataclass(frozen=True)
class Meaning:
    """What an error code says, in words. reopen: a connection that met it should not be used again."""

    what: str
    hint: str
    busy: bool = False
    reopen: bool = False


_WRITABLE = "make the file and its folder writable for this user; SQLite also writes `-wal` and `-shm` beside it"
_RESTORE = "stop the service and restore a backup; keep the damaged file"
_RESTORE_SERVER = "stop the service and restore a backup of the server"
_SQLITE = {
    sqlite3.SQLITE_BUSY: Meaning("is locked by another process", "try again", busy=True),
    sqlite3.SQLITE_LOCKED: Meaning("is locked by another connection", "try again", busy=True),
    sqlite3.SQLITE_PROTOCOL: Meaning("is locked by too many processes at once", "try again", busy=True),
    sqlite3.SQLITE_FULL: Meaning("cannot grow: the disk or the quota is full", "free space; nothing need be restarted"),
    sqlite3.SQLITE_NOMEM: Meaning("cannot work: memory is exhausted", "free memory; nothing need be restarted"),
    sqlite3.SQLITE_PERM: Meaning("cannot be accessed", _WRITABLE, reopen=True),
    sqlite3.SQLITE_READONLY: Meaning("is read-only", _WRITABLE, reopen=True),
    sqlite3.SQLITE_CANTOPEN: Meaning("cannot be opened", _WRITABLE, reopen=True),
    sqlite3.SQLITE_IOERR: Meaning(
        "cannot be read or written: a disk error", "check the disk, and its free space", reopen=True
    ),
    sqlite3.SQLITE_CORRUPT: Meaning("is damaged", _RESTORE, reopen=True),
    sqlite3.SQLITE_NOTADB: Meaning("is not an SQLite database, or is damaged", _RESTORE, reopen=True),
}


_GONE = Meaning("cannot be reached", "check that the database server runs; nothing need be restarted here", reopen=True)
_IN_THE_WAY = Meaning("was changed by another transaction at the same time", "try again", busy=True)
_POSTGRESQL = {  # by SQLSTATE, or the beginning that some have in common
    "08": _GONE,
    "57P": _GONE,  # the server stops, has crashed, or starts
    "57014": Meaning("took too long", "try again", busy=True),
    "25P03": Meaning("was left waiting in a transaction for too long", "try again", busy=True),
    "40": _IN_THE_WAY,
    "40P01": Meaning("was locked crosswise by another transaction", "try again", busy=True),
    "55P03": Meaning("is locked by another transaction", "try again", busy=True),
    "53": Meaning("cannot work: the server lacks resources", "free them; nothing need be restarted here"),
    "53100": Meaning("cannot grow: the server's disk is full", "free space on it; nothing need be restarted"),
    "53200": Meaning("cannot work: the server's memory is exhausted", "free memory; nothing need be restarted here"),
    "53300": Meaning(
        "has no free connection: the server takes no more", "try again, or raise max_connections", busy=True
    ),
    "25006": Meaning("is read-only", "let the URL name the primary server, not a standby", reopen=True),
    "28": Meaning("refuses the login", "check user, password (PGPASSWORD or ~/.pgpass) and pg_hba.conf"),
    "3D000": Meaning("is not there", "make the database: createdb NAME"),
    "42501": Meaning("does not let this user do it", "GRANT what is missing, or make the user the tables' owner"),
    "58": Meaning("cannot be read or written: an error of the server's system", "check the server's disk and its log"),
    "XX001": Meaning("is damaged", _RESTORE_SERVER),
    "XX002": Meaning("is damaged", _RESTORE_SERVER),
}
_REFUSALS = {  # a server that refuses a connection says so in words only; they are English where its messages are
    "too many clients": "53300",
    "remaining connection slots": "53300",
    "too many connections": "53300",
    "authentication failed": "28P01",
    "no pg_hba.conf entry": "28000",
    "no password supplied": "28P01",
    'role "': "28000",
    "does not exist": "3D000",
    "No space left": "53100",
}


def meaning(error: Exception) -> Meaning | None:
    """The meaning of a driver's error; None where the store is not to blame (a constraint, a wrong statement)."""
    cause = error.orig if isinstance(error, sa.exc.DBAPIError) else error
    if isinstance(cause, sqlite3.Error):
        return _SQLITE.get(getattr(cause, "sqlite_errorcode", sqlite3.SQLITE_ERROR) & 0xFF)
    if isinstance(error, sa.exc.TimeoutError):
        return Meaning("has no free connection", "try again, or let fewer threads wait for it", busy=True)
    if hasattr(cause, "sqlstate"):  # psycopg's
        return _of_postgresql(cause)
    if isinstance(error, sa.exc.OperationalError | sa.exc.InterfaceError):
        return _GONE
    return None


def _of_postgresql(error: BaseException | None) -> Meaning | None:
    """By the code where the server gave one; without one the connection was refused or lost."""
    code = getattr(error, "sqlstate", None)
    if code is None and type(error).__name__ in ("OperationalError", "ConnectionTimeout", "InterfaceError"):
        words = str(error)
        code = next((code for part, code in _REFUSALS.items() if part in words), "08006")
    if code is None:
        return None
    return next((_POSTGRESQL[code[:n]] for n in (5, 3, 2) if code[:n] in _POSTGRESQL), None)


def store_error(error: Exception, found: Meaning, *, where: str) -> StoreError:
    """`error` as a `StoreError`, a `StoreBusyError` where the same call may be tried again.

    A server's DETAIL is left out: it may quote rows.
    """
    cause = error.orig if isinstance(error, sa.exc.DBAPIError) else error
    name = getattr(cause, "sqlite_errorname", None) or getattr(cause, "sqlstate", None) or type(cause).__name__
    words = " ".join(str(cause).partition("\nDETAIL")[0].split())  # one line, whatever the driver writes
    kind = StoreBusyError if found.busy else StoreError
    return kind(f"{found.what} ({name}: {words})", where=where, hint=found.hint)


def in_doubt(error: BaseException) -> bool:
    """Whether a commit that failed with this may have happened all the same: the disk or the connection failed in it.

    SQLite gives such a commit up, but a crash before its next one finds it in the log; a server may have heard of it.
    """
    cause = error.__cause__
    found = meaning(cause) if isinstance(error, StoreError) and isinstance(cause, Exception) else None
    return found is not None and found.reopen
