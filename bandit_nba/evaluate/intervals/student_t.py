"""Student's t interval over customers: the normal interval with honest tails for small samples (Student 1908)."""

from scipy.special import stdtrit

from bandit_nba.evaluate.intervals.gaussian import standard_error
from bandit_nba.evaluate.intervals.protocol import Bounds, Problem


def student_t(problem: Problem) -> Bounds:
    """V +- t(G - 1) se with G customers."""
    half = float(stdtrit(problem.sample.n_groups - 1, 1 - problem.alpha / 2)) * standard_error(problem)
    return Bounds(problem.value - half, problem.value + half)
