"""Exploration: from priorities to the probabilities that a choice is drawn from, floor included.

Every kind says what the arms behind the best get; the best arms share the rest equally, rounding included, so that each
row sums to 1. The floor is mixed in last: p' = (1 - floor) p + floor / K, with K the row's eligible arms.
"""

import math

import numpy as np

from bandit_nba.decide.batch import Bools, Floats
from bandit_nba.decide.policy import Exploration

MAX_GAMMA = 1e200  # keeps 1 / (K + gamma gap) above zero for every finite gap


def probabilities(priority: Floats, mask: Bools, exploration: Exploration, *, n: int, priority_range: float) -> Floats:
    """Probability of each arm, float64 (N, K); rows sum to 1 within 1e-12, arms that are not eligible get exactly 0.

    priority: (N, K), finite where `mask` is True, NaN elsewhere. mask: (N, K), at least one True per row.
    n: examples the model has learned. priority_range: the priority's unit of "large", divides every gap.
    Exactly equal best priorities share equally, where VW favours one of them.
    """
    eligible = mask.sum(axis=1, keepdims=True).astype(np.float64)
    if exploration.kind == "uniform":
        even: Floats = mask / eligible
        return even
    best = np.fmax.reduce(priority, axis=1, keepdims=True)
    gap = np.subtract(best, priority, order="C")
    leads, trails = np.equal(gap, 0.0), np.greater(gap, 0.0)  # both False where the priority is NaN
    if exploration.kind == "squarecb":
        gamma = min(squarecb_gamma(exploration, n=n) / priority_range, MAX_GAMMA)
        p = _squarecb(gap, eligible, gamma=gamma, floor=exploration.floor)
        np.copyto(p, 0.0, where=~trails)
    else:
        epsilon = exploration.epsilon if exploration.kind == "epsilon_greedy" else 0.0
        p = trails * ((exploration.floor + (1.0 - exploration.floor) * epsilon) / eligible)
    rest = 1.0 - p.sum(axis=1, keepdims=True)
    np.copyto(p, rest / leads.sum(axis=1, keepdims=True), where=leads)
    return p


def squarecb_gamma(exploration: Exploration, *, n: int) -> float:
    """gamma = scale * max(n, 1) ** exponent: the more is learned, the less a gap is forgiven."""
    return exploration.scale * math.pow(max(n, 1), exploration.exponent)


def full_support(exploration: Exploration) -> bool:
    """Whether every eligible arm has a probability above zero in every row, whatever the priorities are."""
    if exploration.kind in ("squarecb", "uniform") or exploration.floor > 0.0:
        return True
    return exploration.kind == "epsilon_greedy" and exploration.epsilon > 0.0


def _squarecb(gap: Floats, eligible: Floats, *, gamma: float, floor: float) -> Floats:
    """(1 - floor) / (K + gamma gap) + floor / K, written over `gap` (Foster & Rakhlin 2020, algorithm 1, mu = K)."""
    gap *= gamma
    gap += eligible
    np.divide(1.0 - floor, gap, out=gap)
    gap += floor / eligible
    return gap
