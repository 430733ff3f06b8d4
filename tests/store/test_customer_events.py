"""Events are noted once, and change a profile without losing what another writes at the same time."""

from concurrent.futures import ThreadPoolExecutor

import sqlalchemy as sa

from bandit_nba.store import customer_events, customers
from bandit_nba.store.database import Database


def put(connection: sa.Connection, event: str, payload: bytes = bytes(32)) -> str:
    return customer_events.put(
        connection, event, customer="c", kind="moved", occurred_at=None, payload_sha256=payload, now_s=1.0
    )


def test_an_event_is_new_once(database: Database) -> None:
    with database.write() as connection:
        assert put(connection, "e") == "created"
        assert put(connection, "e") == "duplicate"
    with database.write() as connection:
        assert put(connection, "e", bytes(31) + b"x") == "conflict"
        assert put(connection, "f", bytes(31) + b"x") == "created"


def test_profiles_are_amended_fact_by_fact(database: Database) -> None:
    with database.write() as connection:
        assert customers.get(connection, "c") is None
        customers.amend(connection, "c", {"a": 1.0, "b": "x"}, occurred_at=None, now_s=1.0)
        customers.amend(connection, "c", {"a": None, "s": ("p", "q")}, occurred_at=None, now_s=2.0)
    with database.read() as connection:
        found = customers.get(connection, "c")
    assert found == customers.StoredProfile({"b": "x", "s": ("p", "q")}, 2.0)


def test_amending_at_once_loses_no_fact(database: Database) -> None:
    def amend(i: int) -> None:
        with database.write() as connection:
            customers.amend(connection, "new", {f"f{i}": float(i)}, occurred_at=None, now_s=1.0)

    with ThreadPoolExecutor(4) as threads:
        list(threads.map(amend, range(12)))

    with database.read() as connection:
        found = customers.get(connection, "new")
    assert found is not None
    assert found.facts == {f"f{i}": float(i) for i in range(12)}
