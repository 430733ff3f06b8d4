"""Values with intervals of logs too large for one pass: from merged shards, as `estimate` would say of the whole.

Whatever the size, memory is that of one shard, and the time per decision that of arrays which fit the processor's
cache: at ten million decisions one pass over whole vectors spends most of its time on fresh memory.
"""

from collections.abc import Collection, Iterable, Mapping
from math import copysign, inf, sqrt

from numpy.typing import ArrayLike
from scipy.special import ndtri, stdtrit

from bandit_nba.errors import InputError, RefusedError
from bandit_nba.evaluate.accumulator import MomentSums, moment_sums
from bandit_nba.evaluate.api import carried, few, finished, finite_value, wrong_mean_weight
from bandit_nba.evaluate.estimators import CLIPPED, SHRUNK, build
from bandit_nba.evaluate.intervals.cressie_read import Sums, ends
from bandit_nba.evaluate.intervals.protocol import WEIGHTS_ONLY, Bounds
from bandit_nba.evaluate.result import Estimate
from bandit_nba.evaluate.sample import RANGE_TOLERANCE, Range, checked_sample

INTERVALS = ("gaussian", "student_t", "cressie_read")
WEIGHTED_REWARD = {"ips": 1, "snips": 1, "cressie_read": 3}  # the row of w r among an estimator's moments


def estimate_shards(
    shards: Iterable[Mapping[str, ArrayLike]],
    intervals: Mapping[str, str],
    *,
    alpha: float = 0.05,
    reward_range: Range = (0.0, 1.0),
    weight_range: Range = (0.0, inf),
    clip: float | Mapping[str, float] = inf,
    shrinkage: float | Mapping[str, float] | None = None,
) -> dict[str, Estimate]:
    """Estimates of one policy from a log that comes shard by shard, each read and checked once.

    Parameters
    ----------
    shards
        Vectors by name, as `estimate` takes them: weights, rewards, and q_logged, q_policy, policy_match, groups where
        they are needed. All decisions of a customer must be in one shard.
    intervals
        Estimator to interval, one of those above. el needs all weights at once and is refused.
    clip, shrinkage
        As of `estimate`: a number for all estimators asked for, or by estimator where only some take one.

    Returns
    -------
    dict
        Estimator to the same `Estimate` that `estimate` gives for the whole log, within rounding.

    Examples
    --------
    >>> log = [{"weights": [2.0, 0.5], "rewards": [1.0, 0.0]}, {"weights": [0.0, 1.5], "rewards": [1.0, 1.0]}]
    >>> estimate_shards(log, {"snips": "gaussian"})["snips"].value
    0.875
    """
    if "el" in intervals:
        raise InputError("el needs all weights at once", where="intervals", got="el", allowed="cressie_read")
    clips = _by_estimator("clip", None if clip == inf else clip, intervals, takers=CLIPPED)
    shrinkages = _by_estimator("shrinkage", shrinkage, intervals, takers=SHRUNK)
    merged: dict[str, MomentSums] = {}
    read = 0
    for shard in shards:
        read += 1
        sample = checked_sample(**shard, reward_range=reward_range, weight_range=weight_range)
        for name in intervals:
            judged = sample.matched() if name == "replay" else sample
            if judged.n == 0:
                continue
            estimator = build(name, judged, clip=clips.get(name, inf), shrinkage=shrinkages.get(name))
            found = moment_sums(estimator, judged)
            merged[name] = merged[name].merge(found) if name in merged else found
    if not read:
        raise InputError("there is no decision to judge", where="shards", allowed="at least one row")
    if "replay" in intervals and "replay" not in merged:
        raise RefusedError("replay has no finite value on this log", where="policy_match", hint="no decision matches")
    return {
        name: estimate_merged(merged[name], interval=interval, alpha=alpha, reward_range=reward_range)
        for name, interval in intervals.items()
    }


def _by_estimator(
    option: str, given: float | Mapping[str, float] | None, asked: Collection[str], *, takers: Collection[str]
) -> Mapping[str, float]:
    """The option by estimator; one that would be without effect is refused."""
    if given is None:
        return {}
    by_name = given if isinstance(given, Mapping) else dict.fromkeys(asked, given)
    for name in by_name:
        if name not in asked or name not in takers:
            raise InputError(
                f"has no effect on {name}" if name in asked else f"{name} was not asked for",
                where=option,
                got=given,
                allowed=f"for {', '.join(takers)}",
                hint=f"name the estimators that it is for, as in {option}={{'{next(iter(takers))}': 10.0}}",
            )
    return by_name


def estimate_merged(
    merged: MomentSums, *, interval: str = "gaussian", alpha: float = 0.05, reward_range: Range = (0.0, 1.0)
) -> Estimate:
    """What `estimate` says of all decisions that were accumulated; options as there, and the intervals above.

    Raises
    ------
    InputError
        If sums cannot give this interval, or rewards lie outside of the `reward_range` that it needs.
    RefusedError
        As `estimate`.
    """
    if interval not in INTERVALS:
        raise InputError("sums cannot give this interval", where="interval", got=interval, allowed=", ".join(INTERVALS))
    if not 0 < alpha < 1:
        raise InputError("alpha is the chance of missing the truth", where="alpha", got=alpha, allowed="0 to 1, open")
    with carried():
        value = finite_value(merged.estimator.name, merged.value())
        mean, ess = float(merged.sums[-1]) / merged.n, _effective(merged)
        if interval == "cressie_read":
            bounds = _cressie_read(merged, alpha, reward_range)
        else:
            bounds = _symmetric(merged, value, alpha, interval)
        told = _cautions(merged, mean, ess)
        return finished(value, bounds, n=merged.n, ess=ess, mean=mean, by=interval, warnings=told)


def _effective(merged: MomentSums) -> float:
    """(sum w)^2 / sum w^2; 0 where every weight is 0."""
    total = float(merged.sums[-1])
    return total * total / merged.squares(-1, -1) if total > 0 else 0.0


def _symmetric(merged: MomentSums, value: float, alpha: float, interval: str) -> Bounds:
    if merged.units < 2:
        raise RefusedError("an interval needs at least two customers or decisions", where="weights", got=merged.units)
    tail = ndtri(1 - alpha / 2) if interval == "gaussian" else stdtrit(merged.units - 1, 1 - alpha / 2)
    half = float(tail) * merged.standard_error()
    return Bounds(value - half, value + half)


def _cressie_read(merged: MomentSums, alpha: float, reward_range: Range) -> Bounds:
    name = merged.estimator.name
    if name not in WEIGHTED_REWARD or getattr(merged.estimator, "clip", inf) != inf:
        allowed = f"unclipped {', '.join(sorted(WEIGHTS_ONLY & set(WEIGHTED_REWARD)))}"
        raise RefusedError("this interval is made of unclipped weights and rewards", got=name, allowed=allowed)
    low, high = merged.seen
    if low < reward_range[0] or high > reward_range[1]:
        raise InputError("cressie_read needs rewards inside reward_range", got=merged.seen, allowed=str(reward_range))
    wr = WEIGHTED_REWARD[name]
    sums = Sums(
        n=merged.n,
        w=float(merged.sums[-1]),
        ww=merged.squares(-1, -1),
        wr=float(merged.sums[wr]),
        wwr=merged.squares(-1, wr),
        wwrr=merged.squares(wr, wr),
    )
    independent = merged.variance(merged.alone)
    effect = max(1.0, merged.variance(merged.scatter) / independent) if independent > 0 else 1.0
    return ends(
        sums,
        weight_range=merged.weight_range,
        reward_range=reward_range,
        units=merged.units,
        effect=effect if merged.units < merged.n else 1.0,
        alpha=alpha,
    )


def _cautions(merged: MomentSums, mean: float, ess: float) -> tuple[str, ...]:
    name, clip = merged.estimator.name, getattr(merged.estimator, "clip", inf)
    if name == "replay":
        return few(merged.n, "matching decisions")
    if name == "dm":
        return ("the direct method is as biased as its model, and the interval does not show it",)
    told = few(ess) + wrong_mean_weight(mean, _mean_weight_z(merged, mean))
    if name in SHRUNK:
        told += ("shrunk weights trade variance for a bias that the interval does not show",)
    if clip != inf:
        told += (f"weights above {clip:g} are clipped: the estimate may be biased",)
    return told


def _mean_weight_z(merged: MomentSums, mean: float) -> float:
    """Standard errors by customer between the mean weight and 1, as `Sample.mean_weight_z`."""
    gap = mean - 1.0
    if abs(gap) <= RANGE_TOLERANCE:
        return 0.0
    scatter = merged.scatter  # of w - mean * 1; the first moment counts decisions
    square = float(scatter[-1, -1] - 2 * mean * scatter[0, -1] + mean * mean * scatter[0, 0])
    error = sqrt(max(0.0, square)) / merged.n
    return gap / error if error > 0 else copysign(inf, gap)
