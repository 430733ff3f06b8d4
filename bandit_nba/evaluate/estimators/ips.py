"""Inverse propensity score: V = E_n[min(w, l) r] (Horvitz and Thompson 1952; clipping: Ionides 2008)."""

from dataclasses import dataclass
from math import inf
from typing import ClassVar

import numpy as np

from bandit_nba.evaluate.estimators.protocol import (
    AnyArray,
    Bounded,
    OneSided,
    mean_of_second,
    product_range,
    with_ones,
)
from bandit_nba.evaluate.sample import FloatArray, Sample, rewards_within_range


@dataclass(frozen=True, slots=True)
class Ips:
    """Weighted rewards, averaged; unbiased without clipping, its variance grows with the largest weights."""

    clip: float = inf
    name: ClassVar[str] = "ips"
    is_average: ClassVar[bool] = True

    def moments(self, sample: Sample) -> FloatArray:
        """[1, w r]."""
        return with_ones(np.minimum(sample.weights, self.clip) * sample.rewards)

    def value(self, sums: AnyArray) -> AnyArray:
        """Mean of w r."""
        return mean_of_second(sums)

    def bounded(self, sample: Sample) -> Bounded:
        """w r, and for sequences the pair w (r - r_min), w (r_max - r)."""
        return bounded_rewards(sample, np.minimum(sample.weights, self.clip), self.clip)


def bounded_rewards(sample: Sample, weights: FloatArray, largest: float) -> Bounded:
    """Bound weighted rewards; `largest` limits what a transformed weight can be.

    The sequences need no upper bound on the weights: E[w (r_max - r)] = r_max - V. With clipped weights both of their
    ends still hold, since clipping only takes away from non-negative terms; the contributions' mean does not.
    """
    rewards_within_range(sample, "a bound")
    w_low, w_high = sample.weight_range
    low, high = product_range((min(w_low, largest), min(w_high, largest)), sample.reward_range)
    r_min, r_max = sample.reward_range
    width = r_max - r_min
    rising = OneSided(weights * (sample.rewards - r_min) / width, r_min, width)
    falling = OneSided(weights * (r_max - sample.rewards) / width, r_max, -width)
    return Bounded(weights * sample.rewards, low, high, rising, falling)
