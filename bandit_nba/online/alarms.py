"""Timers shared by all that wait equally long: whoever comes later rings later, so that one timer serves a queue.

Nearly nobody's alarm ever rings: an answer comes within milliseconds. So setting one and taking it off must cost next
to nothing: an entry in a dictionary, where a timer of the event loop costs 4 us and stays in its heap.
"""

import asyncio
from collections.abc import Callable
from itertools import takewhile

Bell = tuple[asyncio.AbstractEventLoop, float]
"""The loop, and after how many seconds the alarm goes off."""

EARLY_S = 0.005
"""Who would ring within this time rings now: a crowd that came at once goes to the safe policy as one batch."""


class Alarms:
    """Belongs to one event loop at a time. An alarm goes off up to `EARLY_S` early, never late by design."""

    def __init__(self) -> None:
        self._waiting: dict[Bell, dict[object, tuple[float, Callable[[], None]]]] = {}

    def set(self, who: object, after_s: float, ring: Callable[[], None]) -> Bell:
        """Call `ring` after that many seconds, unless it is taken off before; one alarm a time for each `who`."""
        loop = asyncio.get_running_loop()
        bell, at = (loop, after_s), loop.time() + after_s
        waiting = self._waiting.get(bell)
        if waiting is None:
            waiting = self._waiting[bell] = {}
            loop.call_at(at, self._ring, bell)
        waiting[who] = at, ring
        return bell

    def take_off(self, who: object, bell: Bell) -> None:
        """Do not call; nothing happens where it has been called already."""
        waiting = self._waiting.get(bell)
        if waiting is not None:
            waiting.pop(who, None)

    def _ring(self, bell: Bell) -> None:
        """Call all whose time has come, and come again for the next of them; the queue ends where nobody waits."""
        loop, waiting = bell[0], self._waiting[bell]
        soon = loop.time() + EARLY_S
        try:
            for who, _ in list(takewhile(lambda one: one[1][0] <= soon, waiting.items())):
                if (found := waiting.pop(who, None)) is not None:  # else one who was called has taken it off
                    found[1]()
        finally:
            if waiting:
                loop.call_at(next(iter(waiting.values()))[0], self._ring, bell)
            else:
                del self._waiting[bell]
