"""How long answers take: a mixture of exponential delays per channel.

F(t) = sum_j share_j (1 - exp(-t / mean_j)). Criteo's conversion log (Chapelle 2014, "Modeling delayed feedback in
display advertising"): 35 % of the conversions within an hour, 50 % within a day.
"""

from collections.abc import Sequence

import numpy as np

from bandit_nba.decide.columns import Floats, Ints
from bandit_nba.errors import SettingsError
from simulators.journey.settings import DelayPart

HOUR_S = 3600.0


class ChannelDelays:
    """Delays of C channels, each a mixture; shares of a channel sum to 1."""

    def __init__(self, parts: Sequence[Sequence[DelayPart]], *, where: Sequence[str]) -> None:
        longest = max(len(p) for p in parts)
        self.cumulative = np.ones((len(parts), longest))
        self.mean_s = np.ones((len(parts), longest))
        for c, mixture in enumerate(parts):
            shares = np.array([part.share for part in mixture])
            if abs(shares.sum() - 1.0) > 1e-9:
                raise SettingsError("shares of delays do not sum to 1", where=where[c], got=float(shares.sum()))
            self.cumulative[c, : len(mixture)] = np.cumsum(shares)
            self.cumulative[c, len(mixture) - 1 :] = 1.0
            self.mean_s[c, : len(mixture)] = [part.mean_hours * HOUR_S for part in mixture]
        self.shares = np.diff(self.cumulative, axis=1, prepend=0.0)

    def within(self, seconds: float) -> Floats:
        """F(seconds) of each channel, float64 (C,)."""
        within: Floats = (self.shares * -np.expm1(-seconds / self.mean_s)).sum(axis=1)
        return within

    def sample(self, channel: Ints, u_part: Floats, u: Floats) -> Floats:
        """Delays in seconds, float64 (n,)."""
        part = (u_part[:, None] >= self.cumulative[channel]).sum(axis=1)
        delay_s: Floats = -np.log1p(-u) * self.mean_s[channel, part]
        return delay_s
