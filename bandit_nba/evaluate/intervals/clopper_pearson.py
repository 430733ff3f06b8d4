"""Clopper-Pearson-style interval (vw-estimators): a heuristic that pretends weighted successes were counts.

k = sum(w r) / w_max successes in N = n / w_max trials, and Beta quantiles. Exact where every weight is 1 and rewards
are 0 or 1; otherwise without a proof, and wide where w_max is large.
"""

from math import isfinite

import numpy as np
from scipy.special import betaincinv

from bandit_nba.evaluate.intervals.protocol import Bounds, Problem, design_effect, weights_only
from bandit_nba.evaluate.sample import rewards_within_range


def clopper_pearson(problem: Problem) -> Bounds:
    """Beta(alpha/2; k, N - k + 1) and Beta(1 - alpha/2; k + 1, N - k), scaled back to the range of the rewards."""
    weights_only(problem, "clopper_pearson")
    sample = problem.sample
    rewards = rewards_within_range(sample, "clopper_pearson")
    warnings: tuple[str, ...] = ()
    largest = sample.weight_range[1]
    if not isfinite(largest):
        largest = float(sample.weights.max())
        warnings = (
            f"clopper_pearson took the largest weight seen, {largest:.3g}, since weight_range has no end: too narrow",
        )
    shrink = largest * design_effect(problem)
    trials = sample.n / shrink
    successes = float(np.clip(sample.weights @ rewards / shrink, 0.0, trials))
    low = float(betaincinv(successes, trials - successes + 1, problem.alpha / 2)) if successes > 0 else 0.0
    high = float(betaincinv(successes + 1, trials - successes, 1 - problem.alpha / 2)) if successes < trials else 1.0
    r_min, r_max = sample.reward_range
    return Bounds(r_min + low * (r_max - r_min), r_min + high * (r_max - r_min), warnings)
