"""How much more one policy earns than another, judged on the same decisions.

Both policies see the same luck, so that the interval of the difference is much narrower than the two intervals suggest.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import inf, isfinite
from typing import ClassVar

import numpy as np
from numpy.typing import ArrayLike

from bandit_nba.errors import InputError
from bandit_nba.evaluate.api import bounded_estimate, build_for, carried
from bandit_nba.evaluate.estimators.protocol import AnyArray, Bounded, Estimator, OneSided
from bandit_nba.evaluate.result import ESS_FLOOR, Estimate
from bandit_nba.evaluate.sample import FloatArray, Range, Sample, checked_sample

WEIGHTED_REWARDS = frozenset({"ips", "snips", "el", "cressie_read"})


@dataclass(frozen=True, slots=True)
class Difference:
    """V(policy) - V(baseline): the moments of both, side by side."""

    policy: Estimator
    baseline: Estimator
    baseline_sample: Sample
    name: ClassVar[str] = "difference"

    @property
    def is_average(self) -> bool:
        """Whether both are plain means."""
        return self.policy.is_average and self.baseline.is_average

    def moments(self, sample: Sample) -> FloatArray:
        """The policy's moments above the baseline's."""
        return np.concatenate([self.policy.moments(sample), self.baseline.moments(self.baseline_sample)])

    def value(self, sums: AnyArray) -> AnyArray:
        """Difference of the two values."""
        split = len(self.policy.moments(_one_row(self.baseline_sample)))
        gap: AnyArray = self.policy.value(sums[..., :split]) - self.baseline.value(sums[..., split:])
        return gap

    def bounded(self, sample: Sample) -> Bounded:
        """Difference of the contributions.

        For weighted rewards, with the baseline's weights in [0, B] and rewards scaled to [0, 1], the sequences use
        x = ((w - w_b) r + B) / (1 + B) and its complement with 1 - r: non-negative without any bound on w.
        """
        ours, theirs = self.policy.bounded(sample), self.baseline.bounded(self.baseline_sample)
        plain = Bounded(ours.contributions - theirs.contributions, ours.low - theirs.high, ours.high - theirs.low)
        largest = self.baseline_sample.weight_range[1]
        clip = getattr(self.policy, "clip", inf)
        width = sample.reward_range[1] - sample.reward_range[0]
        # Clipping the policy's weights only lowers both kinds of terms; clipping the baseline's would raise them.
        if self.policy.name not in WEIGHTED_REWARDS or largest > clip or not isfinite(largest * width):
            return plain
        gap = np.minimum(sample.weights, clip) - self.baseline_sample.weights
        scaled = (sample.rewards - sample.reward_range[0]) / width
        reach = 1 + largest
        return replace(
            plain,
            rising=OneSided((gap * scaled + largest) / reach, -largest * width, reach * width),
            falling=OneSided((gap * (1 - scaled) + largest) / reach, largest * width, -reach * width),
        )


def estimate_difference(
    weights: ArrayLike,
    baseline_weights: ArrayLike,
    rewards: ArrayLike,
    *,
    q_logged: ArrayLike | None = None,
    q_policy: ArrayLike | None = None,
    q_baseline: ArrayLike | None = None,
    estimator: str = "snips",
    interval: str = "gaussian",
    alpha: float = 0.05,
    reward_range: Range = (0.0, 1.0),
    weight_range: Range = (0.0, inf),
    baseline_weight_range: Range | None = None,
    clip: float = inf,
    shrinkage: float | None = None,
    groups: ArrayLike | Sequence[object] | None = None,
    rng: np.random.Generator | None = None,
) -> Estimate:
    """Estimate V(policy) - V(baseline) on the same n decisions; arguments as in `estimate`.

    Parameters
    ----------
    baseline_weights
        The baseline's probability of the logged arm over the propensity; all 1 where the log is the baseline's own.
    q_baseline
        Expected reward under the baseline, shape (n,), for the estimators with a reward model.
    baseline_weight_range
        Possible weights of the baseline; `weight_range` where None.

    Returns
    -------
    Estimate
        `ess` is the smaller of the two. Intervals: gaussian, student_t, bootstrap; hoeffding and empirical_bernstein
        with finite weight ranges; the two sequences with a finite range of the baseline's weights. Clopper-Pearson,
        Cressie-Read and EL speak of one policy and are refused, as is replay, whose two matched subsets differ.
    """
    if estimator == "replay":
        raise InputError(
            "replay cannot compare on the same decisions", where="estimator", got=estimator, allowed="snips"
        )
    sample = checked_sample(
        weights,
        rewards,
        q_logged=q_logged,
        q_policy=q_policy,
        groups=groups,
        reward_range=reward_range,
        weight_range=weight_range,
    )
    baseline = checked_sample(
        baseline_weights,
        rewards,
        q_logged=q_logged,
        q_policy=q_baseline,
        reward_range=reward_range,
        weight_range=baseline_weight_range or weight_range,
    )
    with carried():
        first, cautions = build_for(sample, estimator, clip, shrinkage)
        second, _ = build_for(baseline, estimator, clip, getattr(first, "shrinkage", None))
        width = sample.reward_range[1] - sample.reward_range[0]
        found = bounded_estimate(
            sample,
            Difference(first, second, baseline),
            interval=interval,
            alpha=alpha,
            rng=rng,
            warnings=cautions,
            value_range=(-width, width),
        )
    if baseline.ess < ESS_FLOOR <= sample.ess:
        few = f"the log is worth only {baseline.ess:,.0f} decisions of the baseline: too few for a verdict"
        return replace(found, ess=baseline.ess, warnings=(*found.warnings, few))
    return replace(found, ess=min(found.ess, baseline.ess))


def _one_row(sample: Sample) -> Sample:
    """The first decision alone, to count an estimator's moments cheaply."""
    first = slice(0, 1)
    return replace(
        sample,
        weights=sample.weights[first],
        rewards=sample.rewards[first],
        q_logged=None if sample.q_logged is None else sample.q_logged[first],
        q_policy=None if sample.q_policy is None else sample.q_policy[first],
        groups=None,
        n_groups=1,
    )
