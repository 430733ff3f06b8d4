"""The public function: a policy's value with an interval, from weights and rewards."""

from collections.abc import Sequence
from math import inf, isfinite

import numpy as np
from numpy.typing import ArrayLike

from bandit_nba.errors import InputError, RefusedError
from bandit_nba.evaluate.contributions import point_value
from bandit_nba.evaluate.estimators import build
from bandit_nba.evaluate.estimators.protocol import Estimator
from bandit_nba.evaluate.intervals import INTERVALS
from bandit_nba.evaluate.intervals.protocol import Problem
from bandit_nba.evaluate.result import ESS_FLOOR, Estimate
from bandit_nba.evaluate.sample import Range, Sample, checked_sample

# Mean weights further from 1 than so many standard errors do not come from correct propensities by chance (6e-5).
MEAN_WEIGHT_Z = 4.0


def estimate(
    weights: ArrayLike,
    rewards: ArrayLike,
    *,
    q_logged: ArrayLike | None = None,
    q_policy: ArrayLike | None = None,
    policy_match: ArrayLike | None = None,
    estimator: str = "snips",
    interval: str = "gaussian",
    alpha: float = 0.05,
    reward_range: Range = (0.0, 1.0),
    weight_range: Range = (0.0, inf),
    clip: float = inf,
    shrinkage: float | None = None,
    groups: ArrayLike | Sequence[object] | None = None,
    rng: np.random.Generator | None = None,
) -> Estimate:
    """Estimate a policy's value."""
    sample = checked_sample(
        weights,
        rewards,
        q_logged=q_logged,
        q_policy=q_policy,
        policy_match=policy_match,
        groups=groups,
        reward_range=reward_range,
        weight_range=weight_range,
    )
    with np.errstate(all="ignore"):  # what is not finite is refused by name below, not printed as a warning
        built = build(estimator, clip=clip, shrinkage=shrinkage)
        used = sample.matched() if built.name == "replay" else sample
        return bounded_estimate(
            used, built, interval=interval, alpha=alpha, rng=rng, warnings=_cautions(used, built, clip)
        )


def bounded_estimate(
    sample: Sample,
    estimator: Estimator,
    *,
    interval: str,
    alpha: float,
    rng: np.random.Generator | None,
    warnings: tuple[str, ...] = (),
) -> Estimate:
    """Value and interval of any estimator on a checked sample; nothing that is not finite leaves."""
    if interval not in INTERVALS:
        raise InputError("no such interval", where="interval", got=interval, allowed=", ".join(INTERVALS))
    if not 0 < alpha < 1:
        raise InputError("alpha is the chance of missing the truth", where="alpha", got=alpha, allowed="0 to 1, open")
    value = point_value(estimator, sample)
    if not isfinite(value):
        raise RefusedError(
            f"{estimator.name} has no finite value on this log",
            where="weights",
            got=value,
            hint="no logged decision has weight, or the numbers overflow",
        )
    # A report that is made again must show the same bootstrap: no generator means a fixed one.
    generator = np.random.default_rng(0) if rng is None else rng
    bounds = INTERVALS[interval](Problem(sample, estimator, value, alpha, generator))
    if not (isfinite(bounds.low) and isfinite(bounds.high)):
        raise RefusedError(
            f"{interval} has no finite ends on this log", where="interval", got=(bounds.low, bounds.high)
        )
    more = bounds.warnings
    if bounds.low == bounds.high:
        more += ("the contributions do not vary, so the interval has no width: it says nothing about certainty",)
    return Estimate(value, bounds.low, bounds.high, sample.n, sample.ess, warnings + more)


def _cautions(sample: Sample, estimator: Estimator, clip: float) -> tuple[str, ...]:
    """What weakens the estimate whatever the interval."""
    found = []
    if estimator.name == "dm":
        return ("the direct method is as biased as its model, and the interval does not show it",)
    if sample.ess < ESS_FLOOR:
        found.append(
            f"the log is worth only {sample.ess:,.0f} decisions of this policy: too few for a verdict ({ESS_FLOOR:.0f})"
        )
    spread = float(sample.weights.std())
    if spread > 0:
        z = (float(sample.weights.mean()) - 1) / (spread / np.sqrt(sample.n))
        if abs(z) > MEAN_WEIGHT_Z:
            found.append(
                f"the mean weight is {sample.weights.mean():.3g} and should be 1 (z = {z:.1f}): "
                "propensities are wrong, or the policy chooses what the log never chose"
            )
    clipped = float((sample.weights > clip).mean())
    if clipped > 0:
        found.append(
            f"{clipped:.2%} of the weights exceed the clipping at {clip:g}: the estimate is biased, mostly down"
        )
    return tuple(found)
