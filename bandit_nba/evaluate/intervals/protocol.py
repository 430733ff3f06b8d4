"""What every interval is: a function of the same problem."""

from collections.abc import Callable
from dataclasses import dataclass
from math import inf

import numpy as np

from bandit_nba.errors import RefusedError
from bandit_nba.evaluate.contributions import gradient
from bandit_nba.evaluate.estimators.protocol import Estimator
from bandit_nba.evaluate.sample import Range, Sample


@dataclass(frozen=True, slots=True)
class Problem:
    """A log, an estimator and its value, at miscoverage `alpha` (two-sided).

    `value_range` holds what a mean can possibly be: the reward range, or twice as wide for a difference.
    """

    sample: Sample
    estimator: Estimator
    value: float
    alpha: float
    rng: np.random.Generator
    value_range: Range


@dataclass(frozen=True, slots=True)
class Bounds:
    """Both ends of an interval, and what weakens it."""

    low: float
    high: float
    warnings: tuple[str, ...] = ()


Interval = Callable[[Problem], Bounds]


def refuse_few_units(problem: Problem) -> None:
    """No spread can be seen in fewer than two customers."""
    if problem.sample.n_groups < 2:
        raise RefusedError(
            "an interval needs at least two customers or decisions",
            where="groups" if problem.sample.groups is not None else "weights",
            got=problem.sample.n_groups,
            allowed="2 or more",
        )


WEIGHTS_ONLY = frozenset({"ips", "snips", "el", "cressie_read", "replay"})


def weights_only(problem: Problem, by: str) -> None:
    """Refuse estimators that are not about unclipped weights and rewards alone."""
    estimator = problem.estimator
    if estimator.name not in WEIGHTS_ONLY or getattr(estimator, "clip", inf) != inf:
        raise RefusedError(
            f"the {by} interval is made of unclipped weights and rewards, and {estimator.name} here is not",
            where="interval",
            got=by,
            allowed=f"with {', '.join(sorted(WEIGHTS_ONLY))}, clip=inf",
            hint="gaussian, student_t and bootstrap fit every estimator",
        )


def design_effect(problem: Problem) -> float:
    """How many times the variance grows because customers repeat; at least 1 (Kish 1965)."""
    sample = problem.sample
    if not sample.customers_repeat:
        return 1.0
    moments = problem.estimator.moments(sample)
    alone = gradient(problem.estimator, moments.sum(axis=1)) @ moments
    together = sample.per_unit(alone)
    alone, together = alone - alone.mean(), together - together.mean()  # as merged shards do
    independent = float(alone @ alone)
    return max(1.0, float(together @ together) / independent) if independent > 0 else 1.0


def within_rewards(problem: Problem, low: float, high: float, warnings: tuple[str, ...] = ()) -> Bounds:
    """Cut the ends to what a mean can be; an unnormalised point value may lie outside of it."""
    lowest, highest = problem.value_range
    return Bounds(min(max(low, lowest), highest), max(min(high, highest), lowest), warnings)
