"""One statement tells what several tell one by one, on both databases."""

from collections.abc import Callable

from bandit_nba.decide.record import DecisionRecord
from bandit_nba.store import customers
from bandit_nba.store.asking import Held, hold, profiles_and_versions
from bandit_nba.store.database import Database
from bandit_nba.store.learner.learning import close_horizon
from bandit_nba.store.log import contacts
from bandit_nba.store.registry import definitions

Make = Callable[..., DecisionRecord]


def test_profiles_and_versions_of_known_and_unknown_customers(database: Database) -> None:
    keys = [f'"{i}\\ä' for i in range(700)]
    with database.write() as connection:
        customers.upsert(connection, {key: {"tenure": 3.0} for key in keys[::2]}, now_s=1.0)
        contacts.raise_versions(connection, keys[::3])
        contacts.raise_versions(connection, keys[::9])

    with database.read() as ordinary, database.read_straight() as straight:
        for connection in (ordinary, straight):
            profiles, versions = profiles_and_versions(connection, keys)
            assert profiles == customers.profiles(connection, keys)
            assert versions == contacts.versions(connection, keys)
            assert profiles_and_versions(connection, []) == ({}, {})
    assert (len(profiles), sum(versions.values())) == (350, 234 + 78)


def test_what_is_held_is_what_was_set(database: Database) -> None:
    with database.write_straight() as straight:
        assert hold(straight, []) == Held(float("-inf"), None, {})
        assert hold(straight, ["c1"]) == Held(float("-inf"), None, {"c1": 0})

    close_horizon(database, lambda: 12.5)
    with database.write() as connection:
        definitions.put_in_force(connection, "policy", "p1", now_s=1.0)
        definitions.put_in_force(connection, "catalogue", "cat1", now_s=1.0)
        contacts.raise_versions(connection, ["c1"])
        assert hold(connection, ["c1", "c2"]) == Held(12.5, "cat1", {"c1": 1, "c2": 0})
    with database.write_straight() as straight:
        assert hold(straight, []) == Held(12.5, "cat1", {})
