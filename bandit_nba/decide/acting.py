"""The protocol of everything that acts: from what is known of N requests to a distribution over their eligible arms.

An acting policy never draws. What it says is what is drawn from and logged, so a probability is the propensity itself:
the same situation gives the same distribution, row by row, whatever batch a row stands in.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol, TypeVar, cast

import numpy as np

from bandit_nba.catalogue import Arm
from bandit_nba.decide.batch import Requests
from bandit_nba.decide.cells import best, counts
from bandit_nba.decide.columns import Bools, Floats, Ints
from bandit_nba.decide.scoring import FeatureRows

T = TypeVar("T")


@dataclass(frozen=True)
class Situation:
    """What a policy may look at: N requests, which of K arms each may have, and the features of both.

    mask: (N, K), column 0 ("no action") always True. contexts: N rows. arm_features: K rows, the same object for every
    batch of one catalogue.
    """

    requests: Requests
    mask: Bools
    arms: tuple[Arm, ...]
    contexts: FeatureRows
    arm_features: FeatureRows
    _made: dict[object, object] = field(default_factory=dict, repr=False, compare=False)

    def __len__(self) -> int:
        return len(self.requests)

    def once(self, key: object, make: Callable[[], T]) -> T:
        """What `make` gives, made once for all components of a mixture that ask for the same key."""
        if key not in self._made:
            self._made[key] = make()
        return cast(T, self._made[key])


Again = Callable[[Ints, Bools], Floats]
"""The same policy over fewer arms: rows of the situation, int64 (M,), and the arms left for each, bool (M, K) with at
least one True per row and none that was not eligible, to probabilities (M, K). A slate's later places ask for it."""


@dataclass(frozen=True)
class Distribution:
    """(N, K) each. probability: rows sum to 1, 0 where not eligible. expected_reward, priority: NaN where not eligible.

    A policy that expects nothing in particular says 0 for both. again: the same over fewer arms, as if no others were
    eligible; priorities stay as they are.
    """

    probability: Floats
    expected_reward: Floats
    priority: Floats
    again: Again


class ActingPolicy(Protocol):
    """What may act, alone or as a component of a mixture."""

    @property
    def name(self) -> str:
        """What the log and tables call it."""

    @property
    def full_support(self) -> bool:
        """Whether every eligible arm always has a chance; False for what is deterministic by nature."""

    def distribution(self, situation: Situation) -> Distribution:
        """What each row's choice is drawn from."""


class LearningPolicy(ActingPolicy, Protocol):
    """A policy that carries its own state; it changes in `update` alone, never while it acts."""

    def update(self, situation: Situation, chosen: Ints, rewards: Floats) -> None:
        """Learn N decisions at once. chosen: int64 (N,), columns of the situation. rewards: float64 (N,), finite."""


def unscored(chances: Again, mask: Bools) -> Distribution:
    """The distribution of a policy that expects nothing in particular."""
    nothing = np.where(mask, 0.0, np.nan)
    probability = chances(np.arange(len(mask)), mask)
    return Distribution(probability=probability, expected_reward=nothing, priority=nothing, again=chances)


def evenly(mask: Bools) -> Floats:
    """The same chance for each arm, float64 (N, K)."""
    even: Floats = mask / counts(mask)
    return even


def floored(probability: Floats, mask: Bools, *, floor: float) -> Floats:
    """p' = (1 - floor) p + floor / K, float64 (N, K), with K the row's eligible arms."""
    if floor == 0.0:
        return probability
    mixed: Floats = (1.0 - floor) * probability
    mixed += mask * (floor / counts(mask))
    return mixed


def shared_best(score: Floats, mask: Bools) -> Floats:
    """All probability on the eligible arm with the highest score, exactly equal ones sharing; float64 (N, K)."""
    standing = np.where(mask, score, -np.inf)
    return evenly((standing == best(standing)) & mask)
