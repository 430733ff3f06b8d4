"""Replay: mean reward where a deterministic policy agrees with a uniform log (Li et al. 2011)."""

from dataclasses import dataclass
from typing import ClassVar

from bandit_nba.evaluate.estimators.protocol import AnyArray, Bounded, OneSided, with_ones
from bandit_nba.evaluate.sample import FloatArray, Sample, need, rewards_within_range


@dataclass(frozen=True, slots=True)
class Replay:
    """Unbiased only where the log chose uniformly and the policy is deterministic; the weights are not read."""

    name: ClassVar[str] = "replay"
    is_average: ClassVar[bool] = True

    def moments(self, sample: Sample) -> FloatArray:
        """[1, r 1{match}, 1{match}]."""
        match = need(sample.policy_match, "policy_match", self.name).astype(float)
        return with_ones(sample.rewards * match, match)

    def value(self, sums: AnyArray) -> AnyArray:
        """Summed rewards of the matches over their number."""
        ratio: AnyArray = sums[..., 1] / sums[..., 2]
        return ratio

    def bounded(self, sample: Sample) -> Bounded:
        """The rewards of a matched sample, in their possible range."""
        rewards_within_range(sample, "a bound")
        low, high = sample.reward_range
        width = high - low
        rising = OneSided((sample.rewards - low) / width, low, width)
        falling = OneSided((high - sample.rewards) / width, high, -width)
        return Bounded(sample.rewards, low, high, rising, falling)
