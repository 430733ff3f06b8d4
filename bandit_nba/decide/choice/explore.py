"""Exploration: from priorities to the probabilities that a choice is drawn from, floor included.

Every kind says what the arms behind the best get; the best arms share the rest equally, rounding included, so that each
row sums to 1. The floor is mixed in last: p' = (1 - floor) p + floor / K, with K the row's eligible arms.
"""

import math

import numpy as np

from bandit_nba.decide.cells import best, clear, counts
from bandit_nba.decide.columns import Bools, Floats
from bandit_nba.decide.policy import Exploration, Explorer

MAX_GAMMA = 1e200  # keeps 1 / (K + gamma gap) above zero for every finite gap


def probabilities(
    priority: Floats,
    mask: Bools,
    exploration: Exploration,
    *,
    n: int,
    priority_range: float,
    members: Floats | None = None,
) -> Floats:
    """Probability of each arm, float64 (N, K); rows sum to 1 within 1e-12, arms that are not eligible get exactly 0.

    priority: (N, K), finite where `mask` is True, NaN elsewhere. mask: (N, K), at least one True per row.
    n: examples the model has learned. priority_range: the priority's unit of "large", divides every gap.
    members: (M, N, K), the priorities of an ensemble's members, which Thompson asks for; without it, one member.
    Exactly equal best priorities share equally, where VW favours one of them.
    """
    eligible = counts(mask)
    if exploration.kind == "uniform":
        even: Floats = mask / eligible
        return even
    if exploration.kind == "thompson":
        return _thompson(priority[None] if members is None else members, mask, eligible, floor=exploration.floor)
    gap = np.subtract(best(priority), priority, order="C")
    leads, trails = np.equal(gap, 0.0), np.greater(gap, 0.0)  # both False where the priority is NaN
    if exploration.kind == "squarecb":
        gamma = min(squarecb_gamma(exploration, n=n) / priority_range, MAX_GAMMA)
        p = _squarecb(gap, eligible, gamma=gamma, floor=exploration.floor)
        clear(p, trails)
    elif exploration.kind == "softmax":
        scale = exploration.temperature * priority_range
        p = _softmax(gap, eligible, trails, counts(leads), scale=scale, floor=exploration.floor)
    else:
        epsilon = share_explored(exploration, n=n)
        p = trails * ((exploration.floor + (1.0 - exploration.floor) * epsilon) / eligible)
    rest = 1.0 - np.add.reduce(p, axis=1, keepdims=True)
    np.copyto(p, rest / counts(leads), where=leads)
    return p


def squarecb_gamma(exploration: Explorer, *, n: int) -> float:
    """gamma = scale * max(n, 1) ** exponent: the more is learned, the less a gap is forgiven."""
    return exploration.scale * math.pow(max(n, 1), exploration.exponent)


def share_explored(exploration: Explorer, *, n: int) -> float:
    """What is spread evenly: `epsilon`, for epsilon_decay epsilon / (1 + n / half_life), 0 for the other kinds."""
    if exploration.kind == "epsilon_greedy":
        return exploration.epsilon
    return exploration.epsilon / (1.0 + n / exploration.half_life) if exploration.kind == "epsilon_decay" else 0.0


def full_support(exploration: Exploration) -> bool:
    """Whether every eligible arm has a probability above zero in every row, whatever the priorities are.

    Softmax says no without a floor: a gap of 745 temperatures leaves nothing that float64 can hold.
    """
    if exploration.kind in ("squarecb", "uniform") or exploration.floor > 0.0:
        return True
    return exploration.kind in ("epsilon_greedy", "epsilon_decay") and exploration.epsilon > 0.0


def _squarecb(gap: Floats, eligible: Floats, *, gamma: float, floor: float) -> Floats:
    """(1 - floor) / (K + gamma gap) + floor / K, written over `gap` (Foster & Rakhlin 2020, algorithm 1, mu = K)."""
    gap *= gamma
    gap += eligible
    np.divide(1.0 - floor, gap, out=gap)
    gap += floor / eligible
    return gap


def _softmax(gap: Floats, eligible: Floats, trails: Bools, leading: Floats, *, scale: float, floor: float) -> Floats:
    """What trailing arms get, 0 for all others: (1 - floor) e_a / sum e + floor / K with e = exp(-gap / scale) <= 1.

    The best arms' e is 1 each, so the sum is never below 1 and nothing overflows.
    """
    with np.errstate(over="ignore", under="ignore"):
        weight = np.exp(np.divide(gap, -scale, out=gap), where=trails, out=np.zeros_like(gap))
    total = leading + weight.sum(axis=1, keepdims=True)
    weight *= (1.0 - floor) / total
    weight += trails * (floor / eligible)
    return weight


def _thompson(members: Floats, mask: Bools, eligible: Floats, *, floor: float) -> Floats:
    """The share of members whose best the arm is, a member's ties shared, then the floor.

    Choosing one member at random and following it is Thompson sampling by bootstrap (Osband & Van Roy 2015).
    """
    p = np.zeros(mask.shape)
    for priority in members:
        leads = np.equal(priority, best(priority))
        p += leads / counts(leads)
    p *= (1.0 - floor) / len(members)
    p += mask * (floor / eligible)
    return p
