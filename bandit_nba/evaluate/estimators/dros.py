"""DR with optimistic shrinkage: w' = l w / (w^2 + l) (Su et al. 2020, arXiv 1907.09623)."""

from dataclasses import dataclass
from math import inf, sqrt
from typing import ClassVar

from bandit_nba.evaluate.estimators.doubly_robust import bounded_corrections, corrected
from bandit_nba.evaluate.estimators.protocol import AnyArray, Bounded, mean_of_second, with_ones
from bandit_nba.evaluate.sample import FloatArray, Sample


@dataclass(frozen=True, slots=True)
class OptimisticShrinkage:
    """Doubly robust with shrunk weights: l = 0 is the direct method, l = inf doubly robust."""

    shrinkage: float
    name: ClassVar[str] = "dros"
    is_average: ClassVar[bool] = True

    def moments(self, sample: Sample) -> FloatArray:
        """[1, q(x,pi) + w' (r - q(x,a))]."""
        return with_ones(corrected(sample, self.shrunk(sample.weights), self.name))

    def value(self, sums: AnyArray) -> AnyArray:
        """Mean of the corrected expected rewards."""
        return mean_of_second(sums)

    def bounded(self, sample: Sample) -> Bounded:
        """w' is largest, sqrt(l)/2, at w = sqrt(l): bounded even where the weights are not."""
        peak = min(sample.weight_range[1], sqrt(self.shrinkage))
        largest = peak if self.shrinkage == inf else self._at(peak)
        return bounded_corrections(sample, self.shrunk(sample.weights), largest, self.name)

    def shrunk(self, weights: FloatArray) -> FloatArray:
        """w' = l w / (w^2 + l), shape (n,)."""
        if self.shrinkage == inf:
            return weights
        if self.shrinkage == 0:
            return weights * 0.0
        # Divided by l: l w and w^2 would overflow where the quotient does not.
        return weights / (1.0 + (weights / sqrt(self.shrinkage)) ** 2)

    def _at(self, weight: float) -> float:
        return 0.0 if self.shrinkage == 0 else weight / (1.0 + weight**2 / self.shrinkage)
