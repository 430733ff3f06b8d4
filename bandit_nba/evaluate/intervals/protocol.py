"""What every interval is: a function of the same problem."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from bandit_nba.errors import RefusedError
from bandit_nba.evaluate.estimators.protocol import Estimator
from bandit_nba.evaluate.sample import Sample


@dataclass(frozen=True, slots=True)
class Problem:
    """A log, an estimator and its value, at miscoverage `alpha` (two-sided)."""

    sample: Sample
    estimator: Estimator
    value: float
    alpha: float
    rng: np.random.Generator


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
