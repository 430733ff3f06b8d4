"""Leaving at renewals: the shifted beta-geometric law (Fader and Hardie 2007, "How to project customer retention").

Each customer renews with an own constant chance 1 - theta, theta ~ Beta(alpha, beta). Survival of the cohort:
S(n) = B(alpha, beta + n) / B(alpha, beta). Retention r(n) = (beta + n - 1) / (alpha + beta + n - 1) rises by itself,
since those who leave easily are gone first.
"""

import numpy as np
from scipy.special import betaln

from bandit_nba.decide.columns import Floats, Ints
from simulators.journey.settings import Contract


def survival(renewals: Floats | float, law: Contract) -> Floats:
    """S(n): the share that is left after n renewals."""
    n = np.asarray(renewals, dtype=np.float64)
    left: Floats = np.exp(betaln(law.alpha, law.beta + n) - betaln(law.alpha, law.beta))
    return left


def draw_customers(rng: np.random.Generator, n: int, law: Contract, *, renewed: Ints | None = None) -> Floats:
    """Chances of leaving at a renewal, float64 (n,); renewed: how often each has renewed already, int64 (n,).

    By Bayes theta ~ Beta(alpha, beta + n) for who has renewed n times.
    """
    if renewed is None:
        return rng.beta(law.alpha, law.beta, n)
    return rng.beta(law.alpha, law.beta + renewed)


def leaving(theta: Floats, multiplier: Floats) -> Floats:
    """Chance of leaving at this renewal, 1 - (1 - theta)^m: hazards in proportion, and theta itself where m = 1."""
    bounded = np.minimum(theta, 1.0 - 1e-12)
    chance: Floats = -np.expm1(multiplier * np.log1p(-bounded))
    return chance
