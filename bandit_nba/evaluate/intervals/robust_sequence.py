"""Confidence sequence for heavy weights: a discrete mixture of exact bets (Mineiro 2022, arXiv 2210.11133).

For x_t >= 0 with conditional mean m_t <= 1, a predictable guess g_t in [0, 1] and 0 <= b < 1,

    prod (1 + b (x_t - g_t)) exp(b (g_t - m_t))

is a non-negative supermartingale, since 1 + y <= exp(y). It keeps the logarithm that the empirical Bernstein sequence
replaces by a quadratic, so that one huge weight costs ln(w) and not w^2. Bets b from a geometric grid are mixed evenly.
"""

import numpy as np
from numpy.typing import NDArray
from scipy.special import logsumexp

from bandit_nba.evaluate.intervals.confidence_sequence import guesses, sequence_bounds, solve_decreasing
from bandit_nba.evaluate.intervals.protocol import Bounds, Problem
from bandit_nba.evaluate.sample import FloatArray

# From nearly everything down to what is best for a mean of ten million decisions, each 1.6 times the next.
BETS = 0.95 * 1.6 ** -np.arange(25.0)


def robust_sequence(problem: Problem) -> Bounds:
    """Both ends after the last decision, each at alpha/2; valid at all times and for any weights."""
    return sequence_bounds(problem, lower_robust_sequence, "robust_sequence")


def lower_robust_sequence(terms: FloatArray, times: NDArray[np.int64], alpha: float) -> FloatArray:
    """Lower end of the running mean at each of `times`; arguments as `lower_sequence`."""
    guess = guesses(terms)
    guessed = np.cumsum(guess)[times - 1]
    gap = terms - guess
    # One bet at a time: the memory stays that of one vector.
    logs = np.stack([np.cumsum(np.log1p(bet * gap))[times - 1] for bet in BETS])
    prior = -np.log(len(BETS))

    def log_wealth(mean: FloatArray) -> FloatArray:
        wealth: FloatArray = logsumexp(prior + logs + BETS[:, None] * (guessed - times * mean), axis=0)
        return wealth

    return solve_decreasing(log_wealth, np.ones(len(times)), float(np.log(1 / alpha)))
