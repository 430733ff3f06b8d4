"""Self-normalised IPS: V = sum(w r) / sum(w) (Swaminathan and Joachims 2015)."""

from dataclasses import dataclass
from math import inf
from typing import ClassVar

import numpy as np

from bandit_nba.evaluate.estimators.ips import Ips
from bandit_nba.evaluate.estimators.protocol import AnyArray, Bounded, with_ones
from bandit_nba.evaluate.sample import FloatArray, Sample


@dataclass(frozen=True, slots=True)
class Snips:
    """A weighted mean of rewards: stays inside the range of the rewards, biased by order 1/n."""

    clip: float = inf
    name: ClassVar[str] = "snips"
    is_average: ClassVar[bool] = False

    def moments(self, sample: Sample) -> FloatArray:
        """[1, w r, w]."""
        weights = np.minimum(sample.weights, self.clip)
        return with_ones(weights * sample.rewards, weights)

    def value(self, sums: AnyArray) -> AnyArray:
        """Sum of w r over sum of w."""
        ratio: AnyArray = sums[..., 1] / sums[..., 2]
        return ratio

    def bounded(self, sample: Sample) -> Bounded:
        """The unnormalised contributions: a quotient has no range-based bound, its numerator has."""
        return Ips(self.clip).bounded(sample)
