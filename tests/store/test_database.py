"""Transactions on a real file: isolated, durable, refused when they cannot be, and patient with other writers."""

import contextlib
import subprocess
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import sqlalchemy as sa

from bandit_nba.errors import SettingsError, StoreBusyError, StoreError
from bandit_nba.store import database as module
from bandit_nba.store.database import Database, sqlite_url
from bandit_nba.store.tables import definitions, meta
from tests.machine import time_lost

Start = Callable[..., "subprocess.Popen[str]"]


def add(connection: sa.Connection, version: str, content: bytes = b"{}") -> None:
    row = {"kind": "policy", "version": version, "content": content, "created_at": 1.0}
    connection.execute(sa.insert(definitions).values(row))


def versions(database: Database) -> list[str]:
    with database.read() as connection:
        return list(connection.execute(sa.select(definitions.c.version).order_by(definitions.c.version)).scalars())


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> float:
    monkeypatch.setattr(module, "BUSY_S", 0.2)
    return 0.2


def test_a_commit_is_seen_by_another_database_object(database: Database, url: str) -> None:
    with database.write() as connection:
        add(connection, "v1")
    other = Database.open(url, create=False)

    assert versions(other) == ["v1"]
    other.close()


def test_an_exception_rolls_everything_back(database: Database) -> None:
    def fail_half_way() -> None:
        with database.write() as connection:
            add(connection, "v1")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail_half_way()

    assert versions(database) == []


def test_a_read_is_a_snapshot_and_does_not_wait_for_writers(database: Database) -> None:
    query = sa.select(sa.func.count()).select_from(definitions)
    with database.read() as reader:
        before = reader.execute(query).scalar_one()
        with database.write() as writer:
            add(writer, "v1")
        during = reader.execute(query).scalar_one()

    assert (before, during, len(versions(database))) == (0, 0, 1)


@pytest.mark.parametrize("url", ["sqlite"], indirect=True)
def test_a_write_holds_the_lock_from_its_start(database: Database, url: str, impatient: float) -> None:
    """Otherwise two transactions could both read, and one would fail when it writes."""
    other = Database.open(url)
    with database.write(), time_lost() as lost:
        started = time.monotonic()
        with pytest.raises(StoreBusyError, match="locked by another process"), other.write():
            pass

        assert impatient <= time.monotonic() - started < impatient + 1.0 + lost.seconds
    other.close()


def test_a_write_waits_for_another_process_to_finish(database: Database, url: str) -> None:
    holder = Database.open(url)
    held, done = threading.Event(), threading.Event()

    def hold() -> None:
        with holder.write() as connection:
            add(connection, "first")
            held.set()
            done.wait(0.3)

    thread = threading.Thread(target=hold)
    thread.start()
    held.wait()
    with database.write() as connection:
        add(connection, "second")
    thread.join()
    holder.close()

    assert versions(database) == ["first", "second"]


@pytest.mark.parametrize("url", ["sqlite"], indirect=True)
@pytest.mark.usefixtures("impatient")
def test_nested_writes_are_refused_rather_than_deadlock(url: str) -> None:
    database = Database.open(url)
    with pytest.raises(StoreBusyError, match="other threads"), database.write(), database.write():
        pass
    database.close()


@pytest.mark.parametrize("url", ["sqlite"], indirect=True)
def test_durability_settings_hold_on_every_connection(database: Database) -> None:
    for transaction in (database.read, database.write):
        with transaction() as connection:
            settings = [
                connection.exec_driver_sql(f"PRAGMA {name}").scalar() for name in ("synchronous", "journal_mode")
            ]

        assert settings == [2, "wal"]  # 2 is FULL


def test_a_read_cannot_write(database: Database) -> None:
    with pytest.raises(StoreError, match="is read-only"), database.read() as connection:
        add(connection, "v1")


def test_a_broken_constraint_is_left_to_the_caller(database: Database) -> None:
    with database.write() as connection:
        add(connection, "v1")
    with pytest.raises(sa.exc.IntegrityError), database.write() as connection:
        add(connection, "v1")


def test_a_transaction_that_the_database_gave_up_is_not_taken_for_committed(database: Database, url: str) -> None:
    """SQLite then has no transaction any more; PostgreSQL has one that it would silently roll back."""
    insert = "INSERT OR ROLLBACK" if url.startswith("sqlite") else "INSERT"

    def swallow_an_error() -> None:
        with database.write() as connection:
            add(connection, "v1")
            with contextlib.suppress(sa.exc.IntegrityError):
                connection.exec_driver_sql(f"{insert} INTO definitions VALUES ('policy', 'v1', '0', 1.0)")

    with pytest.raises(StoreError, match="gave up the transaction"):
        swallow_an_error()

    assert versions(database) == []


def test_a_mistake_in_a_statement_is_not_taken_for_a_fault_of_the_store(database: Database) -> None:
    missing = "no such table|does not exist"
    with (
        pytest.raises((sa.exc.OperationalError, sa.exc.ProgrammingError), match=missing),
        database.read() as connection,
    ):
        connection.exec_driver_sql("SELECT * FROM nowhere")


def test_a_closed_database_refuses(database: Database) -> None:
    database.close()
    with pytest.raises(StoreError, match="is closed"), database.read():
        pass


@pytest.mark.parametrize("url", ["", "nba.db", "sqlite://", "sqlite:///:memory:", "mysql://me:secret@host/db"])
def test_other_urls_are_refused_without_showing_passwords(url: str) -> None:
    with pytest.raises(SettingsError) as caught:
        Database.open(url)

    assert "secret" not in str(caught.value)


def test_a_path_may_hold_any_character(tmp_path: Path) -> None:
    path = tmp_path / "new folder" / "a %?#&ä:@.db"
    Database.open(sqlite_url(path)).close()

    assert path.exists()


def test_without_create_a_missing_file_is_not_made(tmp_path: Path) -> None:
    path = tmp_path / "nba.db"
    with pytest.raises(StoreError, match="no such file"):
        Database.open(sqlite_url(path), create=False)

    assert not path.exists()


@pytest.mark.parametrize("url", ["sqlite"], indirect=True)
def test_three_processes_with_two_threads_each_write_without_a_locked_database(
    database: Database, url: str, start: Start
) -> None:
    """SQLite's own busy handler lets one of three such writers wait 1.8 s within 8 s, and a plain lock lets one of two
    such threads wait for ever."""
    with time_lost() as lost:
        running = [start("write", url, f"p{i}", 3.0) for i in range(3)]
        lines = [line for process in running for line in finished(process)]
    counts = [int(line.split()[0]) for line in lines]
    longest = [float(line.split()[1]) for line in lines]

    assert len(counts) == 6
    assert len(versions(database)) == sum(counts)
    assert min(counts) > min(20, max(counts) / 5)  # nobody starves, however slow the disk is
    assert max(longest) < 2.0 + lost.seconds
    with database.read() as connection:
        assert connection.exec_driver_sql("PRAGMA integrity_check").scalar() == "ok"


def test_processes_that_create_the_same_database_at_once_share_one_schema(empty_url: str, start: Start) -> None:
    for process in [start("open", empty_url, f"p{i}", 0.0) for i in range(4)]:
        finished(process)
    made = Database.open(empty_url, create=False)
    with made.read() as connection:
        assert connection.execute(sa.select(meta.c.name)).scalars().all() == ["schema_version"]

    assert versions(made) == ["p0", "p1", "p2", "p3"]
    made.close()


def finished(process: subprocess.Popen[str]) -> list[str]:
    output, _ = process.communicate(timeout=60)
    assert process.returncode == 0
    return output.splitlines()
