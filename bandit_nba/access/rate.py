"""How often a key may call: a token bucket for the pace, a count per day for the quota."""

import math
from dataclasses import dataclass

DAY_S = 86_400.0


@dataclass
class Bucket:
    """A token bucket: `rate_per_s` calls a second on average, a second's worth at once (at least one).

    Time comes from the caller (`now_s`); a clock that jumps back refills nothing and takes nothing away.
    """

    rate_per_s: float
    tokens: float
    at_s: float

    @classmethod
    def full(cls, rate_per_s: float, *, now_s: float) -> "Bucket":
        """A bucket that nobody has drawn from."""
        return cls(rate_per_s, max(1.0, rate_per_s), now_s)

    def take(self, *, now_s: float, calls: int = 1, taken: int = 0) -> float:
        """Take `calls` tokens; the seconds to wait where there are not enough, and 0 if they were taken.

        More calls than the bucket can ever hold at once take all of a full bucket and leave it in debt, so that the
        average stays what it should be and no page is refused for good. taken: tokens that the same request took when
        it was let in; they count as if they were still there, and are given back where it is refused after all.
        """
        size = max(1.0, self.rate_per_s)
        self.tokens = min(size, self.tokens + max(0.0, now_s - self.at_s) * self.rate_per_s)
        self.at_s = max(self.at_s, now_s)
        wanted, there = min(float(calls + taken), size), self.tokens + taken
        if there < wanted:
            self.tokens = min(size, there)
            return (wanted - there) / self.rate_per_s
        self.tokens -= calls
        return 0.0


def day_of(now_s: float) -> int:
    """The day, UTC, as a number since the epoch."""
    return math.floor(now_s / DAY_S)


def until_tomorrow(now_s: float) -> float:
    """Seconds until quotas begin anew."""
    return (day_of(now_s) + 1) * DAY_S - now_s
