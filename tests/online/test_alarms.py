"""Alarms of the same millisecond share one timer and ring once, in order; what was taken off stays silent."""

import asyncio

from bandit_nba.online.alarms import Alarms


def test_a_page_sets_one_timer_and_each_of_it_is_called_unless_it_was_taken_off() -> None:
    rung: list[int] = []

    async def play() -> int:
        alarms = Alarms()
        bells = [alarms.set(i, 0.02, lambda i=i: rung.append(i)) for i in range(500)]  # type: ignore[misc]
        timers = len(alarms._set)
        for i in range(0, 500, 2):
            alarms.take_off(i, bells[i])
        alarms.take_off("nobody", bells[0])
        await asyncio.sleep(0.1)
        assert not alarms._set
        return timers

    assert asyncio.run(play()) < 100  # as many as milliseconds went by, on however slow a machine
    assert rung == list(range(1, 500, 2))


def test_an_alarm_that_nobody_waits_for_is_cancelled() -> None:
    async def play() -> bool:
        alarms = Alarms()
        bell = alarms.set("me", 60.0, lambda: None)
        (timer, _) = alarms._set[bell]
        alarms.take_off("me", bell)
        alarms.take_off("me", bell)
        return timer.cancelled() and not alarms._set

    assert asyncio.run(play())


def test_who_is_called_may_set_its_next_alarm() -> None:
    rung: list[str] = []

    async def play() -> None:
        alarms = Alarms()

        def first() -> None:
            rung.append("first")
            alarms.set("me", 0.0, lambda: rung.append("second"))

        alarms.set("me", 0.0, first)
        await asyncio.sleep(0.05)

    asyncio.run(play())
    assert rung == ["first", "second"]


def test_a_loop_that_has_ended_keeps_no_alarm_of_the_next_silent() -> None:
    alarms = Alarms()
    rung: list[int] = []

    async def play(number: int) -> None:
        alarms.set(number, 0.01, lambda: rung.append(number))
        await asyncio.sleep(0.05 * number)

    for number in range(3):
        asyncio.run(play(number))

    assert rung == [1, 2]
