"""Bringing an older store up to date: one transaction, after a backup, by one process however many start at once.

SQLite: the write lock is taken first; then a copy is made beside the file, checked, and only then is anything changed.
PostgreSQL changes tables in transactions, too, but its backup is the operator's (`pg_dump`): without the word that
there is one nothing is migrated.
"""

import contextlib
import logging
import os
import shutil
import sqlite3
import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import sqlalchemy as sa

from bandit_nba.errors import StoreBusyError, StoreError
from bandit_nba.store import schema
from bandit_nba.store.database import Database, is_missing

log = logging.getLogger("nba.store")

WAIT_S = 900.0
"""How long a process waits for another that migrates the same store."""

_PAUSE_S = 0.2


@dataclass(frozen=True)
class Migrated:
    """What was done to a store. before, after: schema revisions, equal where nothing had to be done.

    backup: the copy of the store as it was; None where nothing was done, or on PostgreSQL.
    """

    before: str
    after: str
    backup: Path | None = None


def migrate(url: str | sa.URL, *, backed_up: bool = False, clock: Callable[[], float] = time.time) -> Migrated | None:
    """Give the store at `url` the newest schema; what has it already is left alone. None: there is no store yet.

    backed_up: says that there is a backup, which PostgreSQL demands. clock: seconds since the epoch, names the backup.

    Raises
    ------
    StoreError
        If its schema is newer or too old, the backup cannot be written, or a PostgreSQL store is to
        be migrated without a word of a backup. Nothing is changed then.
    """
    if is_missing(url):
        return None
    database = Database.unchecked(url, create=False)
    try:
        with database.read() as connection:
            found = schema.revision(connection)
        if found is None:
            return None
        if found == schema.newest():
            return Migrated(found, found)
        return _patiently(lambda: _migrate(database, backed_up=backed_up, clock=clock))
    finally:
        database.close()


def _migrate(database: Database, *, backed_up: bool, clock: Callable[[], float]) -> Migrated:
    with database.write() as connection:
        schema.lock(connection)
        before = schema.revision(connection)  # again: another process may have been quicker
        if before is None or before == schema.newest():
            schema.check(before, where=database.where)
            return Migrated(schema.newest(), schema.newest())
        schema.check_known(before, where=database.where)
        backup = None
        if connection.dialect.name == "sqlite":
            backup = _copy(Path(database.where), before, clock())
            log.info("the store as it was before its migration: %s", backup)
        elif not backed_up:
            raise StoreError(
                "has an older schema, and nothing is migrated without a backup",
                where=database.where,
                got=f"schema {before}",
                allowed=f"schema {schema.newest()}",
                hint="make one (`pg_dump`), stop the service, then `nba migrate DIR --backed-up`",
            )
        upgrade(connection, to="head")
        log.info("the store's schema was migrated from %s to %s", before, schema.newest())
    return Migrated(before, schema.newest(), backup)


def upgrade(connection: sa.Connection, *, to: str) -> None:
    """Run the revisions that are missing up to `to`, in the caller's write transaction.

    A store that a release before migrations has made is stamped first with what it is.
    """
    from alembic import command  # 0.1 s, which only a migration should cost
    from alembic.config import Config

    found = schema.revision(connection)
    if found is not None and not sa.inspect(connection).has_table(schema.revisions.name):
        schema.stamp(connection, found)
    config = Config(attributes={"connection": connection})
    config.set_main_option("script_location", str(schema.MIGRATIONS).replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    command.upgrade(config, to)
    schema.order_by_bytes(connection)


def _patiently(run: Callable[[], Migrated]) -> Migrated:
    deadline = time.monotonic() + WAIT_S
    while True:
        try:
            return run()
        except StoreBusyError:  # another process migrates, or a service of the release before still writes
            if time.monotonic() > deadline:
                raise
        time.sleep(_PAUSE_S)


def _copy(path: Path, before: str, now_s: float) -> Path:
    """A checked copy beside the file, under its name only once it is whole and on disk."""
    moment = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime(now_s))
    copy = path.with_name(f"{path.stem}-schema-{before}-{moment}.db")
    part = path.with_name(f"{path.stem}-schema-{before}.part")  # one name: what a crash left is used again
    try:
        part.unlink(missing_ok=True)
        part.touch()
        shutil.copymode(path, part)
        with closing(sqlite3.connect(path)) as source, closing(sqlite3.connect(part)) as target:
            source.backup(target)
            found = target.execute("PRAGMA quick_check(1)").fetchone()[0]
            target.execute("PRAGMA journal_mode=DELETE")  # one file, without a log beside it
        if found != "ok":
            raise StoreError("is damaged, so that it was not migrated", where=str(path), got=found)
        _to_disk(part)
        part.rename(copy)
        _to_disk(copy.parent)
    except (OSError, sqlite3.Error) as error:
        with contextlib.suppress(OSError):
            part.unlink(missing_ok=True)
        raise StoreError(
            f"the copy before the migration cannot be written ({error})",
            where=str(part),
            hint="nothing was changed; make room for a second copy of the store",
        ) from error
    return copy


def _to_disk(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
