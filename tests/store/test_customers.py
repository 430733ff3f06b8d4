"""Profiles are kept whole, replaced whole, and read for many customers at once."""

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
