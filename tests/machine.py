"""What the machine takes away from a test: bounds on time hold beside it, whatever else runs on the same cores."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

TICK_S = 0.01
LATE_S = 0.02  # what a tick may be late on a free machine


class Lost:
    """seconds: by how much a thread that only ever sleeps was woken too late, altogether."""

    def __init__(self) -> None:
        self.seconds = 0.0
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._tick)

    def _tick(self) -> None:
        slept_from = time.monotonic()
        while not self._over.wait(TICK_S):
            now = time.monotonic()
            late = now - slept_from - TICK_S
            self.seconds += late if late > LATE_S else 0.0
            slept_from = now


@contextmanager
def time_lost() -> Iterator[Lost]:
    """Measure it while the block runs: `took_s < bound_s + lost.seconds`. Who waits, sleeps or is locked loses none."""
    lost = Lost()
    lost._thread.start()
    try:
        yield lost
    finally:
        lost._over.set()
        lost._thread.join()
