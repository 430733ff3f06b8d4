"""Self-normalised doubly robust: V = E_n[q(x,pi)] + sum w (r - q(x,a)) / sum w (Open Bandit Pipeline)."""

from dataclasses import dataclass
from math import inf
from typing import ClassVar

import numpy as np

from bandit_nba.evaluate.estimators.doubly_robust import DoublyRobust
from bandit_nba.evaluate.estimators.protocol import AnyArray, Bounded, with_ones
from bandit_nba.evaluate.sample import FloatArray, Sample, need


@dataclass(frozen=True, slots=True)
class SelfNormalisedDoublyRobust:
    """Doubly robust whose correction is a weighted mean, so that a few large weights cannot run away."""

    clip: float = inf
    name: ClassVar[str] = "sndr"
    is_average: ClassVar[bool] = False

    def moments(self, sample: Sample) -> FloatArray:
        """[1, q(x,pi), w (r - q(x,a)), w]."""
        weights = np.minimum(sample.weights, self.clip)
        residuals = sample.rewards - need(sample.q_logged, "q_logged", self.name)
        return with_ones(need(sample.q_policy, "q_policy", self.name), weights * residuals, weights)

    def value(self, sums: AnyArray) -> AnyArray:
        """Mean expected reward plus the weighted mean residual."""
        total: AnyArray = sums[..., 1] / sums[..., 0] + sums[..., 2] / sums[..., 3]
        return total

    def bounded(self, sample: Sample) -> Bounded:
        """The unnormalised contributions: a quotient has no range-based bound."""
        return DoublyRobust(self.clip).bounded(sample)
