"""Empirical likelihood estimator (Karampatziakis, Langford and Mineiro 2019, arXiv 1906.03323).

The most likely distribution of (w, r) whose mean weight is 1: Q_i = 1 / (n (1 + t (w_i - 1))), where the tilt t solves
sum (w_i - 1) / (1 + t (w_i - 1)) = 0. Mass that the seen weights cannot carry is given the mean reward. The tilt is the
paper's beta divided by n.
"""

from dataclasses import dataclass
from math import inf
from typing import ClassVar

import numpy as np
from scipy.optimize import brentq

from bandit_nba.evaluate.estimators.ips import Ips
from bandit_nba.evaluate.estimators.protocol import AnyArray, Bounded, with_ones
from bandit_nba.evaluate.sample import FloatArray, Range, Sample


@dataclass(frozen=True, slots=True)
class EmpiricalLikelihood:
    """Stays inside the range of the rewards and uses the possible weights, not only those seen.

    The tilt is found once on the whole log (`fitted_tilt`); re-weighted sums (bootstrap, delta method) move it by one
    Newton step, which is as good to first order and needs no second pass over the data.
    """

    tilt: float
    tilt_range: Range
    name: ClassVar[str] = "el"
    is_average: ClassVar[bool] = False

    def moments(self, sample: Sample) -> FloatArray:
        """[1, r, s, s', m, m', c, c']: seen value, seen mass, constraint, and their slopes in the tilt."""
        excess = sample.weights - 1.0
        tilted = sample.weights / (1.0 + self.tilt * excess)
        slope = excess / (1.0 + self.tilt * excess)
        seen = tilted * sample.rewards
        return with_ones(sample.rewards, seen, -seen * slope, tilted, -tilted * slope, slope, -slope * slope)

    def value(self, sums: AnyArray) -> AnyArray:
        """sum Q w r + (1 - sum Q w)+ mean r, after one Newton step of the tilt inside its range."""
        n, r, seen, seen_slope, mass, mass_slope, constraint, constraint_slope = np.moveaxis(sums, -1, 0)
        flat = constraint_slope.real == 0
        step = np.where(flat, 0.0, -constraint / np.where(flat, 1.0, constraint_slope))
        lowest, highest = self.tilt_range[0] - self.tilt, self.tilt_range[1] - self.tilt
        step = np.where(step.real < lowest, lowest, np.where(step.real > highest, highest, step))
        missing = 1 - (mass + step * mass_slope) / n
        value: AnyArray = (seen + step * seen_slope) / n + np.where(missing.real > 0, missing, 0.0) * r / n
        return value

    def bounded(self, sample: Sample) -> Bounded:
        """The weighted rewards: this estimator has no range-based bound of its own."""
        return Ips().bounded(sample)


def fitted(weights: FloatArray, weight_range: Range, counts: FloatArray | None = None) -> EmpiricalLikelihood:
    """Find the tilt for weights (m,) seen `counts` (m,) times each."""
    times = np.ones(len(weights)) if counts is None else counts
    tilt_range = _tilt_range(weights, weight_range, float(times.sum()))
    return EmpiricalLikelihood(_tilt(weights, times, tilt_range), tilt_range)


def _tilt_range(weights: FloatArray, weight_range: Range, n: float) -> Range:
    """Tilts that leave every possible weight a non-negative likelihood, and no seen decision more than all of it."""
    w_min, w_max = weight_range
    lowest = 0.0 if w_max in (1.0, inf) else 1.0 / (1.0 - w_max)
    highest = inf if w_min == 1 else 1.0 / (1.0 - w_min)
    smallest, largest = float(weights.min()), float(weights.max())
    if largest > 1:
        lowest = max(lowest, (n - 1) / n / (1.0 - largest))
    if smallest < 1:
        highest = min(highest, (n - 1) / n / (1.0 - smallest))
    return lowest, highest


def _tilt(weights: FloatArray, counts: FloatArray, tilt_range: Range) -> float:
    """Root of the constraint, or the end of the range towards which it points."""
    excess = weights - 1.0
    if not excess.any():
        return 0.0  # every weight is 1: nothing to tilt

    def constraint(tilt: float) -> float:
        return float((counts * excess) @ (1.0 / (1.0 + tilt * excess)))

    low, high = tilt_range
    if constraint(low) <= 0:
        return low
    if constraint(high) >= 0:
        return high
    return float(brentq(constraint, low, high, xtol=1e-15, rtol=1e-14))
