"""What only a server can do to the store: many writers at once, refusals, restarts. Over a real one."""

import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
import sqlalchemy as sa
from psycopg import sql

from bandit_nba.decide.record import DecisionRecord
from bandit_nba.errors import StoreBusyError, StoreError
from bandit_nba.learn.log import START, Checkpoint
from bandit_nba.store import database as module
from bandit_nba.store.database import Database
from bandit_nba.store.learner import leases
from bandit_nba.store.learner.learning import LearningStore
from bandit_nba.store.log import contacts, decisions, outcomes
from bandit_nba.store.log.outcomes import Outcome
from tests.postgres import Server
from tests.store.test_learning import model

Make = Callable[..., DecisionRecord]
HELD_S = 0.15


@pytest.fixture
def url(postgres: Server) -> Iterator[str]:
    url = postgres.store()
    yield url
    postgres.drop(url)


def log(database: Database, *records: DecisionRecord) -> None:
    with database.write() as connection:
        decisions.insert(connection, records)


def test_a_transaction_held_open_while_later_ones_commit_and_are_learned_is_not_lost(
    database: Database, record: Make
) -> None:
    """Its row appears below rows that have been learned already: a cursor would have passed it."""
    source = LearningStore(database, clock=lambda: 5_000.0, holder="a")
    with database.write() as slow:
        decisions.insert(slow, [record("slow", matures_at=1_000.0)])
        log(database, record("quick", matures_at=2_000.0))
        claim = source.claim()
        assert claim is not None
        assert list(source.matured(claim, after=START, limit=10).windows.ids) == ["quick"]
        assert source.commit(claim, Checkpoint(model=model(), learned=("quick",), quarantined=(), never=()))
    claim = source.claim()

    assert claim is not None
    assert list(source.matured(claim, after=START, limit=10).windows.ids) == ["slow"]


def test_an_outcome_that_is_not_committed_yet_holds_the_horizon_back(database: Database) -> None:
    """`claim` waits for a stamped outcome, so that its decision cannot be read as matured without it."""
    from bandit_nba.store.learner.learning import stamp

    source = LearningStore(database, clock=lambda: 5_000.0, holder="a")
    claimed: list[float] = []

    def claim() -> None:
        source.claim()
        claimed.append(time.monotonic())

    thread = threading.Thread(target=claim)
    with database.write() as connection:
        stamp(connection, lambda: 4_000.0)
        thread.start()
        time.sleep(HELD_S)
        assert not claimed
        ended = time.monotonic()
    thread.join(10.0)

    assert claimed
    assert claimed[0] >= ended


def test_of_two_that_take_a_new_lease_first_one_gets_it(database: Database) -> None:
    taken: list[leases.Lease | None] = []

    def second() -> None:
        with database.write() as connection:
            taken.append(leases.acquire(connection, "x", holder="b", now_s=1.0, lease_s=10.0))

    with ThreadPoolExecutor(1) as pool:
        with database.write() as connection:
            first = leases.acquire(connection, "x", holder="a", now_s=1.0, lease_s=10.0)
            running = pool.submit(second)
            time.sleep(HELD_S)
        running.result(10)

    assert first == leases.Lease(name="x", holder="a", fence=1)
    assert taken == [None]


def test_versions_cannot_be_raised_while_they_are_locked(database: Database) -> None:
    """Not even for a customer who has no row yet: what was compared stays true until the decision is written."""
    raised: list[float] = []

    def answer() -> None:
        with database.write() as connection:
            contacts.raise_versions(connection, ["c1", "c2"])
        raised.append(time.monotonic())

    with ThreadPoolExecutor(1) as pool:
        with database.write() as connection:
            assert contacts.lock_versions(connection, ["c2", "c3"]) == {"c2": 0, "c3": 0}
            running = pool.submit(answer)
            time.sleep(HELD_S)
            assert not raised
            assert contacts.versions(connection, ["c2"]) == {"c2": 0}
        running.result(10)
    with database.read() as connection:
        assert contacts.versions(connection, ["c1", "c2", "c3"]) == {"c1": 1, "c2": 1, "c3": 0}


def test_the_same_ids_in_another_order_are_no_deadlock(database: Database, record: Make) -> None:
    """Of two batches with the same ids one wins, and the other is told that they are known."""
    ids = [f"d{i:03d}" for i in range(200)]
    conflicts = []

    def write(names: list[str]) -> None:
        try:
            with database.write() as connection:
                decisions.insert(connection, [record(name) for name in names])
                outcomes.insert(connection, [Outcome(id=n, type="t", payload_sha256=b"x") for n in names], now_s=1.0)
        except sa.exc.IntegrityError as error:
            conflicts.append(error)

    for round_ in range(5):
        names = [f"{round_}-{name}" for name in ids]
        with ThreadPoolExecutor(2) as pool:
            list(pool.map(write, (names, names[::-1])))

    assert len(conflicts) == 5
    with database.read() as connection:
        assert decisions.counts(connection, now_s=0.0).total == outcomes.count(connection) == 1_000


@pytest.mark.parametrize(
    ("code", "kind", "words"),
    [
        ("53100", StoreError, "server's disk is full.*53100.*Hint: free space"),
        ("53200", StoreError, "memory is exhausted"),
        ("53300", StoreBusyError, "no free connection"),
        ("40001", StoreBusyError, "changed by another transaction"),
        ("57014", StoreBusyError, "took too long"),
        ("58030", StoreError, "error of the server's system"),
        ("XX001", StoreError, "is damaged.*restore a backup"),
        ("42501", StoreError, "does not let this user"),
    ],
)
def test_what_a_server_reports_is_named(database: Database, code: str, kind: type[StoreError], words: str) -> None:
    fail = f"DO $$ BEGIN RAISE EXCEPTION 'some words' USING ERRCODE = '{code}', DETAIL = 'a row'; END $$"
    with pytest.raises(StoreError, match=words) as caught, database.write() as connection:
        connection.exec_driver_sql(fail)

    assert type(caught.value) is kind
    assert "some words" in caught.value.what
    assert "a row" not in str(caught.value)


def test_crosswise_locks_end_in_a_busy_store_for_one(database: Database) -> None:
    with database.write() as connection:
        for name in ("x", "y"):
            leases.acquire(connection, name, holder="a", now_s=1.0, lease_s=1.0)
    both = threading.Barrier(2)

    def take(first: str, second: str) -> str:
        try:
            with database.write() as connection:
                leases.holds(connection, leases.Lease(first, "a", 1))
                both.wait(10)
                leases.holds(connection, leases.Lease(second, "a", 1))
        except StoreBusyError as error:
            return error.what
        return "done"

    with ThreadPoolExecutor(2) as pool:
        found = sorted(pool.map(take, "xy", "yx"))

    assert found[0] == "done"
    assert found[1].startswith("was locked crosswise")


def test_nobody_waits_for_a_lock_for_ever(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "BUSY_S", 0.2)
    database = Database.open(url)
    with database.write() as holder:
        contacts.lock_versions(holder, ["c"])
        with pytest.raises(StoreBusyError, match="locked by another transaction"), database.write() as connection:
            contacts.lock_versions(connection, ["c"])
    database.close()


def test_a_standby_or_a_read_only_database_is_named(postgres: Server, url: str, record: Make) -> None:
    name = sql.Identifier(sa.make_url(url).database or "")
    postgres.run(sql.SQL("ALTER DATABASE {} SET default_transaction_read_only = on").format(name))
    opened = Database.open(url)
    with pytest.raises(StoreError, match=r"is read-only.*primary"):
        log(opened, record("d1"))
    opened.close()


def test_no_server_no_database_no_room_for_a_connection(postgres: Server, url: str) -> None:
    with pytest.raises(StoreError, match=r"cannot be reached.*check that the database server runs") as caught:
        Database.open("postgresql://u:hunter2@/x?host=/nowhere")
    assert "hunter2" not in str(caught.value)
    with pytest.raises(StoreError, match=r"is not there.*createdb"):
        Database.open(postgres.url("nothing"))
    with pytest.raises(StoreError, match="refuses the login"):
        Database.open(url.replace("postgres@", "nobody@"))
    postgres.run(sql.SQL("CREATE ROLE narrow LOGIN CONNECTION LIMIT 0"))
    with pytest.raises(StoreBusyError, match=r"no free connection.*max_connections"):
        Database.open(url.replace("postgres@", "narrow@"))
    postgres.run(sql.SQL("DROP ROLE narrow"))


def test_a_lost_commit_is_never_taken_for_done_and_the_next_transaction_works(database: Database, record: Make) -> None:

    def be_cut() -> None:
        with database.write() as connection:
            decisions.insert(connection, [record("cut")])
            pid = connection.exec_driver_sql("SELECT pg_backend_pid()").scalar()
            with database.write() as other:
                other.exec_driver_sql(f"SELECT pg_terminate_backend({pid}, 5000)")

    with pytest.raises(StoreError, match="cannot be reached"):
        be_cut()
    log(database, record("next"))

    with database.read() as connection:
        assert set(decisions.answers(connection, ["cut", "next"])) == {"next"}


def test_after_a_restart_of_the_server_the_next_transaction_works(
    postgres: Server, database: Database, record: Make
) -> None:
    log(database, record("before"))
    postgres.stop()
    try:
        with pytest.raises(StoreError, match=r"cannot be reached.*nothing need be restarted here"):
            log(database, record("during"))
    finally:
        postgres.start()
    log(database, record("after"))
    postgres.stop()
    postgres.start()  # nobody asked meanwhile: all connections are dead and look alive
    with database.read() as connection:
        assert set(decisions.answers(connection, ["before", "during", "after"])) == {"before", "after"}


def test_a_connection_that_would_not_be_durable_is_made_so(postgres: Server, url: str) -> None:
    name = sql.Identifier(sa.make_url(url).database or "")
    postgres.run(sql.SQL("ALTER DATABASE {} SET synchronous_commit = off").format(name))
    opened = Database.open(url)
    with opened.write() as connection:
        assert connection.exec_driver_sql("SHOW synchronous_commit").scalar() == "on"
    opened.close()


def test_another_encoding_is_refused(postgres: Server) -> None:
    postgres.run(sql.SQL("CREATE DATABASE latin TEMPLATE template0 ENCODING 'LATIN1' LOCALE 'C'"))
    with pytest.raises(StoreError, match=r"cannot hold every text.*LATIN1.*UTF8"):
        Database.open(postgres.url("latin"))
    postgres.drop(postgres.url("latin"))
