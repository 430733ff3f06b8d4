"""Estimates from shards of a log: accumulators that merge, equal to one pass over the whole.

`shards` makes values with intervals of them.

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
    """Summed moments (k,) of `n` decisions of `units` customers, with the sum of the weights as the last of them.

    scatter, alone: of customers about the mean customer and of decisions about the mean decision, (k, k); one array
    where no customer comes back. seen: smallest and largest reward.
    """

    estimator: Estimator
    n: int
    units: int
    sums: FloatArray
    scatter: FloatArray
    alone: FloatArray
    weight_range: Range
    seen: Range

    def merge(self, other: "MomentSums") -> "MomentSums":
        """Add; scatters merge without cancellation (Chan, Golub and LeVeque 1983)."""
        if self.estimator != other.estimator:
            raise InputError(
                "shards of different estimators cannot be merged",
                where="merge",
                got=repr(other.estimator),
                allowed=repr(self.estimator),
            )
        _refuse_other_range(self.weight_range, other.weight_range)
        scatter = self.scatter + other.scatter + self._between(other, self.units, other.units)
        once = self.alone is self.scatter and other.alone is other.scatter
        alone = scatter if once else self.alone + other.alone + self._between(other, self.n, other.n)
        return MomentSums(
            estimator=self.estimator,
            n=self.n + other.n,
            units=self.units + other.units,
            sums=self.sums + other.sums,
            scatter=scatter,
            alone=alone,
            weight_range=self.weight_range,
            seen=(min(self.seen[0], other.seen[0]), max(self.seen[1], other.seen[1])),
        )

    def value(self) -> float:
        """The estimate of all decisions seen."""
        return float(self.estimator.value(self.sums[:-1]))

    def standard_error(self) -> float:
        """Delta-method standard error, as `interval="gaussian"` uses it."""
        if self.units < 2:
            raise InputError("a standard error needs two customers", where="units", got=self.units, allowed="2 or more")
        variance = self.variance(self.scatter)
        return sqrt(variance * (self.units / (self.units - 1) if self.estimator.is_average else 1.0))

    def variance(self, scatter: FloatArray) -> float:
        """That of the estimate if its moments scatter so."""
        slopes = gradient(self.estimator, self.sums[:-1])
        return max(0.0, float(slopes @ scatter[:-1, :-1] @ slopes))

    def squares(self, i: int, j: int) -> float:
        """Sum over the decisions of the product of moments i and j."""
        return float(self.alone[i, j] + self.sums[i] * self.sums[j] / self.n)

    def _between(self, other: "MomentSums", mine: int, theirs: int) -> FloatArray:
        gap = self.sums / mine - other.sums / theirs
        return np.outer(gap, gap) * (mine * theirs / (mine + theirs))


@dataclass(frozen=True, slots=True)
class WeightTable:
    """Empirical likelihood needs every weight again: distinct weights (m,), how often, and their summed rewards."""

    weight_range: Range
    weights: FloatArray
    counts: FloatArray
    rewards: FloatArray

    def merge(self, other: "WeightTable") -> "WeightTable":
        """Join the tables; memory grows with the number of distinct weights."""
        _refuse_other_range(self.weight_range, other.weight_range)
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
    return moment_sums(build(estimator, sample, clip=clip, shrinkage=shrinkage), sample)


def moment_sums(estimator: Estimator, sample: Sample) -> MomentSums:
    """Summarise a checked shard."""
    moments = np.concatenate([estimator.moments(sample), sample.weights[None]])
    sums = moments.sum(axis=1)
    units = moments if sample.groups is None else np.stack([sample.per_unit(row) for row in moments])
    scatter = _scatter(units, sums)
    return MomentSums(
        estimator=estimator,
        n=sample.n,
        units=sample.n_groups,
        sums=sums,
        scatter=scatter,
        alone=scatter if units is moments else _scatter(moments, sums),
        weight_range=sample.weight_range,
        seen=(float(sample.rewards.min()), float(sample.rewards.max())),
    )


def _scatter(rows: FloatArray, sums: FloatArray) -> FloatArray:
    centred = rows - sums[:, None] / rows.shape[1]
    found: FloatArray = centred @ centred.T
    return found


def _refuse_other_range(mine: Range, other: Range) -> None:
    if mine != other:
        raise InputError(
            "shards with different ranges of weights cannot be merged", where="merge", got=other, allowed=str(mine)
        )


def _table(weight_range: Range, weights: FloatArray, counts: FloatArray, rewards: FloatArray) -> WeightTable:
    distinct, where = np.unique(weights, return_inverse=True)
    return WeightTable(
        weight_range,
        distinct,
        np.bincount(where, weights=counts).astype(np.float64, copy=False),
        np.bincount(where, weights=rewards).astype(np.float64, copy=False),
    )
