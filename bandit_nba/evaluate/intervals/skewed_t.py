"""The normal interval where a few heavy, skewed contributions carry the estimate: Student's t, and a longer far end.

Importance weights make contributions rare and large. The estimate and its standard error are then small together, in
just the samples that lack the large ones: the normal interval ends too low and misses upwards.
"""

from math import hypot, sqrt

from scipy.special import ndtri, stdtrit

from bandit_nba.evaluate.contributions import unit_influence
from bandit_nba.evaluate.intervals.gaussian import standard_error
from bandit_nba.evaluate.intervals.protocol import Bounds, Problem


def skewed_t(problem: Problem) -> Bounds:
    """V - (t + s-) se to V + (t + s+) se; u are the influences of the customers.

    se^2 is that of `gaussian`, and for journeys what their heavy weights have not shown (`evaluate.unseen`).

    t = t(c - 1) with c = (sum u^2)^2 / sum u^4, the effective number of customers that carry the spread: the variance
    of sum u^2 is (sum u^2)^2 / c, and Satterthwaite's degrees of freedom (1946) would be twice as many, of a kurtosis
    that the sample, too, shows too small. s = (2 z^2 + 1) / 6 times the skewness sum u^3 / (sum u^2)^(3/2), the first
    term of the Edgeworth expansion of a studentised mean (Hall 1992, section 2.6); only the end that it moves outwards
    is moved.
    """
    error = hypot(standard_error(problem), sqrt(getattr(problem.estimator, "unseen", 0.0)))
    influence = unit_influence(problem.estimator, problem.sample)
    squares = float(influence @ influence)
    if squares <= 0:
        return Bounds(problem.value, problem.value)
    scaled = influence / sqrt(squares)
    carriers = 1.0 / float((scaled**4).sum())
    z = -float(ndtri(problem.alpha / 2))
    t = max(z, float(stdtrit(max(carriers - 1.0, 1.0), 1 - problem.alpha / 2)))
    shift = (2 * z * z + 1) / 6 * float((scaled**3).sum())
    return Bounds(problem.value - (t + max(-shift, 0.0)) * error, problem.value + (t + max(shift, 0.0)) * error)
