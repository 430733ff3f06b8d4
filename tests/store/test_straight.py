"""Statements straight to the driver keep every promise of the ordinary transactions."""

import concurrent.futures
import sqlite3
import time
from collections.abc import Callable

import pytest
import sqlalchemy as sa

from bandit_nba.decide.record import DecisionRecord
from bandit_nba.errors import StoreBusyError, StoreError
from bandit_nba.store import customers
from bandit_nba.store import database as module
from bandit_nba.store.database import Database
from bandit_nba.store.driver import sqlite
from bandit_nba.store.learner.learning import close_horizon, hold_horizon
from bandit_nba.store.log import contacts, decisions
from bandit_nba.store.registry import definitions

Make = Callable[..., DecisionRecord]


def logged(database: Database) -> list[str]:
    with database.read() as connection:
        return sorted(r.id for r in decisions.scan(connection))


def test_both_ways_read_and_write_the_same(database: Database, record: Make) -> None:
    close_horizon(database, lambda: 12.5)
    with database.write() as connection:
        definitions.put_in_force(connection, "catalogue", "cat1", now_s=1.0)
        customers.upsert(connection, {"c1": {"tenure": 3.0}}, now_s=1.0)
    with database.write_straight() as straight:
        decisions.insert(straight, [record("d1"), record("d2", kind="fallback")])
        contacts.raise_versions(straight, ["c1"])
        said = hold_horizon(straight), definitions.hold_catalogue(straight), contacts.lock_versions(straight, ["c1"])

    assert said == (12.5, "cat1", {"c1": 1})
    with database.read() as ordinary, database.read_straight() as straight:
        for connection in (ordinary, straight):
            assert customers.profiles(connection, ["c1", "c2"]) == {"c1": {"tenure": 3.0}}
            assert contacts.versions(connection, ["c1", "c2"]) == {"c1": 1, "c2": 0}
            assert decisions.answers(connection, ["d1", "d3"])["d1"].answer == record("d1").answer
            assert len(decisions.answers(connection, [f"d{i}" for i in range(1_200)])) == 2
        assert decisions.get(ordinary, "d2") == record("d2", kind="fallback", learned_in="never")


def test_before_anything_was_learned_or_applied(database: Database) -> None:
    with database.write_straight() as straight:
        assert hold_horizon(straight) == float("-inf")
        assert definitions.hold_catalogue(straight) is None


def test_a_read_is_a_snapshot_that_cannot_write(database: Database, record: Make) -> None:
    with database.read_straight() as reader:
        before = decisions.answers(reader, ["d1"])
        with database.write_straight() as writer:
            decisions.insert(writer, [record("d1")])
        assert decisions.answers(reader, ["d1"]) == before == {}
    with pytest.raises(StoreError, match="read-only"), database.read_straight() as reader:
        decisions.insert(reader, [record("d2")])


def test_a_known_id_is_left_to_the_caller_and_nothing_of_its_batch_is_kept(database: Database, record: Make) -> None:
    with database.write_straight() as straight:
        decisions.insert(straight, [record("d1")])
    with pytest.raises(sa.exc.IntegrityError) as caught, database.write_straight() as straight:
        decisions.insert(straight, [record("d2"), record("d1")])

    assert "tariff_m" not in str(caught.value)
    assert logged(database) == ["d1"]


def test_an_exception_rolls_back_and_the_next_transaction_works(database: Database, record: Make) -> None:
    def fail_half_way() -> None:
        with database.write_straight() as straight:
            decisions.insert(straight, [record("d1")])
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail_half_way()
    with database.write_straight() as straight:
        decisions.insert(straight, [record("d2")])

    assert logged(database) == ["d2"]


@pytest.mark.parametrize("url", ["sqlite"], indirect=True)
def test_whoever_waits_too_long_for_the_lock_is_refused(
    database: Database, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "BUSY_S", 0.2)
    other = Database.open(url)
    with database.write_straight(), pytest.raises(StoreBusyError), other.write_straight():
        pass
    with database.write(), pytest.raises(StoreBusyError), database.write_straight():
        pass
    other.close()


@pytest.mark.parametrize("url", ["sqlite"], indirect=True)
def test_a_connection_that_met_a_damaged_file_is_not_used_again(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    error = sqlite3.OperationalError("disk I/O error")
    error.sqlite_errorcode, error.sqlite_errorname = sqlite3.SQLITE_IOERR, "SQLITE_IOERR"
    used: list[object] = []
    real = sqlite.commit

    def commit(driver: sqlite3.Connection) -> None:
        used.append(driver)
        if len(used) == 1:
            raise error
        real(driver)

    monkeypatch.setattr(sqlite, "commit", commit)
    with pytest.raises(StoreError, match="disk error"), database.write_straight():
        pass
    with database.write_straight():
        pass

    assert used[0] is not used[1]


def test_a_closed_database_refuses(database: Database) -> None:
    database.close()
    for begin in (database.read_straight, database.write_straight):
        with pytest.raises(StoreError, match="is closed"), begin():
            pass


@pytest.mark.parametrize("url", ["sqlite"], indirect=True)
def test_connections_are_kept_between_transactions_and_shared_by_threads(database: Database, record: Make) -> None:
    def read(name: str) -> bool:
        with database.read_straight() as straight:
            return name in decisions.answers(straight, [name])

    with database.write_straight() as straight:
        decisions.insert(straight, [record("d1")])
    with concurrent.futures.ThreadPoolExecutor(4) as threads:
        assert all(threads.map(read, ["d1"] * 200))
    assert 1 <= len(database._idle_readers) <= 4

    kept = len(database._idle_readers)
    with pytest.raises(sqlite3.OperationalError), database.read_straight() as straight:
        straight.rows("SELECT nothing")
    assert len(database._idle_readers) == kept - 1  # whoever failed is not asked again
    assert read("d1")
    database.close()
    assert not database._idle_readers


@pytest.mark.parametrize("url", ["sqlite"], indirect=True)
def test_closing_lets_a_write_finish(database: Database, url: str, record: Make) -> None:
    with concurrent.futures.ThreadPoolExecutor(1) as threads:
        with database.write_straight() as straight:
            decisions.insert(straight, [record("d1")])
            closing = threads.submit(database.close)
            time.sleep(0.05)
            decisions.insert(straight, [record("d2")])
        closing.result(5.0)
    again = Database.open(url)

    assert logged(again) == ["d1", "d2"]
    again.close()
