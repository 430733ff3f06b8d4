"""Every eligible arm alike."""

from bandit_nba.decide.acting import Distribution, Situation, evenly, unscored


class UniformPolicy:
    """1 / (number of eligible arms)."""

    name = "uniform"
    full_support = True

    def distribution(self, situation: Situation) -> Distribution:
        """The same chance for each eligible arm."""
        return unscored(lambda _, mask: evenly(mask), situation.mask)
