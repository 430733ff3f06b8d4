"""What every judgement returns."""

from dataclasses import dataclass

ESS_FLOOR = 200.0
"""Effective sample size below which no verdict is given."""


@dataclass(frozen=True, slots=True)
class Estimate:
    """The value of a policy, how sure we are, and what a reader must know.

    Attributes
    ----------
    value
        Mean reward per decision, in the unit of the rewards.
    low, high
        Ends of the interval at the level that was asked for. Both are finite.
    n
        Decisions that were read (for `replay`: decisions that matched).
    ess
        Effective sample size, (sum w)^2 / sum w^2: how many decisions of the policy itself the log is worth.
    warnings
        One plain sentence for each thing that weakens the figure.
    """

    value: float
    low: float
    high: float
    n: int
    ess: float
    warnings: tuple[str, ...] = ()

    @property
    def half_width(self) -> float:
        """Half of the distance between the two ends."""
        return (self.high - self.low) / 2
