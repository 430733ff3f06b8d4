"""The gate: promote a challenger once a confidence sequence of its gain lies above 0, however often one looks.

Where the log is the champion's own, one sequence is enough. With w_t = pi_challenger / p and rewards scaled to [0, 1],

    x_t = (1 + (w_t - 1) r_t) / 2

is non-negative (w r >= 0 and r <= 1), its conditional mean is (1 + gain_t) / 2 <= 1, since E[w_t r_t] is the
challenger's value and E[r_t] the champion's. So gain >= 2 L(x) - 1. With 1 - r_t in the place of r_t the mean is
(1 - gain_t) / 2, so gain <= 1 - 2 L(complement). No bound on the weights is needed. It is tighter than
L(challenger) - U(champion), since both earn the same on the decisions where they agree.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from bandit_nba.errors import InputError
from bandit_nba.evaluate.intervals.confidence_sequence import lower_sequence
from bandit_nba.evaluate.intervals.robust_sequence import lower_robust_sequence
from bandit_nba.evaluate.result import ESS_FLOOR
from bandit_nba.evaluate.sample import FloatArray, Range, Sample, checked_sample, rewards_within_range

SEQUENCES = {"confidence_sequence": lower_sequence, "robust_sequence": lower_robust_sequence}
SequenceName = Literal["confidence_sequence", "robust_sequence"]


@dataclass(frozen=True, slots=True)
class Verdict:
    """What to do with one challenger, and between which ends its gain per decision lies (in reward units)."""

    challenger: str
    action: Literal["promote", "wait", "reject"]
    low: float
    high: float
    n: int
    ess: float
    reason: str


def gate(
    challengers: Mapping[str, ArrayLike],
    rewards: ArrayLike,
    *,
    champion_weights: ArrayLike | None = None,
    alpha: float = 0.05,
    reward_range: Range = (0.0, 1.0),
    sequence: SequenceName = "confidence_sequence",
) -> tuple[Verdict, ...]:
    """Judge every challenger against the champion on the same decisions, in time order.

    Parameters
    ----------
    challengers
        Name to weights pi_challenger / p, each of shape (n,).
    champion_weights
        The champion's weights; None where the log is the champion's own, exploration included.
    alpha
        Chance that *any* verdict is wrong at *any* time: divided by the number of challengers (Bonferroni).

    Returns
    -------
    tuple of Verdict
        `promote` where the gain is above 0, `reject` where it is below, `wait` otherwise and under the ESS floor.
    """
    if not challengers:
        raise InputError("there is no challenger", where="challengers", allowed="at least one")
    if not 0 < alpha < 1:
        raise InputError("alpha is the chance of missing the truth", where="alpha", got=alpha, allowed="0 to 1, open")
    if sequence not in SEQUENCES:
        raise InputError("no such sequence", where="sequence", got=sequence, allowed=", ".join(SEQUENCES))
    share = alpha / len(challengers)
    verdicts = []
    for name, weights in challengers.items():
        sample = checked_sample(weights, rewards, reward_range=reward_range)
        now = np.array([sample.n])
        low, high = gain_sequence(
            weights,
            rewards,
            now,
            champion_weights=champion_weights,
            alpha=share,
            reward_range=reward_range,
            sequence=sequence,
        )
        verdicts.append(_verdict(name, sample, float(low[0]), float(high[0])))
    return tuple(verdicts)


def gain_sequence(
    weights: ArrayLike,
    rewards: ArrayLike,
    times: NDArray[np.int64],
    *,
    champion_weights: ArrayLike | None = None,
    alpha: float = 0.05,
    reward_range: Range = (0.0, 1.0),
    sequence: SequenceName = "confidence_sequence",
) -> tuple[FloatArray, FloatArray]:
    """Lower and upper end of the challenger's gain after each of `times` decisions (1-based), valid at all at once.

    Without `champion_weights` from the one sequence of this file's head; with them from the two sequences
    L(challenger) - U(champion) and U(challenger) - L(champion), each at a quarter of alpha.
    """
    sample = checked_sample(weights, rewards, reward_range=reward_range)
    r = rewards_within_range(sample, "the gate")
    width = sample.reward_range[1] - sample.reward_range[0]
    lower = SEQUENCES[sequence]
    if champion_weights is None:
        low = 2 * lower((1 + (sample.weights - 1) * r) / 2, times, alpha / 2) - 1
        high = 1 - 2 * lower((1 + (sample.weights - 1) * (1 - r)) / 2, times, alpha / 2)
        return width * low, width * high
    champion = checked_sample(champion_weights, rewards, reward_range=reward_range).weights
    ends = [
        (lower(w * r, times, alpha / 4), 1 - lower(w * (1 - r), times, alpha / 4)) for w in (sample.weights, champion)
    ]
    (low, high), (champion_low, champion_high) = ends
    return width * (low - champion_high), width * (high - champion_low)


def _verdict(name: str, sample: Sample, low: float, high: float) -> Verdict:
    action: Literal["promote", "wait", "reject"] = "wait"
    if sample.ess < ESS_FLOOR:
        reason = f"the log is worth only {sample.ess:,.0f} decisions of {name}; {ESS_FLOOR:.0f} are needed"
    elif low > 0:
        action, reason = "promote", f"{name} earns at least {low:.4g} more per decision"
    elif high < 0:
        action, reason = "reject", f"{name} earns at least {-high:.4g} less per decision"
    else:
        reason = f"{name} may earn between {low:.4g} and {high:.4g} more per decision: not decided yet"
    return Verdict(name, action, low, high, sample.n, sample.ess, reason)
