"""How long a response takes: a mixture of those who answer at once and those who think about it."""

from dataclasses import dataclass

import numpy as np

from bandit_nba.decide.columns import Floats
from bandit_nba.errors import SettingsError


@dataclass(frozen=True)
class Delays:
    """Delays as shares of the wait; assumptions, with the shape of response delays: many quick, a long thin rest.

    horizon_s: the reward definition's wait in seconds. quick_share: chance of an answer at once. quick, slow: the
    exponents p of delay = latest * horizon_s * u ** p for uniform u; the larger p, the sooner. latest: the longest
    delay as a share of the wait, below 1 so that a response still counts after its way through a network.
    """

    horizon_s: float
    quick_share: float = 0.6
    quick: float = 4.0
    slow: float = 1.2
    latest: float = 0.5

    def __post_init__(self) -> None:
        for name, allowed in (("quick_share", (0.0, 1.0)), ("latest", (1e-6, 0.999))):
            value = getattr(self, name)
            if not allowed[0] <= value <= allowed[1]:
                raise SettingsError(f"{name} is out of range", got=value, allowed=f"{allowed[0]} to {allowed[1]}")
        if not (np.isfinite(self.horizon_s) and self.horizon_s > 0.0):
            raise SettingsError("horizon_s is out of range", got=self.horizon_s, allowed="seconds, above zero")

    def sample(self, rng: np.random.Generator, n: int) -> Floats:
        """Delays in seconds, float64 (n,), in [0, latest x horizon_s)."""
        quick, u = rng.random(n) < self.quick_share, rng.random(n)
        return self.latest * self.horizon_s * u ** np.where(quick, self.quick, self.slow)

    @property
    def mean_s(self) -> float:
        """The exact mean delay in seconds: E[u ** p] = 1 / (p + 1)."""
        share = self.quick_share / (self.quick + 1.0) + (1.0 - self.quick_share) / (self.slow + 1.0)
        return self.latest * self.horizon_s * share
