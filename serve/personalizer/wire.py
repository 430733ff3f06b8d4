"""What Personalizer's clients send and expect, in both generations. Fields that are not known are passed over."""

from typing import Annotated, Any

import msgspec
from msgspec import Meta

from bandit_nba.online.messages import NO_CONTROL

MOST_ACTIONS = 50
MOST_SLOTS = 50
MOST_ID = 256

Id = Annotated[str, Meta(min_length=1, max_length=MOST_ID, pattern=NO_CONTROL)]
EventId = Annotated[str, Meta(max_length=MOST_ID, pattern=NO_CONTROL)]


class _Wire(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    pass


class RankableAction(_Wire, frozen=True, kw_only=True):
    """One action of a rank call; features are any JSON objects."""

    id: Id
    features: list[dict[str, Any]] | None = None


class RankRequest(_Wire, frozen=True, kw_only=True):
    """A rank call for one action."""

    actions: Annotated[list[RankableAction], Meta(min_length=1, max_length=MOST_ACTIONS)]
    context_features: list[dict[str, Any]] | None = None
    excluded_actions: list[str] | None = None
    event_id: EventId | None = None
    defer_activation: bool | None = None


class RankedAction(_Wire, frozen=True, kw_only=True):
    """An action and the chance with which it was to be chosen."""

    id: str
    probability: float


class RankResponse(_Wire, frozen=True, kw_only=True):
    """`rewardActionId` is what to show; `ranking` tells the chances, the likeliest first."""

    ranking: list[RankedAction]
    event_id: str
    reward_action_id: str | None


class SlotRequest(_Wire, frozen=True, kw_only=True):
    """One slot of a multi-slot call. baselineAction: what the caller shows today."""

    id: Id
    baseline_action: str
    features: list[dict[str, Any]] | None = None
    excluded_actions: list[str] | None = None


class MultiSlotRankRequest(_Wire, frozen=True, kw_only=True):
    """A rank call for an action in each of several slots."""

    actions: Annotated[list[RankableAction], Meta(min_length=1, max_length=MOST_ACTIONS)]
    slots: Annotated[list[SlotRequest], Meta(min_length=1, max_length=MOST_SLOTS)]
    context_features: list[dict[str, Any]] | None = None
    event_id: EventId | None = None
    defer_activation: bool | None = None


class SlotResponse(_Wire, frozen=True, kw_only=True):
    """What to show in one slot."""

    id: str
    reward_action_id: str | None


class MultiSlotRankResponse(_Wire, frozen=True, kw_only=True):
    """What to show in each slot."""

    slots: list[SlotResponse]
    event_id: str


class RewardRequest(_Wire, frozen=True, kw_only=True):
    """A reward call."""

    value: Annotated[float, Meta(ge=-1e9, le=1e9)]


class SlotReward(_Wire, frozen=True, kw_only=True):
    """The reward of one slot."""

    slot_id: Id
    value: Annotated[float, Meta(ge=-1e9, le=1e9)]


class MultiSlotRewardRequest(_Wire, frozen=True, kw_only=True):
    """Rewards of slots."""

    reward: Annotated[list[SlotReward], Meta(min_length=1, max_length=MOST_SLOTS)]


class ErrorBody(_Wire, frozen=True, kw_only=True, omit_defaults=True):
    """What went wrong, as Personalizer said it."""

    code: str
    message: str
    target: str | None = None
    details: list["ErrorBody"] = []


class ErrorResponse(_Wire, frozen=True, kw_only=True):
    """The envelope of an error."""

    error: ErrorBody
