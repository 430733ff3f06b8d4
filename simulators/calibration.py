"""Two scalars, a base level and a heterogeneity, that make every seed's world one of the same kind."""

from dataclasses import dataclass

import numpy as np
from scipy.optimize import brentq
from scipy.special import expit

from bandit_nba.decide.columns import Bools, Floats
from bandit_nba.errors import RefusedError

LEVELS = (-40.0, 10.0)
HETEROGENEITIES = (0.0, 6.0)


@dataclass(frozen=True)
class Calibration:
    """The world's kind and the scalars that gave it.

    best_fixed: mean response of the best single action, over all customers (0 where it is not eligible).
    oracle: mean response of each customer's best eligible action.
    """

    level: float
    heterogeneity: float
    best_fixed: float
    oracle: float


def responses(level: float, heterogeneity: float, appeal: Floats, utility: Floats) -> Floats:
    """q(x, a) = sigmoid(level + appeal_a + heterogeneity u(x, a)), float64 (N, K); column 0, "no action", is 0."""
    q: Floats = expit(level + appeal + heterogeneity * utility)
    q[:, 0] = 0.0
    return q


def fixed_values(q: Floats, eligible: Bools) -> Floats:
    """Mean response (K,) of always taking one arm, and nothing where it is not eligible."""
    means: Floats = np.where(eligible, q, 0.0).mean(axis=0)
    return means


def oracle_value(q: Floats, eligible: Bools) -> float:
    """Mean response of the best eligible arm of each customer."""
    return float(np.where(eligible, q, 0.0).max(axis=1).mean())


def calibrate(appeal: Floats, utility: Floats, eligible: Bools, *, best_fixed: float, ratio: float) -> Calibration:
    """Scalars for which the best fixed action earns `best_fixed` and the oracle `ratio` times that.

    Raises
    ------
    RefusedError
        If no heterogeneity up to 6 gives the ratio.
    """
    masked = np.where(eligible, 0.0, -np.inf) + appeal
    masked[:, 0] = -np.inf

    def level_of(heterogeneity: float) -> float:
        scaled = masked + heterogeneity * utility
        return float(brentq(lambda b: expit(b + scaled).mean(axis=0).max() - best_fixed, *LEVELS, xtol=1e-10))

    def excess(heterogeneity: float) -> float:
        level = level_of(heterogeneity)
        return oracle_value(expit(level + masked + heterogeneity * utility), eligible) / best_fixed - ratio

    lowest, highest = (excess(h) for h in HETEROGENEITIES)
    if lowest > 0.0 or highest < 0.0:
        raise RefusedError(
            "the world's oracle cannot earn this many times the best fixed action",
            got=ratio,
            allowed=f"{lowest + ratio:.2f} to {highest + ratio:.2f} with these tastes",
        )
    heterogeneity = float(brentq(excess, *HETEROGENEITIES, xtol=1e-8))
    level = level_of(heterogeneity)
    q = responses(level, heterogeneity, appeal, utility)
    best = float(fixed_values(q, eligible).max())
    return Calibration(level=level, heterogeneity=heterogeneity, best_fixed=best, oracle=oracle_value(q, eligible))
