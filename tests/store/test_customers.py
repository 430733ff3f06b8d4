"""Profiles are kept whole, replaced whole, amended in the order of what happened, and read for many at once."""

import itertools

from bandit_nba.store import customers
from bandit_nba.store.database import Database


def test_a_profile_is_read_back_and_replaced_as_a_whole(database: Database) -> None:
    profile = {"tenure": 12.0, "senior": False, "contract": "One | year\n", "owned": ("a", "b")}
    with database.write() as connection:
        customers.upsert(connection, {"c1": profile, "c2": {}}, now_s=1.0)
        customers.upsert(connection, {"c2": {"tenure": 3.0}}, now_s=2.0)
        customers.upsert(connection, {}, now_s=3.0)
    with database.read() as connection:
        assert customers.profiles(connection, ["c1", "c2", "c3"]) == {"c1": profile, "c2": {"tenure": 3.0}}
        assert customers.count(connection) == 2


def test_thousands_are_read_at_once(database: Database) -> None:
    with database.write() as connection:
        customers.upsert(connection, {f"c{i}": {"tenure": float(i)} for i in range(7_043)}, now_s=1.0)
    with database.read() as connection:
        found = customers.profiles(connection, [f"c{i}" for i in range(7_043)])

    assert len(found) == 7_043
    assert found["c7042"] == {"tenure": 7_042.0}


def test_events_in_any_order_come_to_the_same_profile(database: Database) -> None:
    told = [(1.0, {"a": 1.0, "b": 1.0}), (2.0, {"a": None, "c": 2.0}), (3.0, {"b": None}), (4.0, {"b": 4.0})]
    for i, order in enumerate(itertools.permutations(told)):
        with database.write() as connection:
            for now_s, (at_s, facts) in enumerate(order, start=10):
                customers.amend(connection, f"c{i}", facts, occurred_at=at_s, now_s=now_s)
            found = customers.get(connection, f"c{i}")
        assert found is not None
        assert found.facts == {"b": 4.0, "c": 2.0}, order


def test_what_is_told_now_counts_though_the_clock_was_set_back_or_the_caller_s_is_ahead(database: Database) -> None:
    with database.write() as connection:
        customers.upsert(connection, {"c": {"a": 0.0}}, now_s=100.0)
        assert customers.amend(connection, "c", {"a": 1.0}, occurred_at=None, now_s=50.0) == []
        assert customers.amend(connection, "c", {"a": 2.0}, occurred_at=90_000.0, now_s=60.0) == []
        assert customers.amend(connection, "c", {"a": 3.0}, occurred_at=61.0, now_s=62.0) == []
        assert customers.amend(connection, "c", {"a": 4.0}, occurred_at=60.5, now_s=63.0) == ["a"]
        assert customers.amend(connection, "c", {"a": 5.0}, occurred_at=61.0, now_s=64.0) == [], "the same time"
        found = customers.get(connection, "c")
    assert found is not None
    assert (found.facts, found.updated_at) == ({"a": 5.0}, 64.0)
