"""A lock that threads get in the order in which they asked for it."""

import threading
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager

from bandit_nba.errors import StoreBusyError


class Turns:
    """One holder at a time, first come first served.

    `threading.Lock` lets a thread that takes it again at once overtake those it has just woken: beside such a writer
    another thread got no turn within 3 s.
    """

    def __init__(self) -> None:
        self._guard = threading.Lock()
        self._held = False
        self._waiting: deque[threading.Event] = deque()

    @contextmanager
    def turn(self, *, wait_s: float, where: str) -> Iterator[None]:
        """Hold the lock.

        Raises
        ------
        StoreBusyError
            If the turn does not come within `wait_s` seconds.
        """
        if not self._acquire(wait_s):
            raise StoreBusyError(
                "is busy with other threads' transactions", where=where, got=wait_s, hint="try again; never nest writes"
            )
        try:
            yield
        finally:
            self._pass_on()

    def _acquire(self, wait_s: float) -> bool:
        with self._guard:
            if not self._held:
                self._held = True
                return True
            mine = threading.Event()
            self._waiting.append(mine)
        if mine.wait(wait_s):
            return True
        with self._guard:
            if mine.is_set():  # it came just now
                return True
            self._waiting.remove(mine)
        return False

    def _pass_on(self) -> None:
        with self._guard:
            if self._waiting:
                self._waiting.popleft().set()  # stays held, now by that thread
            else:
                self._held = False
