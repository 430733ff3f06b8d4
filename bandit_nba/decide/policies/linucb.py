"""LinUCB with disjoint linear models (Li, Chu, Langford & Schapire 2010, algorithm 1)."""

import numpy as np

from bandit_nba.decide.acting import Distribution, Situation, shared_best
from bandit_nba.decide.columns import Bools, Floats, Ints
from bandit_nba.decide.policies.ridge import RidgeArms


class LinUcbPolicy:
    """The arm with the highest mean + alpha x standard deviation, always: what it never chooses has no support.

    The expected reward is the mean, the priority the upper bound. See `ridge`.
    """

    name = "linucb"
    full_support = False

    def __init__(self, *, alpha: float = 1.0, ridge: float = 1.0) -> None:
        self._alpha = alpha
        self._arms = RidgeArms(ridge=ridge)

    def distribution(self, situation: Situation) -> Distribution:
        """1 at the highest bound; equal ones share, as all arms do that have never been tried."""
        mean, deviation = self._arms.moments(situation)
        mask = situation.mask
        bound = mean + self._alpha * deviation

        def again(rows: Ints, left: Bools) -> Floats:
            return shared_best(bound[rows], left)

        return Distribution(
            probability=shared_best(bound, mask),
            expected_reward=np.where(mask, mean, np.nan),
            priority=np.where(mask, bound, np.nan),
            again=again,
        )

    def update(self, situation: Situation, chosen: Ints, rewards: Floats) -> None:
        """Learn N decisions; raises `InputError` for rewards that are not finite."""
        self._arms.update(situation, chosen, rewards)
