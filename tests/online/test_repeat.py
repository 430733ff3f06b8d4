"""A background task goes on whatever its step raises, and ends when it is told to."""

import threading
import time

from bandit_nba.online.repeat import LONGEST_PAUSE_S, Repeat


def test_it_outlives_errors_and_backs_off() -> None:
    calls: list[float] = []
    enough = threading.Event()

    def step() -> None:
        calls.append(time.monotonic())
        if len(calls) == 3:
            enough.set()
        raise ValueError("again")

    repeat = Repeat(step, every_s=0.01, name="test")
    repeat.start()
    assert enough.wait(20.0)
    assert repeat.alive

    assert repeat.stop()
    assert repeat.failures == len(calls) >= 3
    assert isinstance(repeat.error, ValueError)
    assert calls[1] - calls[0] >= 0.4  # 0.2 s doubled
    assert calls[2] - calls[1] >= 0.8


def test_a_success_forgets_the_error() -> None:
    outcomes = iter([ValueError("once"), None])
    done = threading.Event()

    def step() -> None:
        error = next(outcomes, None)
        if error is not None:
            raise error
        done.set()

    repeat = Repeat(step, every_s=0.01, name="test")
    repeat.start()
    assert done.wait(20.0)

    repeat.stop()
    assert repeat.error is None
    assert repeat.failures == 1


def test_pauses_are_bounded() -> None:
    assert Repeat(lambda: None, every_s=1.0, name="test")._pause_s(1_000) == LONGEST_PAUSE_S
