"""A background thread that does one thing again and again until it is told to stop, whatever goes wrong meanwhile."""

import logging
import threading
from collections.abc import Callable

log = logging.getLogger("nba.background")

FIRST_PAUSE_S = 0.2
LONGEST_PAUSE_S = 30.0


class Repeat:
    """Calls `step` every `every_s` seconds; after an error the pause doubles, up to half a minute.

    Steps never overlap. `error` holds what the last step raised, None once one succeeded.
    """

    def __init__(self, step: Callable[[], object], *, every_s: float, name: str) -> None:
        self.error: Exception | None = None
        self.failures = 0
        self._step = step
        self._every_s = every_s
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    def start(self) -> None:
        """Begin; the first step comes at once."""
        self._thread.start()

    def stop(self, *, within_s: float = 10.0) -> bool:
        """Ask to stop and wait for the step at hand; False if it goes on longer than that."""
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join(within_s)
        return not self._thread.is_alive()

    @property
    def alive(self) -> bool:
        """Whether it still goes on."""
        return self._thread.is_alive()

    @property
    def stopping(self) -> bool:
        """Whether it was told to stop; a long step may look here and end early."""
        return self._stop.is_set()

    def _run(self) -> None:
        in_a_row = 0
        while not self._stop.is_set():
            try:
                self._step()
                self.error, in_a_row = None, 0
            except Exception as error:  # noqa: BLE001 (a background task outlives whatever its step raises)
                self._note(error, in_a_row)
                in_a_row += 1
            self._stop.wait(self._pause_s(in_a_row))

    def _note(self, error: Exception, in_a_row: int) -> None:
        """Log the first failure of a row with its traceback; the others in a line."""
        self.error = error
        self.failures += 1
        log.error("%s failed: %s", self._thread.name, error, exc_info=None if in_a_row else error)

    def _pause_s(self, in_a_row: int) -> float:
        if not in_a_row:
            return self._every_s
        return max(self._every_s, min(LONGEST_PAUSE_S, FIRST_PAUSE_S * 2.0 ** min(in_a_row, 16)))
