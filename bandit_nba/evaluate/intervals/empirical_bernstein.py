"""Empirical Bernstein bound (Maurer and Pontil 2009, theorem 4): for every n, narrow at small variance."""

from math import log, sqrt

from bandit_nba.evaluate.intervals.protocol import Bounds, Problem, refuse_few_units, within_rewards


def empirical_bernstein(problem: Problem) -> Bounds:
    """mean +- (sqrt(2 S^2 L / G) + 7 B L / (3 (G - 1))), L = ln(4 / alpha), over G customers.

    S^2 is the sample variance of a customer's summed contributions scaled by G/n, B their possible range: the largest
    number of decisions of one customer times that of a contribution, scaled alike.
    """
    refuse_few_units(problem)
    sample = problem.sample
    bounded = problem.estimator.bounded(sample)
    bounded.refuse_unbounded("empirical_bernstein")
    units = sample.n_groups
    scale = units / sample.n
    above = sample.per_unit(bounded.contributions - bounded.low) * scale
    reach = (bounded.high - bounded.low) * float(sample.unit_sizes().max()) * scale
    level = log(4 / problem.alpha)
    half = sqrt(2 * float(above.var(ddof=1)) * level / units) + 7 * reach * level / (3 * (units - 1))
    mean = float(bounded.contributions.mean())
    return within_rewards(problem, mean - half, mean + half)
