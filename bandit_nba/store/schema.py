"""The schema in a database: made new at the newest revision, and refused where its revision is not ours.

Revisions are numbers of four digits, those of the files in `migrations.versions`. They stand in Alembic's own table;
releases before it kept a number in `meta`, which therefore says 3 from then on: such a release sees a newer schema.
"""

import re
from pathlib import Path

import sqlalchemy as sa

from bandit_nba.errors import StoreError
from bandit_nba.store.tables import meta, metadata

MIGRATIONS = Path(__file__).parent / "migrations"
OLDEST = "0002"
"""The first revision that can be migrated."""

revisions = sa.Table("alembic_version", sa.MetaData(), sa.Column("version_num", sa.String(32), primary_key=True))

_NAME = "schema_version"
_SINCE_REVISIONS = "3"
_LOCK = 7_243_501_338  # PostgreSQL advisory lock, any fixed number; SQLite's write transaction needs none
_FILE = re.compile(r"v(\d{4})_\w+\.py")
_NOT_BYTE_ORDERED = sa.text(
    "SELECT table_name, column_name FROM information_schema.columns WHERE table_schema = current_schema()"
    " AND data_type IN ('text', 'character varying') AND collation_name IS DISTINCT FROM 'C'"
    " AND table_name = ANY(:tables) ORDER BY 1, 2"
)


def newest() -> str:
    """The revision that this program works with: that of the last file in `migrations.versions`."""
    names = (_FILE.fullmatch(path.name) for path in (MIGRATIONS / "versions").iterdir())
    return max(name[1] for name in names if name)


def lock(connection: sa.Connection) -> None:
    """Let nobody else create or migrate the schema until this write transaction has ended."""
    if connection.dialect.name == "postgresql":
        connection.execute(sa.select(sa.func.pg_advisory_xact_lock(_LOCK)))


def create(connection: sa.Connection) -> None:
    """Create the newest schema, inside the caller's write transaction, where there is none."""
    lock(connection)
    if revision(connection) is None:
        metadata.create_all(connection)
        order_by_bytes(connection)
        connection.execute(sa.insert(meta).values(name=_NAME, value=_SINCE_REVISIONS))
        stamp(connection, newest())


def stamp(connection: sa.Connection, found: str) -> None:
    """Write down the revision of a schema that has none yet."""
    revisions.create(connection)
    connection.execute(sa.insert(revisions).values(version_num=found))


def revision(connection: sa.Connection) -> str | None:
    """The schema's revision, None where there is no schema."""
    tables = sa.inspect(connection)
    if tables.has_table(revisions.name):
        return connection.execute(sa.select(revisions.c.version_num)).scalar_one_or_none()
    if not tables.has_table(meta.name):
        return None
    value = connection.scalar(sa.select(meta.c.value).where(meta.c.name == _NAME))
    return None if value is None else f"{int(value):04d}"


def order_by_bytes(connection: sa.Connection) -> None:
    """Let PostgreSQL compare texts byte by byte, as SQLite does, whatever language its database was made for.

    Ids then have one order everywhere, indexes serve comparisons with them, and no update of the system's locales can
    break an index.
    """
    if connection.dialect.name != "postgresql":
        return
    for table, column in connection.execute(_NOT_BYTE_ORDERED, {"tables": list(metadata.tables)}).all():
        kind = metadata.tables[table].c[column].type.compile(connection.dialect)
        connection.exec_driver_sql(f'ALTER TABLE "{table}" ALTER COLUMN "{column}" TYPE {kind} COLLATE "C"')


def check(found: str | None, *, where: str) -> None:
    """Refuse a database that holds no schema, or another revision of it.

    Raises
    ------
    StoreError
        If the revision is not `newest()`.
    """
    known = newest()
    if found == known:
        return
    if found is None:
        raise StoreError("holds no tables of this program", where=where, hint="the first `nba serve DIR` makes them")
    check_known(found, where=where)
    raise StoreError(
        "has an older schema than this program",
        where=where,
        got=f"schema {found}",
        allowed=f"schema {known}",
        hint="stop the service, then `nba migrate DIR`",
    )


def check_known(found: str, *, where: str) -> None:
    """Refuse a schema that cannot be migrated: a newer one, or one older than all migrations."""
    known = newest()
    if OLDEST <= found <= known:
        return
    raise StoreError(
        f"has {'a newer' if found > known else 'too old a'} schema for this program",
        where=where,
        got=f"schema {found}",
        allowed=f"schema {OLDEST} to {known}",
        hint="install the release that wrote it, or a later one" if found > known else "use the release that wrote it",
    )
