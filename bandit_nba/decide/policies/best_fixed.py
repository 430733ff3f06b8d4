"""One offer for everybody: the strongest policy that looks at no customer."""

from collections.abc import Sequence

from bandit_nba.catalogue import Arm
from bandit_nba.decide.acting import Distribution, Situation, shared_best, unscored
from bandit_nba.decide.policies.ranking import standing


class BestFixedPolicy:
    """Always `arm` (or the arms of an action of that name, evenly), and no action where it is not eligible.

    Raises
    ------
    SettingsError
        If there is no such arm or action.
    """

    name = "best_fixed"
    full_support = False

    def __init__(self, arm: str, arms: Sequence[Arm], *, where: str = "arm") -> None:
        self._standing = standing([arm], arms, where=where)

    def distribution(self, situation: Situation) -> Distribution:
        """1 at the arm where it is eligible."""
        return unscored(lambda _, mask: shared_best(self._standing, mask), situation.mask)
