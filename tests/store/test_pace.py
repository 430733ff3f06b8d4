"""How long a queue takes: from its large batches, and never slow for ever."""

import pytest

from bandit_nba.store.pace import Pace


def test_nothing_known_is_no_wait() -> None:
    assert Pace().wait_s(1_000_000) == 0.0


def test_large_batches_tell_what_an_item_takes() -> None:
    pace = Pace()
    pace.took(100, 0.2)
    pace.took(100, 0.2)

    assert pace.wait_s(50) == pytest.approx(0.1)


def test_the_latest_batches_count_most() -> None:
    pace = Pace()
    pace.took(100, 1.0)
    pace.took(100, 0.1)

    assert pace.item_s == pytest.approx((0.9 * 1.0 + 0.1) / (0.9 * 100 + 100))


def test_a_lone_item_pays_for_the_whole_transaction_and_is_no_measure() -> None:
    pace = Pace()
    pace.took(100, 0.1)
    pace.took(1, 0.05)

    assert pace.item_s == pytest.approx(0.001)


def test_a_slow_moment_is_forgotten_though_only_small_batches_come() -> None:
    """After a stall of 10 s hardly anything is let in: then a batch of 2 in 4 ms says that it is over."""
    pace = Pace()
    pace.took(100, 10.0)
    pace.took(2, 0.004)

    assert pace.item_s == pytest.approx(0.002)
