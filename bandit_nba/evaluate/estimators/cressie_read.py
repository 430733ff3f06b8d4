"""Cressie-Read(-2) estimator: empirical likelihood's shape in closed form (vw-estimators; Karampatziakis et al. 2019).

The mean weight under the policy's true distribution is 1. The estimator re-weights the decisions so that theirs is too,
with one imaginary decision at the largest possible weight (where the seen weights are too small) or at the smallest.
"""

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from bandit_nba.evaluate.estimators.ips import Ips
from bandit_nba.evaluate.estimators.protocol import AnyArray, Bounded, with_ones
from bandit_nba.evaluate.sample import FloatArray, Range, Sample


@dataclass(frozen=True, slots=True)
class CressieRead:
    """Stays inside the range of the rewards, uses the sum of the weights as a control, needs no root finding."""

    weight_range: Range
    name: ClassVar[str] = "cressie_read"
    is_average: ClassVar[bool] = False

    def moments(self, sample: Sample) -> FloatArray:
        """[1, w, w^2, w r, w^2 r, r]."""
        w, r = sample.weights, sample.rewards
        wr = w * r
        return with_ones(w, w * w, wr, w * wr, r)

    def value(self, sums: AnyArray) -> AnyArray:
        """V = (-g sum wr - b sum w^2 r)/(1+n) + max(0, 1 - (-g sum w - b sum w^2)/(1+n)) sum r / n."""
        n, w, ww, wr, wwr, r = np.moveaxis(sums, -1, 0)
        g, b = self._multipliers(n, w, ww)
        found = (-g * wr - b * wwr) / (1 + n)
        missing = 1 - (-g * w - b * ww) / (1 + n)
        value: AnyArray = found + np.where(missing.real > 0, missing, 0.0) * r / n
        return value

    def bounded(self, sample: Sample) -> Bounded:
        """The weighted rewards: this estimator has no range-based bound of its own."""
        return Ips().bounded(sample)

    def _multipliers(self, n: AnyArray, w: AnyArray, ww: AnyArray) -> tuple[Any, Any]:
        """Lagrange multipliers of sum Q = 1 and sum Q w = 1 with the imaginary decision included."""
        fake = np.where(w.real < n.real, self.weight_range[1], self.weight_range[0])
        free = np.isinf(fake)
        finite = np.where(free, 0.0, fake)
        mean = (finite + w) / (1 + n)
        square = (finite**2 + ww) / (1 + n)
        spread = mean * mean - square
        # Without spread (every weight 1) the constraint on the mean weight says nothing.
        free = free | (np.abs(spread) < 1e-300)
        divisor = np.where(free, 1.0, spread)
        g = np.where(free, -(1 + n) / n, (square - mean) / divisor)
        b = np.where(free, 0.0, (1 - mean) / divisor)
        return g, b
