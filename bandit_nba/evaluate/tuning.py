"""Choosing where to clip or how much to shrink, from the log alone.

`mse` minimises the estimated mean squared error, var(contributions)/n + bias^2 with bias = |E_n[(w - w')(r - q)]| and,
for `bias="bound"`, its high-probability bound (Su et al. 2020, arXiv 1907.09623, page 17). `slope` follows Lepski's
principle (Su, Srinath and Krishnamurthy 2020; sharpened by Tucker and Lee 2021): from the widest candidate on, go on
while

    |V_j - V_i| <= c_i + (sqrt(6) - 1) c_j   for all earlier j,

c the half width of a one-sided Student t bound. An interval made with a tuned value does not show that it was tuned.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import inf, log, sqrt
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import stdtrit

from bandit_nba.errors import InputError
from bandit_nba.evaluate.contributions import contributions
from bandit_nba.evaluate.estimators import CLIPPED, SHRUNK, build
from bandit_nba.evaluate.estimators.dros import OptimisticShrinkage
from bandit_nba.evaluate.estimators.subgaussian import SubGaussian
from bandit_nba.evaluate.sample import FloatArray, Sample, checked_sample

Method = Literal["mse", "slope"]
Bias = Literal["bound", "direct"]

TUNABLE = ("ips", "dr", "switch_dr", "dros", "subgaussian")


@dataclass(frozen=True, slots=True)
class Tuned:
    """The chosen `clip` or `shrinkage`, and the score of every candidate (mse: estimated MSE; slope: half width)."""

    value: float
    candidates: tuple[float, ...]
    scores: tuple[float, ...]


def tune(
    weights: ArrayLike,
    rewards: ArrayLike,
    *,
    q_logged: ArrayLike | None = None,
    q_policy: ArrayLike | None = None,
    estimator: str = "dr",
    candidates: Sequence[float] | None = None,
    method: Method = "mse",
    bias: Bias = "bound",
    delta: float = 0.1,
    groups: ArrayLike | Sequence[object] | None = None,
) -> Tuned:
    """Choose the `clip` of ips, dr, switch_dr or the `shrinkage` of dros, subgaussian.

    Parameters
    ----------
    candidates
        Values to choose from; by default a grid from the log's own weights.
    delta
        Chance with which a bias bound or a half width may fail, 0 to 1.
    """
    sample = checked_sample(weights, rewards, q_logged=q_logged, q_policy=q_policy, groups=groups)
    if estimator not in TUNABLE:
        raise InputError("nothing to tune", where="estimator", got=estimator, allowed=", ".join(TUNABLE))
    if not 0 < delta < 1:
        raise InputError("delta is a chance", where="delta", got=delta, allowed="0 to 1, open")
    if method not in ("mse", "slope"):
        raise InputError("no such method", where="method", got=method, allowed="mse, slope")
    with np.errstate(all="ignore"):
        return tuned(sample, estimator, candidates=candidates, method=method, bias=bias, delta=delta)


def tuned(
    sample: Sample,
    estimator: str,
    *,
    candidates: Sequence[float] | None = None,
    method: Method = "mse",
    bias: Bias = "bound",
    delta: float = 0.1,
) -> Tuned:
    """`tune` for a checked sample."""
    grid = _grid(sample, estimator) if candidates is None else tuple(float(c) for c in candidates)
    if not grid:
        raise InputError("there is no candidate", where="candidates", got=grid, allowed="at least one value")
    terms = [_contributions(sample, estimator, candidate) for candidate in grid]
    if method == "slope":
        return _by_slope(sample, grid, terms, delta)
    biases = [_bias(sample, estimator, candidate, bias, delta) for candidate in grid]
    scores = [_variance_of_mean(sample, term) + b**2 for term, b in zip(terms, biases, strict=True)]
    return Tuned(grid[int(np.argmin(scores))], grid, tuple(scores))


def _by_slope(sample: Sample, grid: tuple[float, ...], terms: list[FloatArray], delta: float) -> Tuned:
    quantile = float(stdtrit(sample.n_groups - 1, 1 - delta))
    units = sample.n_groups
    widths = np.array([quantile * sqrt(_variance_of_mean(sample, t) * units / (units - 1)) for t in terms])
    values = np.array([float(term.mean()) for term in terms])
    order = np.argsort(widths)[::-1]
    chosen = order[0]
    for position, i in enumerate(order[1:], start=1):
        earlier = order[:position]
        if (np.abs(values[earlier] - values[i]) > widths[i] + (sqrt(6) - 1) * widths[earlier]).any():
            break
        chosen = i
    return Tuned(grid[int(chosen)], grid, tuple(widths.tolist()))


def _variance_of_mean(sample: Sample, terms: FloatArray) -> float:
    centred = sample.per_unit(terms - terms.mean())
    return float(centred @ centred) / sample.n**2


def _contributions(sample: Sample, estimator: str, candidate: float) -> FloatArray:
    option = {"clip": candidate} if estimator in CLIPPED else {"shrinkage": candidate}
    return contributions(build(estimator, sample, **option), sample)


def _bias(sample: Sample, estimator: str, candidate: float, bias: Bias, delta: float) -> float:
    w = sample.weights
    residuals = sample.rewards
    if sample.q_logged is not None and estimator != "ips":
        residuals = residuals - sample.q_logged
    direct = abs(float(((w - _used_weights(w, estimator, candidate)) * residuals).mean()))
    if bias == "direct":
        return direct
    level = log(2 / delta)
    return direct + sqrt(2 * float((w**2).mean()) * level / sample.n) + 2 * float(w.max()) * level / (3 * sample.n)


def _used_weights(weights: FloatArray, estimator: str, candidate: float) -> FloatArray:
    if estimator == "switch_dr":
        return np.where(weights <= candidate, weights, 0.0)
    if estimator == "dros":
        return OptimisticShrinkage(candidate).shrunk(weights)
    if estimator == "subgaussian":
        return SubGaussian(candidate).shrunk(weights)
    return np.minimum(weights, candidate)


def _grid(sample: Sample, estimator: str) -> tuple[float, ...]:
    """Clipping at quantiles of the weights; shrinkage from nearly none to nearly all, evenly in its logarithm."""
    if estimator in SHRUNK:
        if estimator == "subgaussian":
            return (0.0, *np.geomspace(1e-4, 1.0, 13).tolist())
        square = float(np.mean(sample.weights**2)) or 1.0
        return (*(square * np.geomspace(1e-2, 1e4, 13)).tolist(), inf)
    positive = sample.weights[sample.weights > 0]
    if len(positive) == 0:
        return (inf,)
    return (*np.unique(np.quantile(positive, [0.5, 0.7, 0.8, 0.9, 0.95, 0.98, 0.99, 0.995, 0.999])).tolist(), inf)
