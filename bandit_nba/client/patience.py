"""How long to wait for an answer, and how often to ask again.

Every call carries the ids that make it count once (see `calls`), so asking again is always safe. Pauses are drawn from
(0, first x 2^n], "full jitter": clients that failed together do not come back together.
"""

import random
from collections.abc import Iterator
from dataclasses import dataclass

AGAIN = frozenset({429, 502, 503, 504})
"""Answers after which the same call may be made again."""


@dataclass(frozen=True)
class Patience:
    """timeout_s: for one try. within_s: for all tries and pauses together. tries: at most so many."""

    timeout_s: float = 2.0
    within_s: float = 10.0
    tries: int = 5
    first_pause_s: float = 0.05
    longest_pause_s: float = 2.0

    def pauses(self, rng: random.Random) -> Iterator[float]:
        """The pause after each try but the last, in seconds."""
        for i in range(self.tries - 1):
            yield rng.uniform(0.0, min(self.longest_pause_s, self.first_pause_s * 2.0**i))


def pause_s(drawn: float, retry_after: str | None) -> float:
    """The pause to make: never shorter than the service asked for."""
    try:
        asked = float(retry_after) if retry_after else 0.0
    except ValueError:
        asked = 0.0
    return max(drawn, asked)
