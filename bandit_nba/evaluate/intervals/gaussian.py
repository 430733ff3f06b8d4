"""Normal interval by the delta method, cluster-robust by customer (Liang and Zeger 1986)."""

import math

from scipy.special import ndtri

from bandit_nba.evaluate.contributions import unit_influence
from bandit_nba.evaluate.intervals.protocol import Bounds, Problem, refuse_few_units


def gaussian(problem: Problem) -> Bounds:
    """V +- z se, se^2 = sum over customers of (their summed influence)^2.

    For SNIPS this is se^2 = sum w^2 (r - V)^2 / (sum w)^2. Good from about 100 expected weighted successes on.
    """
    half = float(-ndtri(problem.alpha / 2)) * standard_error(problem)
    return Bounds(problem.value - half, problem.value + half)


def standard_error(problem: Problem) -> float:
    """Standard error of the estimate, robust to repeated customers."""
    refuse_few_units(problem)
    influence = unit_influence(problem.estimator, problem.sample)
    units = problem.sample.n_groups
    # Averages get the unbiased variance; quotients the delta method as published.
    correction = units / (units - 1) if problem.estimator.is_average else 1.0
    return math.sqrt(float(influence @ influence) * correction)
