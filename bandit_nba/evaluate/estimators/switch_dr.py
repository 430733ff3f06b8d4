"""Switch-DR: V = E_n[q(x,pi) + w 1{w <= l} (r - q(x,a))] (Wang, Agarwal and Dudik 2017, arXiv 1612.01205)."""

from dataclasses import dataclass
from math import inf
from typing import ClassVar

import numpy as np

from bandit_nba.evaluate.estimators.doubly_robust import bounded_corrections, corrected
from bandit_nba.evaluate.estimators.protocol import AnyArray, Bounded, mean_of_second, with_ones
from bandit_nba.evaluate.sample import FloatArray, Sample


@dataclass(frozen=True, slots=True)
class SwitchDoublyRobust:
    """Doubly robust where the weight is at most `clip`, the model alone where it is larger."""

    clip: float = inf
    name: ClassVar[str] = "switch_dr"
    is_average: ClassVar[bool] = True

    def moments(self, sample: Sample) -> FloatArray:
        """[1, q(x,pi) + w 1{w <= l} (r - q(x,a))]."""
        return with_ones(corrected(sample, self._weights(sample), self.name))

    def value(self, sums: AnyArray) -> AnyArray:
        """Mean of the corrected expected rewards."""
        return mean_of_second(sums)

    def bounded(self, sample: Sample) -> Bounded:
        """Corrected expected rewards with weights of at most l."""
        return bounded_corrections(sample, self._weights(sample), min(sample.weight_range[1], self.clip), self.name)

    def _weights(self, sample: Sample) -> FloatArray:
        return np.where(sample.weights <= self.clip, sample.weights, 0.0)
