"""Sub-Gaussian weights: w' = w / (1 - l + l w) (Metelli, Russo and Restelli 2021)."""

from dataclasses import dataclass
from math import inf
from typing import ClassVar

import numpy as np

from bandit_nba.evaluate.estimators.doubly_robust import bounded_corrections, corrected
from bandit_nba.evaluate.estimators.ips import bounded_rewards
from bandit_nba.evaluate.estimators.protocol import AnyArray, Bounded, mean_of_second, with_ones
from bandit_nba.evaluate.sample import FloatArray, Sample


@dataclass(frozen=True, slots=True)
class SubGaussian:
    """A harmonic mean of w and 1, at most 1/l: IPS with it, or doubly robust where expected rewards are given."""

    shrinkage: float
    name: ClassVar[str] = "subgaussian"
    is_average: ClassVar[bool] = True

    def moments(self, sample: Sample) -> FloatArray:
        """[1, w' r], or [1, q(x,pi) + w' (r - q(x,a))] where q is given."""
        weights = self.shrunk(sample.weights)
        if sample.q_policy is None and sample.q_logged is None:
            return with_ones(weights * sample.rewards)
        return with_ones(corrected(sample, weights, self.name))

    def value(self, sums: AnyArray) -> AnyArray:
        """Mean of the contributions."""
        return mean_of_second(sums)

    def bounded(self, sample: Sample) -> Bounded:
        """w' grows with w up to 1/l: bounded even where the weights are not."""
        weights = self.shrunk(sample.weights)
        largest = self._largest(sample.weight_range[1])
        if sample.q_policy is not None or sample.q_logged is not None:
            return bounded_corrections(sample, weights, largest, self.name)
        plain = bounded_rewards(sample, weights, largest)
        # w' can exceed w below 1, so that the one-sided pair of IPS does not hold here.
        return Bounded(plain.contributions, min(plain.low, 0.0), plain.high)

    def shrunk(self, weights: FloatArray) -> FloatArray:
        """w' = w / (1 - l + l w), shape (n,); 0 stays 0."""
        divisor = 1.0 - self.shrinkage + self.shrinkage * weights
        return np.divide(weights, divisor, out=np.zeros_like(weights), where=divisor > 0)

    def _largest(self, weight: float) -> float:
        if weight == inf:
            return inf if self.shrinkage == 0 else 1.0 / self.shrinkage
        return weight / (1.0 - self.shrinkage + self.shrinkage * weight)
