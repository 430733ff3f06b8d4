"""How long to wait for an answer, and how often to ask again.

Every call carries the ids that make it count once (see `calls`), so asking again is always safe. Pauses are drawn from
(0, first x 2^n], "full jitter": clients that failed together do not come back together.
"""

import random
import time
from collections.abc import Iterator
from dataclasses import dataclass

from bandit_nba.client.failure import UnreachableError

_SHORTEST_S = 0.001

AGAIN = frozenset({429, 502, 503, 504})
"""Answers after which the same call may be made again."""


@dataclass(frozen=True)
class Patience:
    """timeout_s: for one try to connect, and to be answered. within_s: for all tries and pauses together.

    tries: at most so many.
    """

    timeout_s: float = 2.0
    within_s: float = 10.0
    tries: int = 5
    first_pause_s: float = 0.05
    longest_pause_s: float = 2.0

    def pauses(self, rng: random.Random) -> Iterator[float]:
        """The pause after each try but the last, in seconds."""
        for i in range(self.tries - 1):
            yield rng.uniform(0.0, min(self.longest_pause_s, self.first_pause_s * 2.0**i))


@dataclass(frozen=True)
class Came:
    """What came of one try. status: HTTP's, 0 where no answer came, for the reason in `why`."""

    status: int
    body: bytes = b""
    retry_after: str | None = None
    why: str = ""


class Trying:
    """One call, from its first try to the last that patience allows."""

    def __init__(self, patience: Patience, rng: random.Random) -> None:
        self._give_up = time.monotonic() + patience.within_s
        self._timeout_s = patience.timeout_s
        self._pauses = patience.pauses(rng)
        self._tries = 0

    @property
    def timeout_s(self) -> float:
        """For the next try: no longer than patience lasts."""
        return max(_SHORTEST_S, min(self._timeout_s, self._give_up - time.monotonic()))

    def pause_after(self, came: Came) -> float | None:
        """The seconds to wait before the next try; None where `came` is the answer, or the last refusal.

        Raises
        ------
        UnreachableError
            If no answer came and patience has ended.
        """
        self._tries += 1
        if came.status and came.status not in AGAIN:
            return None
        drawn = next(self._pauses, None)
        pause = None if drawn is None else pause_s(drawn, came.retry_after)
        if pause is not None and time.monotonic() + pause <= self._give_up:
            return pause
        if not came.status:
            raise UnreachableError(came.why, tries=self._tries)
        return None


def pause_s(drawn: float, retry_after: str | None) -> float:
    """The pause to make: never shorter than the service asked for, and not the same for all whom it asked alike."""
    try:
        asked = float(retry_after) if retry_after else 0.0
    except ValueError:
        asked = 0.0
    return asked + drawn
