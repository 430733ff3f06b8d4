"""Business rules in a declared order: the first that is eligible."""

from collections.abc import Sequence

import numpy as np

from bandit_nba.catalogue import Arm
from bandit_nba.catalogue.action import NO_ACTION
from bandit_nba.decide.acting import Distribution, Situation, shared_best, unscored
from bandit_nba.decide.columns import Floats
from bandit_nba.errors import SettingsError
from bandit_nba.settings import nearest


class RankingPolicy:
    """The first of `order` that is eligible, else no action; for names and errors see `standing`."""

    name = "ranking"
    full_support = False

    def __init__(self, order: Sequence[str], arms: Sequence[Arm], *, where: str = "order") -> None:
        self._standing = standing(order, arms, where=where)

    def distribution(self, situation: Situation) -> Distribution:
        """1 at the first eligible of the order."""
        return unscored(lambda _, mask: shared_best(self._standing, mask), situation.mask)


def standing(order: Sequence[str], arms: Sequence[Arm], *, where: str) -> Floats:
    """A score per arm, float64 (K,), that falls along `order`; no action comes last, arms not named have -infinity.

    A name is an arm's or an action's; an action's stands for all its arms, which have the same score.

    Raises
    ------
    SettingsError
        If a name is neither.
    """
    known = {name for arm in arms for name in (arm.id, arm.action.id)}
    for name in order:
        if name not in known:
            raise SettingsError("no such action", where=where, got=name, hint=nearest(name, known))
    place = {name: float(i) for i, name in reversed(list(enumerate(order)))}
    last = {NO_ACTION: float(len(order))}
    return -np.array([min((last | place).get(name, np.inf) for name in (arm.id, arm.action.id)) for arm in arms])
