"""The schema in a database: created once under a lock, and refused where its version is not ours."""

import sqlalchemy as sa

from bandit_nba.errors import StoreError
from bandit_nba.store.tables import SCHEMA_VERSION, meta, metadata

_NAME = "schema_version"
_LOCK = 7_243_501_338  # PostgreSQL advisory lock, any fixed number; SQLite's write transaction needs none


def create(connection: sa.Connection) -> None:
    """Create what is missing, inside the caller's write transaction; doing it again changes nothing."""
    if connection.dialect.name == "postgresql":
        connection.execute(sa.select(sa.func.pg_advisory_xact_lock(_LOCK)))
    if version(connection) is None:
        metadata.create_all(connection)
        connection.execute(sa.insert(meta).values(name=_NAME, value=str(SCHEMA_VERSION)))


def version(connection: sa.Connection) -> int | None:
    """The schema's version, None where there is no schema."""
    if not sa.inspect(connection).has_table(meta.name):
        return None
    value = connection.scalar(sa.select(meta.c.value).where(meta.c.name == _NAME))
    return None if value is None else int(value)


def check(found: int | None, *, where: str) -> None:
    """Refuse a database that holds no schema, or another version of it.

    Raises
    ------
    StoreError
        If the version is not `SCHEMA_VERSION`.
    """
    if found == SCHEMA_VERSION:
        return
    if found is None:
        raise StoreError("holds no tables of this program", where=where, hint="`nba init DIR` makes a workspace")
    newer = found > SCHEMA_VERSION
    raise StoreError(
        f"has {'a newer' if newer else 'an older'} schema than this program",
        where=where,
        got=found,
        allowed=f"schema version {SCHEMA_VERSION}",
        hint="install a newer release of this program" if newer else "open it with the release that wrote it",
    )
