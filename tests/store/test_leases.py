"""Leases: one holder at a time, and a fence number that a lost lease cannot pass."""

from bandit_nba.store.database import Database
from bandit_nba.store.learner.leases import Lease, acquire, holds, release


def take(database: Database, holder: str, now_s: float) -> Lease | None:
    with database.write() as connection:
        return acquire(connection, "learner", holder=holder, now_s=now_s, lease_s=10.0)


def is_held(database: Database, lease: Lease) -> bool:
    with database.write() as connection:
        return holds(connection, lease)


def test_only_one_holds_until_the_lease_runs_out(database: Database) -> None:
    assert take(database, "a", 100.0) == Lease(name="learner", holder="a", fence=1)
    assert take(database, "b", 109.9) is None
    assert take(database, "b", 110.0) == Lease(name="learner", holder="b", fence=2)
    assert take(database, "a", 111.0) is None


def test_prolonging_keeps_the_fence_number(database: Database) -> None:
    first = take(database, "a", 100.0)

    assert take(database, "a", 109.0) == first
    assert take(database, "b", 110.0) is None  # prolonged to 119
    assert take(database, "b", 119.0) is not None


def test_a_lost_lease_does_not_hold_even_where_its_clock_says_so(database: Database) -> None:
    lost = take(database, "a", 100.0)
    taken = take(database, "b", 200.0)

    assert lost is not None
    assert taken is not None
    assert not is_held(database, lost)
    assert is_held(database, taken)


def test_a_lease_that_ran_out_still_holds_while_nobody_took_it(database: Database) -> None:
    lease = take(database, "a", 100.0)

    assert lease is not None
    assert is_held(database, lease)


def test_who_comes_back_after_losing_it_gets_a_new_fence_number(database: Database) -> None:
    first = take(database, "a", 100.0)
    take(database, "b", 200.0)
    again = take(database, "a", 300.0)

    assert first is not None
    assert again == Lease(name="learner", holder="a", fence=3)
    assert not is_held(database, first)


def test_a_released_lease_is_free_at_once_and_only_its_holder_can_release_it(database: Database) -> None:
    take(database, "a", 100.0)
    with database.write() as connection:
        release(connection, "learner", holder="b")
    assert take(database, "b", 101.0) is None

    with database.write() as connection:
        release(connection, "learner", holder="a")

    assert take(database, "b", 101.0) == Lease(name="learner", holder="b", fence=2)
