"""Direct method: V = E_n[q(x,pi)]."""

from dataclasses import dataclass
from typing import ClassVar

from bandit_nba.evaluate.estimators.doubly_robust import refuse_outside_predictions
from bandit_nba.evaluate.estimators.protocol import AnyArray, Bounded, mean_of_second, with_ones
from bandit_nba.evaluate.sample import FloatArray, Sample, finite_reward_range, need


@dataclass(frozen=True, slots=True)
class DirectMethod:
    """The model's expected reward alone: as biased as the model, and no interval shows it."""

    name: ClassVar[str] = "dm"
    is_average: ClassVar[bool] = True

    def moments(self, sample: Sample) -> FloatArray:
        """[1, q(x,pi)]."""
        return with_ones(need(sample.q_policy, "q_policy", self.name))

    def value(self, sums: AnyArray) -> AnyArray:
        """Mean expected reward."""
        return mean_of_second(sums)

    def bounded(self, sample: Sample) -> Bounded:
        """Expected rewards, in the range of the rewards."""
        finite_reward_range(sample, "a bound")
        refuse_outside_predictions(sample, self.name)
        return Bounded(need(sample.q_policy, "q_policy", self.name), *sample.reward_range)
