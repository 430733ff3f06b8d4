"""Timers shared by all that wait for the same millisecond: a page of 500 sets one, not 500."""

import asyncio
from collections.abc import Callable

Bell = tuple[asyncio.AbstractEventLoop, int]
"""The loop and the millisecond of its clock at which an alarm goes off."""


class Alarms:
    """Belongs to one event loop at a time. An alarm goes off up to a millisecond early, never late by design."""

    def __init__(self) -> None:
        self._set: dict[Bell, tuple[asyncio.TimerHandle, dict[object, Callable[[], None]]]] = {}

    def set(self, who: object, after_s: float, ring: Callable[[], None]) -> Bell:
        """Call `ring` after that many seconds, unless it is taken off before; one alarm a time for each `who`."""
        loop = asyncio.get_running_loop()
        bell = loop, int((loop.time() + after_s) * 1_000.0)
        found = self._set.get(bell)
        if found is None:
            found = self._set[bell] = loop.call_at(bell[1] / 1_000.0, self._ring, bell), {}
        found[1][who] = ring
        return bell

    def take_off(self, who: object, bell: Bell) -> None:
        """Do not call; nothing happens where it has been called already."""
        found = self._set.get(bell)
        if found is None:
            return
        found[1].pop(who, None)
        if not found[1]:
            found[0].cancel()
            del self._set[bell]

    def _ring(self, bell: Bell) -> None:
        _, waiting = self._set.pop(bell)
        for ring in waiting.values():
            ring()
