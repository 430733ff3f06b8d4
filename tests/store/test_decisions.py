"""The log keeps what it was given, answers replays, and decides what may still be learned."""

from collections.abc import Callable, Sequence
from typing import Any

import pytest
import sqlalchemy as sa

from bandit_nba.decide.record import DecisionRecord
from bandit_nba.store.database import Database
from bandit_nba.store.log import decisions
from bandit_nba.store.tables import NEVER, QUARANTINED
from bandit_nba.store.tables import decisions as table

Make = Callable[..., DecisionRecord]


def log(database: Database, records: Sequence[DecisionRecord]) -> None:
    with database.write() as connection:
        decisions.insert(connection, records)


def mark(database: Database, decision: str, learned_in: str) -> None:
    with database.write() as connection:
        connection.execute(sa.update(table).where(table.c.id == decision).values(learned_in=learned_in))


def activate(database: Database, decision: str, now_s: float) -> decisions.Activation:
    with database.write() as connection:
        return decisions.activate(connection, decision, now_s=now_s)


def get(database: Database, decision: str) -> DecisionRecord | None:
    with database.read() as connection:
        return decisions.get(connection, decision)


ODD = {
    "id": "id with | : \n ' \" % ? and ä€😀",
    "propensity": None,
    "activate_by": 1_060.5,
    "activated_at": 1_001.25,
    "decided_at": 1_000.000_000_1,
    "answer": bytes(range(256)),
}


@pytest.mark.parametrize("changes", [{}, ODD, {"facts": None}], ids=["plain", "odd", "erased"])
def test_a_record_is_read_back_bit_for_bit(database: Database, record: Make, changes: dict[str, Any]) -> None:
    kept = record("d1", **changes)
    log(database, [kept])

    assert get(database, kept.id) == kept
    assert get(database, "other") is None


def test_facts_can_be_erased_apart(database: Database, record: Make) -> None:
    log(database, [record("d1"), record("d2")])
    with database.write() as connection:
        connection.execute(sa.update(table).where(table.c.id == "d1").values(facts=None))
    with database.read() as connection:
        assert [(r.id, r.facts) for r in decisions.scan(connection)] == [("d1", None), ("d2", b'{"tenure":12.0}')]


def test_a_known_id_fails_the_whole_insert(database: Database, record: Make) -> None:
    log(database, [record("d1")])
    with pytest.raises(sa.exc.IntegrityError):
        log(database, [record("d2"), record("d1", arm="other")])

    assert get(database, "d2") is None
    assert get(database, "d1") == record("d1")


def test_answers_are_found_for_many_ids_at_once(database: Database, record: Make) -> None:
    log(database, [record(f"d{i}") for i in range(1_201)])  # more than two IN lists
    with database.read() as connection:
        found = decisions.answers(connection, [f"d{i}" for i in range(0, 2_000, 2)])
        assert decisions.answers(connection, []) == {}

    assert found.keys() == {f"d{i}" for i in range(0, 1_201, 2)}
    assert found["d600"] == decisions.Stored(record("d600").payload_sha256, record("d600").answer)


def test_scan_is_in_order_of_time_whatever_the_batch(database: Database, record: Make) -> None:
    rows = [
        record(f"d{i % 7}-{i}", decided_at=1_000.0 + i // 3, kind="normal" if i % 5 else "fallback") for i in range(60)
    ]
    log(database, rows[::-1])
    expected = sorted(rows, key=lambda r: (r.decided_at, r.id))
    with database.read() as connection:
        for batch in (1, 7, 5_000):
            assert [r.id for r in decisions.scan(connection, batch=batch)] == [r.id for r in expected]
        part = decisions.scan(connection, since_s=1_005.0, until_s=1_010.0, kinds=["fallback"])
        assert [r.id for r in part] == [
            r.id for r in expected if 1_005.0 <= r.decided_at < 1_010.0 and r.kind == "fallback"
        ]
        assert list(decisions.scan(connection, kinds=[])) == []


def test_a_customers_decisions_are_listed_newest_first(database: Database, record: Make) -> None:
    made = [(3.0, "a", "web"), (3.0, "b", "email"), (1.0, "c", "web"), (2.0, "d", "web")]
    mine = [record(name, customer="k", channel=channel, decided_at=at) for at, name, channel in made]
    log(database, [*mine, record("e", customer="other", decided_at=9.0)])

    def listed(**more: Any) -> list[str]:
        with database.read() as connection:
            return [one.id for one in decisions.of_customer(connection, "k", **{"limit": 9, **more})]

    assert listed() == ["b", "a", "d", "c"]
    assert listed(limit=2) == ["b", "a"]
    assert listed(before=(3.0, "a")) == ["d", "c"]
    assert listed(before=(3.0, "b"), channels={"web"}) == ["a", "d", "c"]
    assert listed(channels={"email"}) == ["b"]


def test_activation_is_in_time_up_to_its_deadline_and_counts_once(database: Database, record: Make) -> None:
    log(database, [record("a", activate_by=1_060.0), record("b", activate_by=1_060.0), record("immediate")])

    assert activate(database, "a", 1_060.0) == "activated"
    assert activate(database, "a", 1_059.0) == "already"
    assert activate(database, "a", 9_999.0) == "already"
    assert activate(database, "b", 1_060.000_001) == "expired"
    assert activate(database, "immediate", 1_001.0) == "already"
    assert activate(database, "nowhere", 1_001.0) == "unknown"
    assert [get(database, d).activated_at for d in ("a", "b", "immediate")] == [1_060.0, None, None]  # type: ignore[union-attr] # all three are stored


def test_only_decisions_past_their_deadline_expire(database: Database, record: Make) -> None:
    log(
        database,
        [
            record("late", activate_by=1_060.0),
            record("activated", activate_by=1_060.0),
            record("waiting", activate_by=1_061.0),
            record("immediate"),
            record("learned", activate_by=1_060.0),
        ],
    )
    activate(database, "activated", 1_010.0)
    mark(database, "learned", "m1")
    with database.write() as connection:
        assert decisions.expire(connection, now_s=1_061.0) == 1
        assert decisions.expire(connection, now_s=1_061.0) == 0
    with database.read() as connection:
        marks = {r.id: r.learned_in for r in decisions.scan(connection)}

    assert marks == {"late": NEVER, "activated": None, "waiting": None, "immediate": None, "learned": "m1"}


def test_special_kinds_are_never_learned(database: Database, record: Make) -> None:
    log(database, [record("n"), record("f", kind="fallback"), record("u", kind="unreadable")])
    with database.read() as connection:
        marks = {r.id: r.learned_in for r in decisions.scan(connection)}

    assert marks == {"n": None, "f": NEVER, "u": NEVER}


def test_counts_add_up(database: Database, record: Make) -> None:
    normal = [record(f"n{i}", matures_at=2_000.0 + i) for i in range(10)]
    log(
        database,
        [*normal, record("f", kind="fallback"), record("u", kind="unreadable"), record("u2", kind="unreadable")],
    )
    for decision, learned_in in {"n0": "m1", "n1": "m1", "n2": "m2", "n3": NEVER, "n4": QUARANTINED}.items():
        mark(database, decision, learned_in)
    with database.read() as connection:
        counts = decisions.counts(connection, now_s=2_006.0)

    assert counts == decisions.DecisionCounts(
        total=13,
        by_kind={"normal": 10, "fallback": 1, "unreadable": 2},
        immature=3,  # n7, n8, n9
        ripe=2,  # n5, n6
        learned=3,
        never=4,  # n3 and the special ones
        quarantined=1,
        overridden=0,
    )


@pytest.mark.parametrize("url", ["sqlite"], indirect=True)
def test_counts_read_no_rows_of_the_log(database: Database, record: Make) -> None:
    """A log of millions of wide rows is counted from its indexes."""
    log(database, [record("d1")])
    seen: list[tuple[str, object]] = []

    def note(_connection: object, _cursor: object, sql: str, args: object, *_rest: object) -> None:
        seen.append((sql, args))

    with database.read() as connection:
        sa.event.listen(connection, "before_cursor_execute", note)
        decisions.counts(connection, now_s=0.0)
        plans = [
            row[3] for sql, args in list(seen) for row in connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {sql}", args)
        ]

    assert len(plans) == 4
    assert all("USING COVERING INDEX" in plan for plan in plans), plans
