"""A log as flat vectors, checked once, so that no estimator checks again."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import copysign, inf, isfinite, isnan, sqrt
from typing import Any, TypeVar

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from bandit_nba.errors import InputError

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.intp]
BoolArray = NDArray[np.bool_]
Range = tuple[float, float]
_T = TypeVar("_T")

# Weights are quotients of probabilities that went through a log: a rounding error is no violation of the range.
RANGE_TOLERANCE = 1e-9


@dataclass(frozen=True, slots=True)
class Sample:
    """n logged decisions, in the order in which they were made.

    Attributes
    ----------
    weights
        w = pi(a|x) / p: the judged policy's probability of the logged arm over the propensity, shape (n,), >= 0.
    rewards
        Shape (n,), in the unit of the reward definition.
    q_logged, q_policy
        Expected reward of the logged arm, and of the judged policy: sum_a pi(a|x) q(x,a). Shape (n,).
    policy_match
        Whether the deterministic judged policy would have chosen the logged arm, shape (n,).
    groups
        Customer of each decision as codes 0 .. n_groups - 1, or None where every decision stands alone.
    n_groups
        Number of customers; n where `groups` is None.
    reward_range, weight_range
        Smallest and largest *possible* reward and weight, not those seen.
    """

    weights: FloatArray
    rewards: FloatArray
    q_logged: FloatArray | None
    q_policy: FloatArray | None
    policy_match: BoolArray | None
    groups: IntArray | None
    n_groups: int
    reward_range: Range
    weight_range: Range

    @property
    def n(self) -> int:
        """Number of decisions."""
        return len(self.weights)

    @property
    def ess(self) -> float:
        """Effective sample size (sum w)^2 / sum w^2; 0 where every weight is 0."""
        largest = float(self.weights.max())
        if largest == 0:
            return 0.0
        scaled = self.weights / largest
        return float(scaled.sum() ** 2 / (scaled @ scaled))

    @property
    def mean_weight_z(self) -> float:
        """Standard errors (by customer) between the mean weight and 1; infinite where constant weights are not 1."""
        excess = self.weights - 1.0
        gap = float(excess.mean())
        if abs(gap) <= RANGE_TOLERANCE:
            return 0.0  # rounding: for a policy like the log's own the error is of the same size
        centred = self.per_unit(excess - gap)
        error = sqrt(float(centred @ centred)) / self.n
        return gap / error if error > 0 else copysign(inf, gap)

    def per_unit(self, values: FloatArray) -> FloatArray:
        """Sum `values` (n,) over the decisions of each customer: shape (n_groups,)."""
        if self.groups is None:
            return values
        return np.bincount(self.groups, weights=values, minlength=self.n_groups).astype(np.float64, copy=False)

    def unit_sizes(self) -> FloatArray:
        """Decisions of each customer, shape (n_groups,)."""
        if self.groups is None:
            return np.ones(self.n)
        return np.bincount(self.groups, minlength=self.n_groups).astype(np.float64)

    @property
    def customers_repeat(self) -> bool:
        """Whether some customer has more than one decision."""
        return self.n_groups < self.n

    def matched(self) -> "Sample":
        """Only the decisions where the policy agrees with the log, each with weight 1 (for `replay`)."""
        keep = need(self.policy_match, "policy_match", "replay")
        groups, n_groups = (None, int(keep.sum())) if self.groups is None else _codes(self.groups[keep])
        return replace(
            self,
            weights=np.ones(int(keep.sum())),
            rewards=self.rewards[keep],
            q_logged=None,
            q_policy=None,
            policy_match=np.ones(int(keep.sum()), dtype=np.bool_),
            groups=groups,
            n_groups=n_groups,
            weight_range=(0.0, 1.0),
        )


def checked_sample(
    weights: ArrayLike,
    rewards: ArrayLike,
    *,
    q_logged: ArrayLike | None = None,
    q_policy: ArrayLike | None = None,
    policy_match: ArrayLike | None = None,
    groups: ArrayLike | Sequence[object] | None = None,
    reward_range: Range = (0.0, 1.0),
    weight_range: Range = (0.0, inf),
) -> Sample:
    """Build a `Sample`, or say which row of which vector is wrong.

    Raises
    ------
    InputError
        A vector has another length, a number is not finite, a weight is negative or outside of its possible range,
        a range is empty, a customer is missing.
    """
    w = finite_vector(weights, "weights")
    n = len(w)
    if n == 0:
        raise InputError("there is no decision to judge", where="weights", allowed="at least one row")
    lowest, highest = _checked_weight_range(weight_range)
    _refuse_rows(w < 0, w, "weights", "a weight is negative", "probability over propensity, at least 0")
    slack = RANGE_TOLERANCE * max(1.0, highest if isfinite(highest) else 1.0)
    outside = (w < lowest - slack) | (w > highest + slack)
    _refuse_rows(outside, w, "weights", "a weight is outside weight_range", f"[{lowest:g}, {highest:g}]")
    codes, n_groups = (None, n) if groups is None else _codes(_grouping(groups, n))
    return Sample(
        weights=w,
        rewards=finite_vector(rewards, "rewards", n),
        q_logged=None if q_logged is None else finite_vector(q_logged, "q_logged", n),
        q_policy=None if q_policy is None else finite_vector(q_policy, "q_policy", n),
        policy_match=None if policy_match is None else _flags(policy_match, n),
        groups=codes,
        n_groups=n_groups,
        reward_range=_checked_reward_range(reward_range),
        weight_range=(lowest, highest),
    )


def finite_vector(values: ArrayLike, where: str, n: int | None = None) -> FloatArray:
    """Read one vector of finite numbers of length `n`, or name the first row that is wrong."""
    try:
        raw = np.asarray(values)
        if np.iscomplexobj(raw):  # numpy would drop the imaginary part
            raise TypeError("complex numbers")
        if np.ma.is_masked(values):  # numpy would read what the mask hides
            raise ValueError("masked values")
        vector = raw.astype(np.float64)
    except (TypeError, ValueError) as error:
        raise InputError("these are not numbers", where=where, got=str(error), allowed="a flat vector") from error
    if vector.ndim != 1:
        raise InputError("this is not a flat vector", where=where, got=vector.shape, allowed="shape (n,)")
    if n is not None and len(vector) != n:
        raise InputError("the vector has another length than the weights", where=where, got=len(vector), allowed=str(n))
    _refuse_rows(~np.isfinite(vector), vector, where, "a number is not finite", "finite numbers")
    return vector


def need(value: _T | None, name: str, by: str) -> _T:
    """Return what an estimator cannot do without, or say that it is missing."""
    if value is None:
        raise InputError(
            f"{by} needs {name}",
            where=name,
            allowed="one value for each decision",
            hint="q_logged and q_policy come from cross_fit; policy_match is (policy's arm == logged arm)",
        )
    return value


def rewards_within_range(sample: Sample, by: str) -> FloatArray:
    """Rewards scaled to [0, 1] by the possible range, or name the first row outside of it."""
    low, high = finite_reward_range(sample, by)
    r = sample.rewards
    _refuse_rows(
        (r < low) | (r > high),
        r,
        "rewards",
        f"{by} needs rewards inside reward_range",
        f"[{low:g}, {high:g}]",
    )
    return (r - low) / (high - low)


def finite_reward_range(sample: Sample, by: str) -> Range:
    """Return the possible reward range where it is finite; refuse otherwise."""
    low, high = sample.reward_range
    if not (isfinite(low) and isfinite(high)):
        raise InputError(
            f"{by} needs the smallest and the largest possible reward",
            where="reward_range",
            got=sample.reward_range,
            allowed="two finite numbers",
        )
    return low, high


def _refuse_rows(wrong: BoolArray, values: NDArray[Any], where: str, what: str, allowed: str) -> None:
    if wrong.any():
        row = int(np.argmax(wrong))
        more = int(wrong.sum()) - 1
        hint = f"{more:,} more rows are wrong in the same way" if more else ""
        raise InputError(what, where=f"{where}[{row}]", got=float(values[row]), allowed=allowed, hint=hint)


def _checked_weight_range(weight_range: Range) -> Range:
    low, high = float(weight_range[0]), float(weight_range[1])
    # Under the logging policy the mean weight is 1, so that a range without 1 contradicts itself.
    if isnan(low) or isnan(high) or not 0 <= low <= 1 <= high:
        raise InputError(
            "the range of possible weights cannot hold",
            where="weight_range",
            got=weight_range,
            allowed="(low, high) with 0 <= low <= 1 <= high",
            hint="with a floor f/K under every propensity the largest possible weight is K/f",
        )
    return low, high


def _checked_reward_range(reward_range: Range) -> Range:
    low, high = float(reward_range[0]), float(reward_range[1])
    if isnan(low) or isnan(high) or not low < high:
        raise InputError("the reward range is empty", where="reward_range", got=reward_range, allowed="low < high")
    return low, high


def _flags(values: ArrayLike, n: int) -> BoolArray:
    flags = np.asarray(values)
    if flags.shape != (n,):
        raise InputError("the vector has another length than the weights", where="policy_match", got=flags.shape)
    if flags.dtype != np.bool_:
        known = (flags == 0) | (flags == 1)
        if not known.all():
            raise InputError(
                "policy_match is neither true nor false",
                where=f"policy_match[{int(np.argmin(known))}]",
                got=str(flags[int(np.argmin(known))]),
                allowed="true or false",
            )
    return flags.astype(np.bool_)


def _grouping(groups: ArrayLike | Sequence[object], n: int) -> NDArray[Any]:
    labels = np.asarray(groups)
    if labels.shape != (n,):
        raise InputError(
            "groups have another length than the weights", where="groups", got=labels.shape, allowed=f"({n},)"
        )
    return labels


def _codes(labels: NDArray[Any]) -> tuple[IntArray, int]:
    codes, unique = pd.factorize(labels)
    if (codes < 0).any():
        row = int(np.argmax(codes < 0))
        raise InputError("a decision has no customer", where=f"groups[{row}]", allowed="a key for each decision")
    return codes.astype(np.intp, copy=False), len(unique)
