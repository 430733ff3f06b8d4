"""Doubly robust: V = E_n[q(x,pi) + min(w, l) (r - q(x,a))] (Dudik et al. 2011, arXiv 1103.4601).

The estimators that shrink or drop weights (Switch-DR, DRos, sub-Gaussian) are this one with another weight; MRDR
(Farajtabar et al. 2018) is this one with q fitted under the weights of `cross_fit.mrdr_weights`.
"""

from dataclasses import dataclass
from math import inf
from typing import ClassVar

import numpy as np

from bandit_nba.errors import RefusedError
from bandit_nba.evaluate.estimators.protocol import AnyArray, Bounded, mean_of_second, with_ones
from bandit_nba.evaluate.sample import FloatArray, Sample, need, rewards_within_range


@dataclass(frozen=True, slots=True)
class DoublyRobust:
    """The model's expected reward, corrected by the weighted residuals; q must be cross-fitted."""

    clip: float = inf
    name: ClassVar[str] = "dr"
    is_average: ClassVar[bool] = True

    def moments(self, sample: Sample) -> FloatArray:
        """[1, q(x,pi) + w (r - q(x,a))]."""
        return with_ones(corrected(sample, np.minimum(sample.weights, self.clip), self.name))

    def value(self, sums: AnyArray) -> AnyArray:
        """Mean of the corrected expected rewards."""
        return mean_of_second(sums)

    def bounded(self, sample: Sample) -> Bounded:
        """Corrected expected rewards in [r_min - w_max d, r_max + w_max d], d = r_max - r_min."""
        return bounded_corrections(
            sample, np.minimum(sample.weights, self.clip), min(sample.weight_range[1], self.clip), self.name
        )


def corrected(sample: Sample, weights: FloatArray, by: str) -> FloatArray:
    """q(x,pi) + weights (r - q(x,a)), shape (n,)."""
    q_policy = need(sample.q_policy, "q_policy", by)
    q_logged = need(sample.q_logged, "q_logged", by)
    return q_policy + weights * (sample.rewards - q_logged)


def bounded_corrections(sample: Sample, weights: FloatArray, largest: float, by: str) -> Bounded:
    """Bound the corrected expected rewards; `largest` is the largest possible (transformed) weight."""
    rewards_within_range(sample, "a bound")
    refuse_outside_predictions(sample, by)
    r_min, r_max = sample.reward_range
    reach = largest * (r_max - r_min)
    return Bounded(corrected(sample, weights, by), r_min - reach, r_max + reach)


def refuse_outside_predictions(sample: Sample, by: str) -> None:
    """A range-based bound needs expected rewards inside the range of the rewards."""
    low, high = sample.reward_range
    for name, q in (("q_logged", sample.q_logged), ("q_policy", sample.q_policy)):
        outside = None if q is None else (q < low) | (q > high)
        if outside is not None and q is not None and outside.any():
            row = int(np.argmax(outside))
            raise RefusedError(
                f"a range-based bound for {by} needs expected rewards inside reward_range",
                where=f"{name}[{row}]",
                got=float(q[row]),
                allowed=f"[{low:g}, {high:g}]",
                hint="clip the predictions to the reward range (cross_fit does)",
            )
