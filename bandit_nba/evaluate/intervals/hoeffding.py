"""Hoeffding's bound (1963): valid at every n, from the possible range of a contribution alone."""

from math import log, sqrt

from bandit_nba.evaluate.intervals.protocol import Bounds, Problem, within_rewards


def hoeffding(problem: Problem) -> Bounds:
    """mean +- (b - a) sqrt(ln(2 / alpha) sum m_g^2 / 2) / n, customer g with m_g decisions.

    A customer's summed contributions lie in [m_g a, m_g b] and customers are independent; with one decision each this
    is (b - a) sqrt(ln(2/alpha) / (2 n)).
    """
    bounded = problem.estimator.bounded(problem.sample)
    bounded.refuse_unbounded("hoeffding")
    sizes = problem.sample.unit_sizes()
    half = (bounded.high - bounded.low) * sqrt(log(2 / problem.alpha) * float(sizes @ sizes) / 2) / problem.sample.n
    mean = float(bounded.contributions.mean())
    return within_rewards(problem, mean - half, mean + half)
