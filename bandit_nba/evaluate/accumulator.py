"""Estimates from shards of a log: accumulators that merge, equal to one pass over the whole.

>>> import numpy as np
>>> from bandit_nba.evaluate.accumulator import accumulate
>>> left = accumulate([2.0, 0.5], [1.0, 0.0], estimator="snips")
>>> right = accumulate([0.0, 1.5], [1.0, 1.0], estimator="snips")
>>> left.merge(right).value()
0.875
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import inf, sqrt
from typing import Protocol, Self

import numpy as np
from numpy.typing import ArrayLike

from bandit_nba.errors import InputError
from bandit_nba.evaluate.contributions import gradient
from bandit_nba.evaluate.estimators import build
from bandit_nba.evaluate.estimators.empirical_likelihood import fitted
from bandit_nba.evaluate.estimators.protocol import Estimator
from bandit_nba.evaluate.sample import FloatArray, Range, Sample, checked_sample


class Accumulator(Protocol):
    """What is kept of a shard."""

    def merge(self, other: Self) -> Self:
        """Both shards together."""

    def value(self) -> float:
        """The estimate of all decisions seen."""


@dataclass(frozen=True, slots=True)
class MomentSums:
    """Summed moments (k,) over `units` customers, with their scatter about the mean customer (k, k)."""

    estimator: Estimator
    units: int
    sums: FloatArray
    scatter: FloatArray

    def merge(self, other: "MomentSums") -> "MomentSums":
        """Add; scatters merge without cancellation (Chan, Golub and LeVeque 1983)."""
        if self.estimator != other.estimator:
            raise InputError(
                "shards of different estimators cannot be merged",
                where="merge",
                got=repr(other.estimator),
                allowed=repr(self.estimator),
            )
        units = self.units + other.units
        gap = self.sums / self.units - other.sums / other.units
        between = np.outer(gap, gap) * (self.units * other.units / units)
        return MomentSums(self.estimator, units, self.sums + other.sums, self.scatter + other.scatter + between)

    def value(self) -> float:
        """The estimate of all decisions seen."""
        return float(self.estimator.value(self.sums))

    def standard_error(self) -> float:
        """Delta-method standard error, as `interval="gaussian"` uses it."""
        if self.units < 2:
            raise InputError("a standard error needs two customers", where="units", got=self.units, allowed="2 or more")
        slopes = gradient(self.estimator, self.sums)
        variance = max(0.0, float(slopes @ self.scatter @ slopes))
        return sqrt(variance * (self.units / (self.units - 1) if self.estimator.is_average else 1.0))


@dataclass(frozen=True, slots=True)
class WeightTable:
    """Empirical likelihood needs every weight again: distinct weights (m,), how often, and their summed rewards."""

    weight_range: Range
    weights: FloatArray
    counts: FloatArray
    rewards: FloatArray

    def merge(self, other: "WeightTable") -> "WeightTable":
        """Join the tables; memory grows with the number of distinct weights."""
        if self.weight_range != other.weight_range:
            raise InputError(
                "shards with different ranges of weights cannot be merged",
                where="merge",
                got=other.weight_range,
                allowed=str(self.weight_range),
            )
        return _table(
            self.weight_range,
            np.concatenate([self.weights, other.weights]),
            np.concatenate([self.counts, other.counts]),
            np.concatenate([self.rewards, other.rewards]),
        )

    def value(self) -> float:
        """The estimate of all decisions seen."""
        tilt = fitted(self.weights, self.weight_range, self.counts).tilt
        n = self.counts.sum()
        tilted = self.weights / (1.0 + tilt * (self.weights - 1.0))
        missing = max(0.0, 1.0 - float(tilted @ self.counts) / n)
        return float((tilted @ self.rewards + missing * self.rewards.sum()) / n)


def accumulate(
    weights: ArrayLike,
    rewards: ArrayLike,
    *,
    q_logged: ArrayLike | None = None,
    q_policy: ArrayLike | None = None,
    policy_match: ArrayLike | None = None,
    estimator: str = "snips",
    weight_range: Range = (0.0, inf),
    clip: float = inf,
    shrinkage: float | None = None,
    groups: ArrayLike | Sequence[object] | None = None,
) -> MomentSums | WeightTable:
    """Summarise one shard; arguments as in `estimate`. All decisions of a customer must be in one shard.

    Raises
    ------
    InputError
        As `estimate`; and dros and subgaussian need their shrinkage, since a shard cannot tune for the whole log.
    """
    sample = checked_sample(
        weights,
        rewards,
        q_logged=q_logged,
        q_policy=q_policy,
        policy_match=policy_match,
        groups=groups,
        weight_range=weight_range,
    )
    if estimator == "el":
        ones = np.ones(sample.n)
        return _table(sample.weight_range, sample.weights, ones, sample.rewards)
    return _moment_sums(build(estimator, sample, clip=clip, shrinkage=shrinkage), sample)


def _moment_sums(estimator: Estimator, sample: Sample) -> MomentSums:
    units = np.stack([sample.per_unit(row) for row in estimator.moments(sample)])
    centred = units - units.mean(axis=1, keepdims=True)
    return MomentSums(estimator, sample.n_groups, units.sum(axis=1), centred @ centred.T)


def _table(weight_range: Range, weights: FloatArray, counts: FloatArray, rewards: FloatArray) -> WeightTable:
    distinct, where = np.unique(weights, return_inverse=True)
    return WeightTable(
        weight_range,
        distinct,
        np.bincount(where, weights=counts).astype(np.float64, copy=False),
        np.bincount(where, weights=rewards).astype(np.float64, copy=False),
    )
