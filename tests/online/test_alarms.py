"""Alarms after the same time share one timer and ring once, in order; what was taken off stays silent."""

import asyncio

import pytest

from bandit_nba.online.alarms import EARLY_S, Alarms
from tests.machine import time_lost


class Timers:
    """Counts the timers that the running loop is asked for by alarms."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.count = 0
        loop = asyncio.get_running_loop()
        plain = loop.call_at

        def counting(at: float, ring: object, *args: object, **more: object) -> object:
            self.count += isinstance(getattr(ring, "__self__", None), Alarms)
            return plain(at, ring, *args, **more)  # type: ignore[arg-type] # handed through

        monkeypatch.setattr(loop, "call_at", counting)


def test_many_share_one_timer_and_each_is_called_unless_it_was_taken_off(monkeypatch: pytest.MonkeyPatch) -> None:
    rung: list[int] = []

    async def play() -> int:
        alarms, timers = Alarms(), Timers(monkeypatch)
        bells = [alarms.set(i, 0.02, lambda i=i: rung.append(i)) for i in range(500)]  # type: ignore[misc]
        set_by_then = timers.count
        for i in range(0, 500, 2):
            alarms.take_off(i, bells[i])
        alarms.take_off("nobody", bells[0])
        await asyncio.sleep(0.1)
        assert not alarms._waiting
        return set_by_then

    assert asyncio.run(play()) == 1
    assert rung == list(range(1, 500, 2))


def test_each_rings_in_its_own_time() -> None:
    """The second comes while the timer of the first runs: it rings when its own time has come, not with the first."""
    rung: dict[str, float] = {}

    async def play() -> tuple[float, float]:
        alarms, loop = Alarms(), asyncio.get_running_loop()
        set_at = []
        for name in ("first", "second"):
            set_at.append(loop.time())
            alarms.set(name, 0.05, lambda name=name: rung.update({name: loop.time()}))  # type: ignore[misc]
            await asyncio.sleep(0.03)
        await asyncio.sleep(0.1)
        return rung["first"] - set_at[0], rung["second"] - set_at[1]

    with time_lost() as lost:
        first, second = asyncio.run(play())
    assert 0.05 - EARLY_S <= first < 0.5 + lost.seconds  # what it may be late is the machine's
    assert 0.05 - EARLY_S <= second < 0.5 + lost.seconds


def test_where_nobody_waits_any_more_the_timer_rings_once_and_no_more(monkeypatch: pytest.MonkeyPatch) -> None:
    async def play() -> tuple[int, bool]:
        alarms, timers = Alarms(), Timers(monkeypatch)
        for _ in range(100):
            alarms.take_off("me", alarms.set("me", 0.01, lambda: None))
        before = timers.count
        await asyncio.sleep(0.05)
        return before, not alarms._waiting and timers.count == before

    before, ended = asyncio.run(play())
    assert before == 1
    assert ended


def test_who_is_called_may_set_its_next_alarm_and_take_off_anothers() -> None:
    rung: list[str] = []

    async def play() -> None:
        alarms = Alarms()
        bell = None

        def first() -> None:
            rung.append("first")
            alarms.set("me", 0.01, lambda: rung.append("second"))
            assert bell is not None
            alarms.take_off("other", bell)

        alarms.set("me", 0.01, first)
        bell = alarms.set("other", 0.01, lambda: rung.append("never"))
        await asyncio.sleep(0.1)
        assert not alarms._waiting

    asyncio.run(play())
    assert rung == ["first", "second"]


def test_a_loop_that_has_ended_keeps_no_alarm_of_the_next_silent() -> None:
    alarms = Alarms()
    rung: list[int] = []

    async def play(number: int) -> None:
        alarms.set(number, 0.5, lambda: rung.append(number))
        if number:
            await asyncio.sleep(0.55)

    for number in range(3):
        asyncio.run(play(number))

    assert rung == [1, 2]
