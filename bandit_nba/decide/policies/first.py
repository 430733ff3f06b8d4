"""The first arm, always: no action, or the first action that a request brings (what its channel shows today)."""

import numpy as np

from bandit_nba.decide.acting import Distribution, Situation, shared_best, unscored


class FirstPolicy:
    """Always the first arm, which is always eligible."""

    name = "first"
    full_support = False

    def distribution(self, situation: Situation) -> Distribution:
        """1 at the first arm."""
        standing = -np.arange(situation.mask.shape[1], dtype=np.float64)
        return unscored(lambda _, mask: shared_best(standing, mask), situation.mask)
