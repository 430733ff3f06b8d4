"""The reward definition: how outcomes received within the wait become one number per decision."""

from collections.abc import Mapping
from functools import cached_property
from typing import Annotated, Literal

from msgspec import Meta

from bandit_nba.catalogue.contact_rules import IGNORED
from bandit_nba.settings import Settings, seconds, version_of

Attribution = Literal["decision", "each"]
Bounded = Annotated[float, Meta(ge=-1e6, le=1e6)]


class OutcomeReward(Settings, frozen=True, kw_only=True):
    """What one outcome of a type adds: reward + amount_weight x amount.

    attribution "each": an outcome that names only a customer counts for each of the customer's decisions whose window
    covers it; "decision": only outcomes that name the decision count. impression: it only says that the customer saw
    it, so that a decision with nothing else counts as ignored. wait: ISO-8601, for how long after a decision the type
    counts for it; by default until the decision matures.
    """

    reward: Bounded = 0.0
    amount_weight: Bounded = 0.0
    attribution: Attribution = "decision"
    impression: bool = False
    wait: str | None = None


class RewardDefinition(Settings, frozen=True, kw_only=True, dict=True):
    """A declared, versioned reward.

    unit: `response` (range within [0, 1]) or `money`. range: rewards are clamped to it, so that one absurd amount
    cannot poison a model. default: what a decision with no outcome earns. wait: ISO-8601, how long a decision waits;
    per channel in `waits`, per type of outcome in `outcomes`. A decision matures after the longest of its channel's
    wait and the types' own, the same for all its eligible arms.
    """

    unit: Literal["response", "money"] = "response"
    range: tuple[Bounded, Bounded] = (0.0, 1.0)
    aggregation: Literal["sum", "first", "last", "max"] = "max"
    default: float = 0.0
    wait: str = "PT30M"
    waits: Mapping[str, str] = {}
    outcomes: Mapping[Annotated[str, Meta(pattern="^[a-z][a-z0-9_]{0,63}$")], OutcomeReward]

    def __post_init__(self) -> None:
        low, high = self.range
        if not low < high:
            raise ValueError(f"`range` must grow, got [{low:g}, {high:g}]")
        if self.unit == "response" and (low < 0.0 or high > 1.0):
            raise ValueError(f'`range` must lie within [0, 1] for the unit "response", got [{low:g}, {high:g}]')
        if not low <= self.default <= high:
            raise ValueError(f"`default` must lie within `range` [{low:g}, {high:g}], got {self.default:g}")
        if "recorded_reward" in self.outcomes:
            raise ValueError('`outcomes` must leave the name "recorded_reward" to logs that are imported')
        if IGNORED in self.outcomes:
            raise ValueError(f'`outcomes` must leave the name "{IGNORED}" to contact rules, where it means no answer')
        for channel in ("", *self.waits):
            self.wait_s(channel)
        _ = self.type_waits_s

    @cached_property
    def version(self) -> str:
        """Names this content; equal content has the same version."""
        return version_of(self)

    def wait_s(self, channel: str) -> float:
        """Seconds after which a decision on `channel` matures: the longest of its channel's wait and the types'."""
        place = f"waits.{channel}" if channel in self.waits else "wait"
        own = seconds(self.waits.get(channel, self.wait), where=f"rewards.toml: {place}")
        return max(own, *self.type_waits_s.values(), 0.0)

    @cached_property
    def type_waits_s(self) -> Mapping[str, float]:
        """Of the types of outcomes that have a wait of their own: seconds after a decision that they count for it."""
        return {
            kind: seconds(declared.wait, where=f"rewards.toml: outcomes.{kind}.wait")
            for kind, declared in self.outcomes.items()
            if declared.wait is not None
        }
