import numpy as np
import pytest

from bandit_nba.access.rate import Bucket, day_of, until_tomorrow


def test_a_second_of_calls_at_once_then_the_pace():
    bucket = Bucket.full(10.0, now_s=0.0)

    assert [bucket.take(now_s=0.0) for _ in range(10)] == [0.0] * 10
    assert bucket.take(now_s=0.0) == pytest.approx(0.1)
    assert bucket.take(now_s=0.1) == 0.0


def test_over_a_long_time_the_rate_is_kept_whatever_the_callers_do():
    rng = np.random.default_rng(0)
    bucket, taken, now_s = Bucket.full(5.0, now_s=0.0), 0, 0.0
    while now_s < 1_000.0:
        now_s += float(rng.exponential(0.05))
        taken += bucket.take(now_s=now_s) == 0.0

    assert 5_000 - 5 <= taken <= 5_000 + 5 + 5


def test_a_slow_pace_still_lets_one_call_through():
    bucket = Bucket.full(0.1, now_s=0.0)

    assert bucket.take(now_s=0.0) == 0.0
    assert bucket.take(now_s=0.0) == pytest.approx(10.0)


def test_a_page_larger_than_the_bucket_is_let_through_and_paid_for_later():
    bucket = Bucket.full(10.0, now_s=0.0)

    assert bucket.take(now_s=0.0, calls=100) == 0.0
    assert bucket.take(now_s=8.9) > 0.0
    assert bucket.take(now_s=9.2) == 0.0


@pytest.mark.parametrize("rate", [0.5, 5.0, 10.0])
@pytest.mark.parametrize("size", [2, 6, 100])
def test_a_page_that_waits_as_long_as_it_is_told_to_is_let_through(rate: float, size: int):
    """A request takes one call at the door and the others once its page is read."""
    bucket = Bucket.full(rate, now_s=0.0)
    bucket.take(now_s=0.0, calls=3 if rate > 3 else 1)
    now_s, refusals = 0.0, 0
    for _ in range(100):
        wait_s = bucket.take(now_s=now_s) or bucket.take(now_s=now_s, calls=size - 1, taken=1)
        if not wait_s:
            break
        now_s, refusals = now_s + wait_s * (1 + 1e-9), refusals + 1

    assert not wait_s
    assert refusals <= 2
    assert bucket.tokens <= max(1.0, rate) - size + 1e-6  # all of it was paid for


def test_a_clock_that_jumps_back_neither_gives_nor_takes():
    bucket = Bucket.full(1.0, now_s=100.0)

    assert bucket.take(now_s=100.0) == 0.0
    assert bucket.take(now_s=50.0) == pytest.approx(1.0)
    assert bucket.take(now_s=101.0) == 0.0


def test_days_begin_at_midnight_utc():
    assert (day_of(86_399.0), day_of(86_400.0)) == (0, 1)
    assert until_tomorrow(86_399.0) == 1.0
