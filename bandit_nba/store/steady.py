"""A clock that never goes back, whatever the system's clock does.

An outcome counts if it was received before its decision matured, and a matured decision is learned for good. Where the
system's clock is put back, an outcome that comes today could bear yesterday's time and seem to have been in time.
"""

import logging
import threading
import time
from collections.abc import Callable

log = logging.getLogger("nba.clock")

WORTH_TELLING_S = 1.0


class SteadyClock:
    """Seconds since the epoch; safe to share between threads.

    While it is ahead of the system's clock, which was put back or is behind another machine's, it runs at half speed
    until that has caught up: time then never stands still, so that decisions mature and leases run out in any case.

    clock: the system's. monotonic: seconds since anything, never put back.
    """

    def __init__(
        self, clock: Callable[[], float] = time.time, *, monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        self._clock = clock
        self._monotonic = monotonic
        self._lock = threading.Lock()
        self._read_at = monotonic()
        self._ahead_s = 0.0
        self._last = float("-inf")

    def __call__(self) -> float:
        """The time now, never less than what was told before."""
        with self._lock:
            system, at = self._clock(), self._monotonic()
            now = max(system, self._last)
            if self._ahead_s > 0.0:
                now = max(now, self._last + (at - self._read_at) / 2)
            if now - system > self._ahead_s + WORTH_TELLING_S:
                log.warning("the system's clock is %.1f s behind; time goes on at half speed", now - system)
            self._read_at, self._ahead_s, self._last = at, now - system, now
            return now

    def not_before(self, at_s: float) -> None:
        """Go on from `at_s`, if that is later than now."""
        with self._lock:
            self._last = max(self._last, at_s)


def steady(clock: Callable[[], float]) -> SteadyClock:
    """`clock` itself where it is steady already."""
    return clock if isinstance(clock, SteadyClock) else SteadyClock(clock)
