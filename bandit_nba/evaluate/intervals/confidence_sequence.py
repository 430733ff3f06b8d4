"""Anytime-valid confidence sequence: empirical Bernstein with a gamma-exponential mixture.

Howard, Ramdas, McAuliffe and Sekhon 2021 (arXiv 1810.08240); for weighted rewards Waudby-Smith et al. 2022 (arXiv
2210.10768).
For x_t >= 0 with conditional mean at most 1, and the predictable guess g_t = min(1, (sum_{s<t} x_s + 1/2) / t),

    V = sum (x_t - g_t)^2,  S(m) = sum x_t - t m,  rho = 1,
    ln M(m) = S + V + rho ln rho - (V + rho) ln(S + V + rho) + ln g(V + rho, S + V + rho) - ln g(rho, rho)

(g: lower incomplete gamma function) is at most ln(1/alpha) at *all* t at once with probability 1 - alpha when m is the
running mean of the conditional means. Without the cap at 1 the increments fall below -1 and the bound is not valid.
"""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from scipy.special import gammainc, gammaln

from bandit_nba.evaluate.intervals.protocol import Bounds, Problem, within_rewards
from bandit_nba.evaluate.sample import FloatArray

RHO = 1.0
BISECTIONS = 60


def confidence_sequence(problem: Problem) -> Bounds:
    """Both ends after the last decision, each at alpha/2; valid however often one looks."""
    return sequence_bounds(problem, lower_sequence, "confidence_sequence")


Sequence = Callable[[FloatArray, NDArray[np.int64], float], FloatArray]


def sequence_bounds(problem: Problem, lower: Sequence, by: str) -> Bounds:
    """Ends from a lower sequence on the rising terms and on the falling terms."""
    sample = problem.sample
    rising, falling = problem.estimator.bounded(sample).one_sided(by)
    now = np.array([sample.n])
    low = rising.offset + rising.scale * float(lower(rising.terms, now, problem.alpha / 2)[0])
    high = falling.offset + falling.scale * float(lower(falling.terms, now, problem.alpha / 2)[0])
    warnings: tuple[str, ...] = ()
    if sample.customers_repeat:
        warnings = (
            f"{by} reads decisions in their order: it holds for the decisions made, given what was known before each; "
            "it is not widened for repeated customers and promises nothing about other customers",
        )
    return within_rewards(problem, low, high, warnings)


def guesses(terms: FloatArray) -> FloatArray:
    """Predictable guess of the next term, at most 1, shape (n,)."""
    before = np.cumsum(terms) - terms
    return np.minimum(1.0, (before + 0.5) / np.arange(1, len(terms) + 1))


def lower_sequence(terms: FloatArray, times: NDArray[np.int64], alpha: float) -> FloatArray:
    """Lower end of the running mean at each of `times` (1-based, shape (k,)), valid at all times at once.

    Parameters
    ----------
    terms
        x_t >= 0, conditional mean at most 1, in time order, shape (n,).
    alpha
        One-sided miscoverage over all times together.
    """
    sums = np.cumsum(terms)[times - 1]
    variances = np.cumsum((terms - guesses(terms)) ** 2)[times - 1]

    def log_wealth(mean: FloatArray) -> FloatArray:
        return _log_mixture(sums - times * mean, variances)

    return solve_decreasing(log_wealth, np.minimum(1.0, sums / times), float(np.log(1 / alpha)))


def solve_decreasing(log_wealth: Callable[[FloatArray], FloatArray], highest: FloatArray, level: float) -> FloatArray:
    """Where the decreasing log wealth falls to `level` on [0, highest], elementwise; 0 where it is below at 0."""
    low, high = np.zeros_like(highest), highest.copy()
    for _ in range(BISECTIONS):
        middle = (low + high) / 2
        above = log_wealth(middle) > level
        low, high = np.where(above, middle, low), np.where(above, high, middle)
    return low  # the side that errs towards a wider interval


def _log_mixture(s: FloatArray, v: FloatArray) -> FloatArray:
    total = s + v + RHO
    mixture: FloatArray = (
        s
        + v
        + RHO * np.log(RHO)
        - (v + RHO) * np.log(total)
        + _log_lower_gamma(v + RHO, total)
        - _log_lower_gamma(np.array(RHO), np.array(RHO))
    )
    return mixture


def _log_lower_gamma(a: FloatArray, x: FloatArray) -> FloatArray:
    logarithm: FloatArray = np.log(gammainc(a, x)) + gammaln(a)
    return logarithm
