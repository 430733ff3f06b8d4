"""Moments that were made elsewhere: journeys and slates have their own per-unit terms and the same intervals."""

from collections.abc import Callable
from dataclasses import dataclass
from math import inf

from bandit_nba.evaluate.estimators.protocol import AnyArray, Bounded, mean_of_second, with_ones
from bandit_nba.evaluate.sample import FloatArray, Sample


@dataclass(frozen=True, slots=True, eq=False)
class Precomputed:
    """An estimator whose moments (k, n) are given; `low` and `high` are the possible range of a contribution.

    unseen: variance that `skewed_t` adds to the one seen; see `bandit_nba.evaluate.unseen`.
    """

    name: str
    matrix: FloatArray
    function: Callable[[AnyArray], AnyArray]
    is_average: bool
    low: float = -inf
    high: float = inf
    unseen: float = 0.0

    def moments(self, sample: Sample) -> FloatArray:
        """The given moments; `sample` must be the one that they were made from."""
        if sample.n != self.matrix.shape[1]:
            raise AssertionError("moments of another sample")
        return self.matrix

    def value(self, sums: AnyArray) -> AnyArray:
        """The given function of the sums."""
        return self.function(sums)

    def bounded(self, sample: Sample) -> Bounded:  # noqa: ARG002 - the protocol's signature
        """The contributions of an average; a quotient has no range-based bound."""
        low, high = (self.low, self.high) if self.is_average else (-inf, inf)
        return Bounded(self.matrix[1], low, high)


def average(name: str, contributions: FloatArray, low: float = -inf, high: float = inf) -> Precomputed:
    """The plain mean of given contributions (n,)."""
    return Precomputed(name, with_ones(contributions), mean_of_second, True, low, high)
