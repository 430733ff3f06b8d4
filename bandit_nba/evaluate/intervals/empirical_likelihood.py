"""Empirical likelihood interval for weighted rewards (Karampatziakis, Langford and Mineiro 2019, arXiv 1906.03323).

The profile likelihood of a value v is that of the likeliest distribution on the *possible* (w, r) whose mean weight is
1 and whose mean of w r is v. Its dual is concave in two multipliers:

    -ln R(v) = max over (s, t) of sum_i ln(1 + s (w_i - 1) + t (w_i r_i - v)),

where the logarithm's argument must not be negative at any possible (w, r), that is at the corners of the two ranges.
The interval is {v : 2 (ln R_max - ln R(v)) <= chi-square(1, 1 - alpha)}.
"""

from dataclasses import dataclass
from math import isinf, sqrt

import numpy as np
from scipy.special import chdtri, ndtri

from bandit_nba.errors import RefusedError
from bandit_nba.evaluate.intervals.protocol import Bounds, Problem, design_effect, weights_only
from bandit_nba.evaluate.sample import FloatArray, Range, rewards_within_range

# Weight of the logarithmic barrier at each corner: it keeps Newton's steps inside, and moves the log-likelihood by less
# than the number of corners times this.
BARRIER = 1e-7
NEWTON_STEPS = 100
CONVERGED = 1e-9  # of the log-likelihood, whose crossing is sought near 2
ROUNDING = 1e-13
ROOT_STEPS = 60
ROOT_TOLERANCE = 1e-7


def empirical_likelihood(problem: Problem) -> Bounds:
    """Ends of the profile likelihood; with repeated customers chi-square grows by the design effect (Rao-Scott)."""
    weights_only(problem, "el")
    sample = problem.sample
    rewards = rewards_within_range(sample, "el")
    level = float(chdtri(1, problem.alpha)) * design_effect(problem)
    low = _lower_end(_Profile.of(sample.weights, sample.weights * rewards, sample.weight_range), level)
    # The mean of w (1 - r) is 1 - V, so that the upper end is a lower end of the complement.
    high = 1 - _lower_end(_Profile.of(sample.weights, sample.weights * (1 - rewards), sample.weight_range), level)
    r_min, r_max = sample.reward_range
    return Bounds(r_min + low * (r_max - r_min), r_min + high * (r_max - r_min))


@dataclass(frozen=True, slots=True)
class _Profile:
    """Minus the profile log-likelihood of v, for weights - 1 and weighted rewards in [0, w_max]."""

    excess: FloatArray
    weighted: FloatArray
    weight_range: Range
    unconstrained: float

    @classmethod
    def of(cls, weights: FloatArray, weighted: FloatArray, weight_range: Range) -> "_Profile":
        excess = weights - 1.0
        bare = cls(excess, weighted, weight_range, 0.0)
        best, _, _ = bare._maximise(None, bare._start())
        return cls(excess, weighted, weight_range, best)

    def at(self, v: float, start: FloatArray) -> tuple[float, float, FloatArray]:
        """2 (ln R_max - ln R(v)), its slope in v, and the multipliers."""
        value, slope, multipliers = self._maximise(v, start)
        return 2 * (value - self.unconstrained), 2 * slope, multipliers

    def _start(self) -> FloatArray:
        return np.array([0.01 if isinf(self.weight_range[1]) else 0.0, 0.0])

    def _corners(self, v: float | None) -> tuple[FloatArray, FloatArray]:
        """Rows (constant, factor of s, factor of t) of what must stay positive: shapes (c,), (c, 2)."""
        rows = []
        for w in self.weight_range:
            for r in (0.0, 1.0):
                reward_row = 0.0 if v is None else (r if isinf(w) else w * r - v)
                rows.append((0.0, 1.0, reward_row) if isinf(w) else (1.0, w - 1.0, reward_row))
        table = np.array(rows)
        return table[:, 0], table[:, 1:]

    def _maximise(self, v: float | None, start: FloatArray) -> tuple[float, float, FloatArray]:
        """Newton with backtracking on the barrier problem; without v only the mean weight is constrained."""
        gain = np.zeros_like(self.excess) if v is None else self.weighted - v
        constant, factors = self._corners(v)
        x = start if (constant + factors @ start > 0).all() else self._start()

        def objective(point: FloatArray) -> tuple[float, FloatArray, FloatArray]:
            inside = 1.0 + point[0] * self.excess + point[1] * gain
            corners = constant + factors @ point
            if corners.min() <= 0 or inside.min() <= 0:
                return -np.inf, inside, corners
            return float(np.log(inside).sum()) + BARRIER * float(np.log(corners).sum()), inside, corners

        value, inside, corners = objective(x)
        for _ in range(NEWTON_STEPS):
            a, b = self.excess / inside, gain / inside
            c = factors / corners[:, None]
            slope = np.array([a.sum(), b.sum()]) + BARRIER * c.sum(axis=0)
            curve = np.array([[a @ a, a @ b], [a @ b, b @ b]]) + BARRIER * (c.T @ c)
            step = np.linalg.lstsq(curve, slope, rcond=None)[0]
            decrement = float(slope @ step)
            if decrement < CONVERGED:
                break
            scale = 1.0 if decrement < 0.0625 else 1.0 / (1.0 + sqrt(decrement))
            following = objective(x + scale * step)
            # Near the top the gain drowns in rounding: a feasible step is good enough.
            while following[0] < value + 0.1 * scale * decrement - ROUNDING * abs(value) and scale > 1e-12:
                scale /= 2
                following = objective(x + scale * step)
            x = x + scale * step
            value, inside, corners = following
        by_v = 0.0 if v is None else -x[1] * (float((1 / inside).sum()) + BARRIER * self._corner_weight(corners))
        return value, by_v, x

    def _corner_weight(self, corners: FloatArray) -> float:
        finite = np.repeat([not isinf(w) for w in self.weight_range], 2)
        return float((1 / corners[finite]).sum())


def _lower_end(profile: _Profile, level: float) -> float:
    """Smallest v in [0, 1] whose likelihood ratio is within `level`: safeguarded Newton on its square root."""
    n = len(profile.weighted)
    mean = float(profile.weighted.mean())
    if mean == 0:
        return 0.0
    outside, inside = 0.0, min(1.0, mean / max(1e-12, 1.0 + float(profile.excess.mean())))
    guess = mean + float(ndtri(0.025)) * float(profile.weighted.std()) / sqrt(n)
    v = guess if outside < guess < inside else inside / 2
    multipliers = profile._start()
    for _ in range(ROOT_STEPS):
        ratio, slope, multipliers = profile.at(v, multipliers)
        if abs(ratio - level) < ROOT_TOLERANCE * level or inside - outside < 1e-12:
            return float(v)
        outside, inside = (v, inside) if ratio > level else (outside, v)
        root = sqrt(max(ratio, 0.0))
        newton = v + (sqrt(level) - root) * 2 * root / slope if slope < 0 else outside
        v = newton if outside < newton < inside else (outside + inside) / 2
    raise RefusedError("the likelihood ratio has no crossing", where="interval", got="el", hint="use cressie_read")
