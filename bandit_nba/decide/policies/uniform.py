"""Every eligible arm alike."""

from bandit_nba.decide.acting import Distribution, Situation, unscored


class UniformPolicy:
    """1 / (number of eligible arms)."""

    name = "uniform"
    full_support = True

    def distribution(self, situation: Situation) -> Distribution:
        """The same chance for each eligible arm."""
        mask = situation.mask
        return unscored(mask / mask.sum(axis=1, keepdims=True), mask)
