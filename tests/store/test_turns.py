"""Turns come in order, are given up after the wait, and none is lost."""

import threading
import time

import pytest

from bandit_nba.errors import StoreBusyError
from bandit_nba.store.driver.turns import Turns


def test_first_come_first_served() -> None:
    turns, order, threads = Turns(), [], []

    def take(i: int) -> None:
        with turns.turn(wait_s=5.0, where="here"):
            order.append(i)

    with turns.turn(wait_s=5.0, where="here"):
        for i in range(10):
            threads.append(threading.Thread(target=take, args=(i,)))
            threads[-1].start()
            while len(turns._waiting) <= i:  # it has asked
                time.sleep(0.001)
    for thread in threads:
        thread.join(5.0)

    assert order == list(range(10))


def test_a_thread_that_asks_again_at_once_does_not_starve_another() -> None:
    turns, stop, met, overtaken = Turns(), threading.Event(), 0, 0

    def hold_all_the_time() -> None:
        nonlocal met, overtaken
        while not stop.is_set():
            before_me = list(turns._waiting)  # who asked earlier, and does not hold it yet
            with turns.turn(wait_s=5.0, where="here"):
                overtaken += any(other in turns._waiting for other in before_me)
                time.sleep(0.001)
                met += bool(turns._waiting)

    thread = threading.Thread(target=hold_all_the_time)
    thread.start()
    give_up = time.monotonic() + 20.0
    while met < 50 and time.monotonic() < give_up:
        with turns.turn(wait_s=5.0, where="here"):
            pass
    stop.set()
    thread.join(5.0)

    assert met >= 50  # so often the other one waited while it held
    assert overtaken == 0


def test_who_waits_too_long_is_refused_and_the_next_one_is_not() -> None:
    turns = Turns()
    with turns.turn(wait_s=0.05, where="here"):
        started = time.monotonic()
        with pytest.raises(StoreBusyError, match=r"^here: .*0\.05"), turns.turn(wait_s=0.05, where="here"):
            pass

        assert time.monotonic() - started >= 0.05
    with turns.turn(wait_s=0.05, where="here"):
        pass


def test_an_exception_passes_the_turn_on() -> None:
    turns = Turns()
    with pytest.raises(ZeroDivisionError), turns.turn(wait_s=0.05, where="here"):
        raise ZeroDivisionError
    with turns.turn(wait_s=0.05, where="here"):
        pass


def test_hurried_waits_lose_no_turn() -> None:
    """Time-outs that fall together with hand-overs: in the end the lock is free."""
    turns = Turns()

    def hurry() -> None:
        for _ in range(300):
            try:
                with turns.turn(wait_s=0.000_2, where="here"):
                    time.sleep(0.000_1)
            except StoreBusyError:
                pass

    threads = [threading.Thread(target=hurry) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20.0)
    with turns.turn(wait_s=0.0, where="here"):
        pass
