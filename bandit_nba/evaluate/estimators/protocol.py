"""What every estimator is: a function of sums of per-decision moments.

Because an estimate depends on the data only through sums, shards merge by adding, the bootstrap re-weights the sums,
and the delta method differentiates one small function. Every estimator gets all three from two methods.
"""

from dataclasses import dataclass
from math import isfinite
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from bandit_nba.errors import RefusedError
from bandit_nba.evaluate.sample import FloatArray, Sample

AnyArray = NDArray[Any]


@dataclass(frozen=True, slots=True)
class OneSided:
    """Non-negative terms x_i with mean at most 1 that determine the value: V = offset + scale * E[x]."""

    terms: FloatArray
    offset: float
    scale: float


@dataclass(frozen=True, slots=True)
class Bounded:
    """Contributions that average to an estimate, with their *possible* range, for bounds that hold at every n.

    Attributes
    ----------
    contributions
        One number per decision, shape (n,); their mean estimates the value.
    low, high
        Smallest and largest possible contribution; infinite where the range of weights is.
    rising, falling
        Terms for a lower and for an upper confidence sequence, where better ones are known than the contributions
        shifted into [0, 1].
    warnings
        What a reader of a bound made from these must know.
    """

    contributions: FloatArray
    low: float
    high: float
    rising: OneSided | None = None
    falling: OneSided | None = None
    warnings: tuple[str, ...] = ()

    def one_sided(self, by: str) -> tuple[OneSided, OneSided]:
        """Terms for the lower and for the upper end."""
        if self.rising is not None and self.falling is not None:
            return self.rising, self.falling
        self.refuse_unbounded(by)
        width = self.high - self.low
        return (
            OneSided((self.contributions - self.low) / width, self.low, width),
            OneSided((self.high - self.contributions) / width, self.high, -width),
        )

    def refuse_unbounded(self, by: str) -> None:
        """Refuse where no possible range is known."""
        if not (isfinite(self.low) and isfinite(self.high)):
            raise RefusedError(
                f"{by} needs the largest possible weight, and the range of weights is infinite",
                where="weight_range",
                got=(self.low, self.high),
                allowed="a finite range",
                hint="with a floor f/K under every propensity the largest possible weight is K/f; or clip",
            )


class Estimator(Protocol):
    """One way of estimating the value of a policy."""

    @property
    def name(self) -> str:
        """The word that `estimate` knows it by."""

    @property
    def is_average(self) -> bool:
        """Whether the estimate is the plain mean of independent contributions, rather than a quotient."""

    def moments(self, sample: Sample) -> FloatArray:
        """Per-decision moments, shape (k, n); the first row is 1."""

    def value(self, sums: AnyArray) -> AnyArray:
        """The estimate from summed moments, shape (..., k) to (...); rational, so that it takes complex numbers."""

    def bounded(self, sample: Sample) -> Bounded:
        """Contributions with their possible range; refused where the estimator has none."""


def mean_of_second(sums: AnyArray) -> AnyArray:
    """Sum of the contributions over the number of decisions."""
    mean: AnyArray = sums[..., 1] / sums[..., 0]
    return mean


def with_ones(*rows: FloatArray) -> FloatArray:
    """Stack moments under the row of ones that counts the decisions."""
    return np.stack([np.ones(len(rows[0])), *rows])


def product_range(weights: tuple[float, float], rewards: tuple[float, float]) -> tuple[float, float]:
    """Smallest and largest possible w r, with 0 * inf = 0."""
    corners = [0.0 if w == 0 or r == 0 else w * r for w in weights for r in rewards]
    return min(corners), max(corners)
