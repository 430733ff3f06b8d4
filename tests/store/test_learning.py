"""The log for the learner: the horizon that no outcome can slip under, and marks that fence and transaction guard."""

import sqlite3
import threading
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest
import sqlalchemy as sa

from bandit_nba.catalogue import Action, Catalogue
from bandit_nba.decide.record import DecisionRecord
from bandit_nba.errors import StoreError
from bandit_nba.learn.log import START, Checkpoint, Poison
from bandit_nba.learn.manifest import Manifest, StoredModel
from bandit_nba.store.database import Database, sqlite_url
from bandit_nba.store.learner.learning import LearningStore, stamp
from bandit_nba.store.log import decisions as log
from bandit_nba.store.log import outcomes
from bandit_nba.store.log.outcomes import Outcome
from bandit_nba.store.registry import definitions, models
from bandit_nba.store.tables import NEVER, decisions

Record = Callable[..., DecisionRecord]


class Clock:
    def __init__(self, now_s: float) -> None:
        self.now_s = now_s

    def __call__(self) -> float:
        return self.now_s


def store(database: Database, *records: DecisionRecord) -> None:
    with database.write() as connection:
        log.insert(connection, records)


def learning(database: Database, now_s: float, holder: str = "a") -> LearningStore:
    return LearningStore(database, clock=Clock(now_s), holder=holder)


def model() -> StoredModel:
    empty = {"features": {}, "learning": {}, "vw_args": [], "bits": 10, "reward_range": (0.0, 1.0), "probes": []}
    texts = ("parent", "feature_version", "reward_version", "model_sha256", "sparse_sha256", "weights_sha256")
    numbers = ("examples_learned", "learned_from", "learned_until", "created_at", "model_length", "sparse_length")
    content = {**empty, **dict.fromkeys(texts, ""), **dict.fromkeys(numbers, 1)}
    return StoredModel(manifest=msgspec.convert(content, Manifest).named(), model=b"vw", sparse=b"sparse")


def marks(database: Database) -> dict[str, str | None]:
    with database.read() as connection:
        return {row.id: row.learned_in for row in connection.execute(sa.select(decisions.c.id, decisions.c.learned_in))}


def test_batches_go_by_maturity_then_id_each_after_the_one_before(database: Database, record: Record) -> None:
    times = {"d": 2_000.0, "a": 2_000.0, "c": 1_000.0, "b": 3_000.0, "e": 9_999.0}
    store(database, *[record(name, matures_at=at) for name, at in times.items()])
    source = learning(database, 5_000.0)
    claim = source.claim()
    assert claim is not None

    first = source.matured(claim, after=START, limit=2)
    second = source.matured(claim, after=first.last, limit=2)
    third = source.matured(claim, after=second.last, limit=2)

    assert [list(batch.windows.ids) for batch in (first, second, third)] == [["c", "a"], ["d", "b"], []]


def test_a_batch_carries_what_was_logged(database: Database, record: Record) -> None:
    store(database, record("d1"))
    source = learning(database, 5_000.0)
    claim = source.claim()
    assert claim is not None

    batch = source.matured(claim, after=START, limit=10)

    assert (batch.channels, batch.arms, batch.catalogues) == (("app",), ("tariff_m/short",), ("cat1",))
    assert (batch.facts, batch.windows.customers) == ((b'{"tenure":12.0}',), ("c1",))
    assert (batch.windows.opens_at.tolist(), batch.windows.closes_at.tolist()) == ([1_000.0], [2_800.0])


def test_a_batch_is_read_by_its_index_however_long_the_log_is(tmp_path: Path, record: Record) -> None:
    """SQLite's own word for it: a search of the learner's index, no scan and no sorting."""
    database = Database.open(sqlite_url(tmp_path / "log.db"))
    store(database, *[record(f"d{i}") for i in range(20)])
    source = learning(database, 5_000.0)
    claim = source.claim()
    assert claim is not None
    statements: list[str] = []
    with database.read() as connection:
        driver = connection.connection.driver_connection
        assert isinstance(driver, sqlite3.Connection)
    driver.set_trace_callback(statements.append)  # the pool has this one connection
    source.matured(claim, after=(1_000.0, "d"), limit=5)
    driver.set_trace_callback(None)
    with database.read() as connection:
        plans = [
            " | ".join(row[3] for row in connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}"))
            for statement in statements
            if statement.startswith("SELECT")
        ]

    assert "USING INDEX decisions_to_learn" in plans[0]
    assert "outcomes_by_decision" in plans[1]
    assert "outcomes_by_customer" in plans[2]
    assert not any("TEMP B-TREE" in plan or "SCAN" in plan for plan in plans)
    database.close()


def test_outcomes_of_the_batch_and_of_its_customers_meanwhile(database: Database, record: Record) -> None:
    store(database, record("d1", customer="anna"), record("d2", customer=""))
    payload = bytes(32)
    received = {
        "by decision": Outcome(id="by decision", type="click", payload_sha256=payload, decision="d2", amount=2.5),
        "other decision": Outcome(id="other decision", type="click", payload_sha256=payload, decision="d9"),
        "by customer": Outcome(id="by customer", type="buy", payload_sha256=payload, customer="anna"),
        "other customer": Outcome(id="other customer", type="buy", payload_sha256=payload, customer="bert"),
        "nobody": Outcome(id="nobody", type="buy", payload_sha256=payload, customer=""),
    }
    with database.write() as connection:
        outcomes.insert(connection, list(received.values()), now_s=1_500.0)
    source = learning(database, 5_000.0)
    claim = source.claim()
    assert claim is not None

    found = source.matured(claim, after=START, limit=10).outcomes

    assert sorted(found.ids) == ["by customer", "by decision"]
    at = found.ids.index("by decision")
    assert (found.decisions[at], found.customers[at], found.amounts[at], found.received_at[at]) == (
        "d2",
        "",
        2.5,
        1_500.0,
    )


def test_an_outcome_that_will_count_is_committed_before_the_learner_reads(database: Database, record: Record) -> None:
    """A writer stamps in time and is slow to commit; the learner's claim waits for it, and then sees its outcome.

    Without the claim's write transaction the learner would read the decision as mature, and the outcome, which counts
    by its stamp, only afterwards.
    """
    store(database, record("d1", matures_at=2_000.0))
    clock = Clock(1_999.5)
    stamped, go_on = threading.Event(), threading.Event()

    def write_slowly() -> None:
        with database.write() as connection:
            now_s = stamp(connection, clock)
            outcome = Outcome(id="o", type="click", payload_sha256=bytes(32), decision="d1")
            stamped.set()
            go_on.wait(5.0)
            outcomes.insert(connection, [outcome], now_s=now_s)

    writer = threading.Thread(target=write_slowly)
    writer.start()
    assert stamped.wait(5.0)
    clock.now_s = 2_000.5
    threading.Timer(0.2, go_on.set).start()
    source = LearningStore(database, clock=clock, holder="a")
    claim = source.claim()
    assert claim is not None
    batch = source.matured(claim, after=START, limit=10)
    writer.join(5.0)

    assert list(batch.windows.ids) == ["d1"]
    assert (list(batch.outcomes.ids), batch.outcomes.received_at.tolist()) == (["o"], [1_999.5])


def test_the_horizon_is_read_under_the_write_lock(database: Database) -> None:
    """An outcome stamped after a claim has ended is not before its horizon."""
    clock = Clock(1_000.0)
    claim = LearningStore(database, clock=clock, holder="a").claim()
    with database.write() as connection:
        received_at = stamp(connection, clock)

    assert claim is not None
    assert received_at >= claim.horizon


def test_the_claim_marks_what_was_not_activated_in_time(database: Database, record: Record) -> None:
    store(
        database,
        record("late", activate_by=1_900.0),
        record("open", activate_by=2_100.0),
        record("at the last moment", activate_by=1_900.0, activated_at=1_900.0),
    )
    learning(database, 2_000.0).claim()

    assert marks(database) == {"late": NEVER, "open": None, "at the last moment": None}


def test_a_claim_without_the_lease_changes_nothing(database: Database, record: Record) -> None:
    store(database, record("late", activate_by=1_900.0))
    learning(database, 1_500.0, "a").claim()

    assert learning(database, 1_501.0, "b").claim() is None
    assert marks(database) == {"late": None}


def test_a_checkpoint_is_whole_or_not_at_all(database: Database, record: Record) -> None:
    """One of its decisions was learned already: then neither its model nor any of its marks is written."""
    store(database, record("d1"), record("d2"))
    source = learning(database, 5_000.0)
    claim = source.claim()
    assert claim is not None
    first = model()
    assert source.commit(claim, Checkpoint(model=first, learned=["d1"]))
    before = marks(database)
    second = StoredModel(manifest=msgspec.structs.replace(first.manifest, parent="x").named(), model=b"", sparse=b"")

    with pytest.raises(StoreError, match="1 of 2"):
        source.commit(claim, Checkpoint(model=second, learned=["d2", "d1"]))

    assert marks(database) == before == {"d1": first.manifest.version, "d2": None}
    with database.read() as connection:
        assert models.newest(connection) == first.manifest.version


def test_a_commit_under_a_lost_lease_writes_nothing(database: Database, record: Record) -> None:
    store(database, record("d1"))
    sleeper = learning(database, 5_000.0, "a")
    claim = sleeper.claim()
    assert claim is not None
    assert learning(database, 6_000.0, "b").claim() is not None

    assert not sleeper.commit(
        claim, Checkpoint(model=model(), learned=["d1"], quarantined=[Poison("d1", "InputError", "?")], never=["d1"])
    )
    assert marks(database) == {"d1": None}


def test_only_the_newest_ten_models_keep_vws_bytes(database: Database) -> None:
    source = learning(database, 5_000.0)
    claim = source.claim()
    assert claim is not None
    for number in range(13):
        manifest = msgspec.structs.replace(model().manifest, examples_learned=number).named()
        source.commit(claim, Checkpoint(model=StoredModel(manifest=manifest, model=b"vw", sparse=b"s")))

    with database.read() as connection:
        assert [row.model_kept for row in models.listing(connection)] == [True] * 10 + [False] * 3


def test_learned_ids_leave_out_what_never_teaches(database: Database, record: Record) -> None:
    store(database, *[record(name, matures_at=at) for name, at in (("b", 2.0), ("a", 3.0), ("c", 1.0), ("d", 4.0))])
    store(database, record("fallback", kind="fallback"))
    source = learning(database, 5_000.0)
    claim = source.claim()
    assert claim is not None
    source.commit(claim, Checkpoint(model=model(), learned=["a", "b"], quarantined=[Poison("c", "InputError", "?")]))

    assert source.learned().take(5) == ["b", "a"]
    assert list(source.batch(["a", "b", "gone"]).windows.ids) == ["b", "a"]


def test_catalogues_come_back_by_version_and_a_missing_one_is_the_stores_fault(database: Database) -> None:
    catalogue = Catalogue(facts={"age": "number"}, actions=(Action(id="data", kind="offer", group="offers"),))
    with database.write() as connection:
        content = msgspec.json.encode(catalogue, order="sorted")
        definitions.put(connection, "catalogue", catalogue.version, content, now_s=0.0)

    assert learning(database, 1.0).catalogue(catalogue.version) == catalogue
    with pytest.raises(StoreError, match="no such catalogue version"):
        learning(database, 1.0).catalogue("0123")


def test_two_processes_share_the_file(database: Database, url: str, record: Record) -> None:
    """Another connection pool, as in another process: its claim is refused, its decisions are seen."""
    other = Database.open(url)
    try:
        assert learning(database, 5_000.0, "a").claim() is not None
        assert learning(other, 5_001.0, "b").claim() is None
        store(other, record("d1"))
        source = learning(database, 5_002.0, "a")
        claim = source.claim()
        assert claim is not None
        assert len(source.matured(claim, after=START, limit=10)) == 1
    finally:
        other.close()


def test_ids_have_one_order_whatever_the_database(database: Database, record: Record) -> None:
    """Byte by byte: another order of the same decisions would teach another model."""
    ids = ["a", "B", "ä", "Z", "_", "é", "10", "9", "a b", "a-b", "😀"]
    store(database, *[record(name, matures_at=1.0) for name in ids])
    source = learning(database, 5_000.0)
    claim = source.claim()
    assert claim is not None
    first = source.matured(claim, after=START, limit=6)
    rest = source.matured(claim, after=first.last, limit=99)

    assert [*first.windows.ids, *rest.windows.ids] == sorted(ids, key=str.encode)
