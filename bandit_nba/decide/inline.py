"""Actions that come with a request, not from the catalogue: scored by the same weights, logged with the request.

They have features as catalogue actions have, under names that are checked, so that no name or value can pass for
another feature. Rules, channels, contact rules and ownership are the catalogue's and do not concern them. The first
action is the baseline: gains are relative to it, it cannot be excluded, and it is all that is left where the model
fails or the customer cannot be read.
"""

from collections.abc import Mapping, Sequence

import msgspec
import numpy as np

from bandit_nba.catalogue import Action, Arm
from bandit_nba.decide.batch import Eligibility, Removal, Requests
from bandit_nba.decide.features.names import check_arm_feature
from bandit_nba.errors import InputError

MOST_ACTIONS = 1_000
MOST_FEATURES = 100
MOST_CELLS = 50_000  # places x actions of one request
GROUP = "inline"

_UNREADABLE = Removal(stage="profile", reason="the customer's profile cannot be read: only the first action")


class InlineAction(msgspec.Struct, frozen=True, kw_only=True):
    """One action as a request brings it and the log keeps it. value: what one response is worth."""

    id: str
    group: str = GROUP
    value: float = 1.0
    features: Mapping[str, float | str] = {}


_ENCODER = msgspec.json.Encoder(order="sorted")
_DECODER = msgspec.json.Decoder(tuple[InlineAction, ...])


def encoded(actions: Sequence[InlineAction]) -> bytes:
    """Canonical JSON: equal bytes for equal actions in the same order."""
    return _ENCODER.encode(actions)


def decoded(content: bytes) -> tuple[InlineAction, ...]:
    """Actions from their JSON; raises `msgspec.DecodeError`."""
    return _DECODER.decode(content)


def checked(actions: Sequence[InlineAction], *, where: str = "actions") -> tuple[InlineAction, ...]:
    """The actions, if an engine can decide among them.

    Raises
    ------
    InputError
        If there are none or too many, two have one id, or a feature's name is taken or no name.
    """
    if not 1 <= len(actions) <= MOST_ACTIONS:
        raise InputError("is no list of actions", where=where, got=len(actions), allowed=f"1 to {MOST_ACTIONS:,}")
    seen: set[str] = set()
    for i, action in enumerate(actions):
        if action.id in seen:
            raise InputError("stands twice", where=f"{where}[{i}].id", got=action.id, hint="each action once")
        seen.add(action.id)
        if len(action.features) > MOST_FEATURES:
            place = f"{where}[{i}].features"
            raise InputError("are too many", where=place, got=len(action.features), allowed=f"at most {MOST_FEATURES}")
        for name in action.features:
            check_arm_feature(name, where=f"{where}[{i}].features")
    return tuple(actions)


def arms_of(actions: Sequence[InlineAction]) -> tuple[Arm, ...]:
    """One arm per action, in their order."""
    return tuple(
        Arm(
            id=action.id,
            action=Action(id=action.id, kind="offer", group=action.group, value=action.value, features=action.features),
        )
        for action in actions
    )


def eligible_inline(arms: int, requests: Requests) -> Eligibility:
    """Every action, but only the first where the customer cannot be read."""
    removed = np.zeros((len(requests), arms), dtype=np.int16)
    removed[~requests.readable, 1:] = 1
    return Eligibility(removed=removed, removals=(_UNREADABLE,))
