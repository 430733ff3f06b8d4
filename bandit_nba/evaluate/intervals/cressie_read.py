"""Cressie-Read interval in closed form (vw-estimators; Karampatziakis, Langford and Mineiro 2019, arXiv 1906.03323).

All re-weightings of the log (with one imaginary decision at an end of the ranges of weight and reward) that keep the
mean weight at 1 and stay within a chi-square-like distance of the best one; the ends are their extreme values.
"""

from dataclasses import dataclass
from math import isclose, isinf, sqrt

from scipy.special import fdtri

from bandit_nba.evaluate.intervals.protocol import Bounds, Problem, design_effect, weights_only
from bandit_nba.evaluate.sample import Range, rewards_within_range

ATOL = 1e-9


@dataclass(frozen=True, slots=True)
class Sums:
    """What the interval needs of a log: n and the sums of w, w^2, w r, w^2 r and (w r)^2."""

    n: float
    w: float
    ww: float
    wr: float
    wwr: float
    wwrr: float


def cressie_read(problem: Problem) -> Bounds:
    """Ends for weights in `weight_range` and rewards in `reward_range`; raises where rewards are outside of it."""
    weights_only(problem, "cressie_read")
    sample = problem.sample
    rewards_within_range(sample, "cressie_read")
    w, r = sample.weights, sample.rewards
    wr = w * r
    sums = Sums(sample.n, float(w.sum()), float(w @ w), float(wr.sum()), float(w @ wr), float(wr @ wr))
    return ends(
        sums,
        weight_range=sample.weight_range,
        reward_range=sample.reward_range,
        units=sample.n_groups,
        effect=design_effect(problem),
        alpha=problem.alpha,
    )


def ends(sums: Sums, *, weight_range: Range, reward_range: Range, units: int, effect: float, alpha: float) -> Bounds:
    """Both ends from the sums alone, so that shards of a log can be added.

    With repeated customers (`units` of them) the distance allowed grows by the design effect (Rao and Scott 1984).
    Where no re-weighting is feasible the end is that of the reward range (vw-estimators returns r_min for the upper
    end, too).
    """
    distance = float(fdtri(1, units, 1 - alpha)) * effect
    slack = (-_best(sums, weight_range) - distance) / (2 * (1 + sums.n))
    return Bounds(_end(sums, weight_range, reward_range, slack, 1), _end(sums, weight_range, reward_range, slack, -1))


def _best(s: Sums, weight_range: Range) -> float:
    """The distance of the point estimate's re-weighting."""
    fake = weight_range[1] if s.w < s.n else weight_range[0]
    if isinf(fake):
        return 1 + 1 / s.n
    mean = (fake + s.w) / (1 + s.n)
    square = (fake**2 + s.ww) / (1 + s.n)
    spread = square - mean * mean
    return (1 + s.n) * (mean - 1) ** 2 / spread if spread > 0 else 0.0


def _end(s: Sums, weight_range: Range, rewards: Range, slack: float, sign: int) -> float:
    """Lower (sign 1) or upper (sign -1) end, within the range of the rewards."""
    low, high = rewards
    r = low if sign == 1 else high
    candidates = [
        _free_candidate(s, r, slack, sign) if isinf(fake) else _candidate(s, fake, r, slack, sign)
        for fake in weight_range
    ]
    feasible = [candidate for candidate in candidates if candidate is not None]
    if not feasible:
        return r
    return min(high, max(low, sign * min(feasible)))


def _free_candidate(s: Sums, r: float, slack: float, sign: int) -> float | None:
    """The imaginary decision at an infinite weight takes mass 0 and moves the mean weight all the same."""
    x = sign * (r + (s.wr - s.w * r) / s.n)
    y = (r * s.w - s.wr) ** 2 / (s.n * (1 + s.n)) - (r**2 * s.ww - 2 * r * s.wwr + s.wwrr) / (1 + s.n)
    return _minimum(x, y, slack + 1 / (2 * s.n))


def _candidate(s: Sums, fake: float, r: float, slack: float, sign: int) -> float | None:
    """The imaginary decision at weight `fake` and reward `r`."""
    total = 1 + s.n
    w = (fake + s.w) / total
    ww = (fake * fake + s.ww) / total
    wr = sign * (fake * r + s.wr) / total
    wwr = sign * (fake * fake * r + s.wwr) / total
    wwrr = (fake * fake * r * r + s.wwrr) / total
    spread = ww - w * w
    if spread <= 0:
        return None
    joint = wwr - w * wr
    x = wr + (1 - w) * joint / spread
    y = joint**2 / spread - (wwrr - wr**2)
    return _minimum(x, y, slack + (1 - w) ** 2 / (2 * spread))


def _minimum(x: float, y: float, z: float) -> float | None:
    """The smallest feasible value x - sqrt(2 y z), None where no re-weighting is close enough."""
    if z > 0:
        return None
    if isclose(y * z, 0, abs_tol=ATOL * ATOL):
        return x - sqrt(2) * ATOL
    return x - sqrt(2 * y * z) if y * z >= 0 else None
