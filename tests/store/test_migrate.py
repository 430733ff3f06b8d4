"""An older store becomes today's after a backup, once, as a whole or not at all; others are refused."""

import logging
import signal
import sqlite3
import subprocess
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory

from bandit_nba.errors import StoreError
from bandit_nba.store import schema
from bandit_nba.store.database import Database, sqlite_url
from bandit_nba.store.log import decisions
from bandit_nba.store.migrate import Migrated, migrate, upgrade
from bandit_nba.store.tables import metadata
from tests.postgres import Server

Start = Callable[..., "subprocess.Popen[str]"]
AT_S = 1_700_000_000.0  # 2023-11-14T22:13:20Z


def released(url: str) -> None:
    """A store as the last release without migrations left it, with rows."""
    database = Database.unchecked(url, create=True)
    with database.write() as connection:
        upgrade(connection, to="0002")
        schema.revisions.drop(connection)
        connection.execute(sa.text("INSERT INTO leases VALUES ('learner', 'ä', 7, 1.5)"))
        connection.execute(sa.text("INSERT INTO customers VALUES ('c1', '{}', 2.5)"))
        connection.execute(
            sa.text(
                "INSERT INTO decisions (id, customer, channel, decided_at, valid_until, matures_at, kind, arm, arms,"
                " probabilities, expected_rewards, removed, catalogue_version, policy_version, feature_version,"
                " reward_version, model_version, salt_id, component, assignment, experiment, support, payload_sha256,"
                " answer) VALUES ('d1', 'c1', 'app', 1, 2, 3, 'normal', 'a/t', '[]', '[]', '[]', '{}', 'c', 'p', 'f',"
                " 'r', 'none', 's1', '', 'none', '', true, 'x', :answer)"
            ),
            {"answer": b"yes"},
        )
        connection.execute(sa.text("INSERT INTO decision_facts VALUES ('d1', :facts)"), {"facts": b'{"age":7}'})
    database.close()


def shape(url: str) -> dict[str, Any]:
    """What a database knows of its tables, in its own words."""
    database = Database.unchecked(url, create=False)
    with database.read() as connection:
        tables = sa.inspect(connection)
        found: dict[str, Any] = {}
        for name in sorted(tables.get_table_names()):
            found[name] = [
                sorted((c["name"], repr(c["type"]), c["nullable"], c["default"]) for c in tables.get_columns(name)),
                tables.get_pk_constraint(name)["constrained_columns"],
                sorted(str(sorted(unique["column_names"])) for unique in tables.get_unique_constraints(name)),
            ]
        if connection.dialect.name == "sqlite":
            indexes = "SELECT name, sql FROM sqlite_master WHERE type = 'index' AND sql IS NOT NULL"
        else:
            indexes = "SELECT indexname, indexdef FROM pg_indexes WHERE schemaname = 'public'"
        found["indexes"] = sorted(map(tuple, connection.execute(sa.text(indexes))))
    database.close()
    return found


def revision(url: str) -> str | None:
    database = Database.unchecked(url, create=False)
    with database.read() as connection:
        found = schema.revision(connection)
    database.close()
    return found


@pytest.fixture
def old(empty_url: str) -> str:
    released(empty_url)
    return empty_url


def test_there_is_one_newest_revision_and_each_follows_the_one_before() -> None:
    config = Config()
    config.set_main_option("script_location", str(schema.MIGRATIONS))
    config.set_main_option("path_separator", "os")
    script = ScriptDirectory.from_config(config)
    known = [found.revision for found in script.walk_revisions()][::-1]

    assert script.get_heads() == [schema.newest()]
    assert known == [f"{number:04d}" for number in range(2, len(known) + 2)]


def test_a_released_store_keeps_its_rows_and_gets_the_schema_of_a_new_one(
    old: str, url: str, database: Database
) -> None:
    done = migrate(old, backed_up=True, clock=lambda: AT_S)

    assert done is not None
    assert (done.before, done.after) == ("0002", schema.newest())
    assert shape(old) == shape(url)
    migrated = Database.open(old, create=False)
    with migrated.read() as connection:
        assert connection.execute(sa.text("SELECT * FROM leases")).all() == [("learner", "ä", 7, 1.5)]
        stored = decisions.get(connection, "d1")
        assert connection.execute(sa.text("SELECT replaced_at, told_at FROM customers")).all() == [(2.5, None)]
    migrated.close()
    assert stored is not None
    assert (stored.customer, stored.answer, stored.picked, stored.facts) == ("c1", b"yes", None, b'{"age":7}')
    with database.read() as connection:
        assert schema.revision(connection) == schema.newest()


def test_the_migrated_schema_is_that_of_the_tables(old: str) -> None:
    migrate(old, backed_up=True)
    database = Database.open(old, create=False)
    with database.read() as connection:
        found = compare_metadata(MigrationContext.configure(connection, opts={"compare_type": True}), metadata)
    database.close()

    assert found == []


@pytest.mark.usefixtures("database")
def test_the_newest_schema_is_left_alone(url: str) -> None:
    before = shape(url)

    assert migrate(url) == Migrated(schema.newest(), schema.newest())
    assert shape(url) == before


def test_where_there_is_no_store_yet_there_is_nothing_to_do(empty_url: str) -> None:
    assert migrate(empty_url) is None


def test_an_old_store_is_refused_until_it_is_migrated(old: str) -> None:
    with pytest.raises(StoreError, match=r"older schema.*got 'schema 0002'.*Hint: .*nba migrate DIR"):
        Database.open(old)

    assert revision(old) == "0002"


@pytest.mark.parametrize(("version", "words"), [("999", "a newer schema"), ("1", "too old a schema")])
def test_what_cannot_be_migrated_is_refused_and_left_alone(old: str, version: str, words: str) -> None:
    database = Database.unchecked(old, create=False)
    with database.write() as connection:
        connection.execute(sa.text("UPDATE meta SET value = :v WHERE name = 'schema_version'"), {"v": version})
    database.close()
    for attempt in (lambda: Database.open(old), lambda: migrate(old, backed_up=True)):
        with pytest.raises(StoreError, match=words) as caught:
            attempt()
        assert caught.value.got == f"schema {version:0>4}"
        assert schema.newest() in caught.value.allowed


def test_a_revision_that_is_not_known_is_newer(url: str, database: Database) -> None:
    with database.write() as connection:
        connection.execute(sa.update(schema.revisions).values(version_num="9999"))
    with pytest.raises(StoreError, match=r"a newer schema.*9999.*install the release that wrote it"):
        Database.open(url)


def test_sqlite_is_copied_beside_before_anything_changes(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    url = sqlite_url(tmp_path / "nba.db")
    released(url)
    (tmp_path / "nba.db").chmod(0o600)
    with caplog.at_level(logging.INFO, "nba.store"):
        done = migrate(url, clock=lambda: AT_S)

    assert done is not None
    assert done.backup == tmp_path / "nba-schema-0002-20231114T221320Z.db"
    assert done.backup.stat().st_mode & 0o777 == 0o600
    assert str(done.backup) in caplog.text
    assert revision(sqlite_url(done.backup)) == "0002"
    with closing(sqlite3.connect(done.backup)) as copy:
        assert copy.execute("SELECT id, answer FROM decisions").fetchall() == [("d1", b"yes")]
    assert not list(tmp_path.glob("*.part"))


def test_without_room_for_the_copy_nothing_is_migrated(tmp_path: Path) -> None:
    url = sqlite_url(tmp_path / "nba.db")
    released(url)
    (tmp_path / "nba-schema-0002.part").mkdir()  # no copy can be written there
    with pytest.raises(StoreError, match="copy before the migration cannot be written"):
        migrate(url)

    assert revision(url) == "0002"


def test_postgresql_is_not_migrated_without_a_word_of_a_backup(postgres: Server) -> None:
    url = postgres.empty()
    released(url)
    with pytest.raises(StoreError, match="without a backup"):
        migrate(url)

    assert revision(url) == "0002"
    assert migrate(url, backed_up=True) == Migrated("0002", schema.newest())
    postgres.drop(url)


def test_processes_that_start_at_once_migrate_once(old: str, start: Start, tmp_path: Path) -> None:
    processes = [start("migrate", old, f"p{i}", 0.0) for i in range(3)]
    outputs = [process.communicate(timeout=60)[0].split() for process in processes]

    assert all(process.returncode == 0 for process in processes)
    assert sorted(outputs) == sorted([["0002", schema.newest()], *[[schema.newest()] * 2] * 2])
    assert len(list(tmp_path.glob("*-schema-0002-*.db"))) == old.startswith("sqlite")


@pytest.mark.parametrize("statement", [2, 7])
@pytest.mark.usefixtures("database")
def test_a_kill_in_mid_migration_leaves_the_old_schema_whole(old: str, url: str, start: Start, statement: int) -> None:
    """The process kills itself before the n-th statement that changes the schema."""
    process = start("migrate_killed", old, str(statement), 0.0)
    process.communicate(timeout=60)

    assert process.returncode == -signal.SIGKILL
    assert revision(old) == "0002"
    with pytest.raises(StoreError, match="older schema"):
        Database.open(old)
    done = migrate(old, backed_up=True)
    assert done is not None
    assert done.before == "0002"
    assert shape(old) == shape(url)
