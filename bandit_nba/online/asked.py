"""A request as the decider works with it: checked against the workspace, the customer behind a pseudonym."""

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import msgspec

from bandit_nba.catalogue import FactSchema
from bandit_nba.catalogue.facts import FactValue, all_checked
from bandit_nba.customers.pseudonym import pseudonym
from bandit_nba.decide import inline
from bandit_nba.decide.wanted import Wanted
from bandit_nba.errors import InputError
from bandit_nba.online.messages import DecisionRequest
from bandit_nba.online.wants import actions_of, choosable, wanted_of
from bandit_nba.settings import nearest
from bandit_nba.workspace import Workspace

_CANONICAL = msgspec.json.Encoder(order="sorted")


@dataclass(frozen=True, slots=True)
class ChannelTimes:
    """What a channel promises, in seconds."""

    valid_for_s: float
    wait_s: float
    activate_within_s: float
    deferred: bool


class Asked(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """One request, checked.

    facts: given with the request; None means unknown, whatever the profile says. payload_sha256: of what was asked,
    without the id; the customer goes in by pseudonym, and facts in canonical order. wanted: None for one action of all.
    actions: canonical JSON of those that came with the request, None for the catalogue's.
    """

    id: str
    customer: str
    channel: str
    facts: Mapping[str, FactValue | None]
    deferred: bool
    payload_sha256: bytes
    wanted: Wanted | None = None
    actions: bytes | None = None


class Reception:
    """Checks requests against one workspace. `new_id` names the decisions that come without a name."""

    def __init__(self, workspace: Workspace, *, new_id: Callable[[], str]) -> None:
        self.channels = _channel_times(workspace)
        self._schema: FactSchema = workspace.catalogue.facts
        self._choosable = choosable(workspace.catalogue)
        self._key = workspace.pseudonym_key
        self._new_id = new_id

    def accept(self, request: DecisionRequest) -> Asked:
        """Check one request.

        Raises
        ------
        InputError
            If the channel or a fact is not declared, a fact is of another kind, or what is wanted cannot be given.
        """
        times = self.channels.get(request.channel)
        if times is None:
            raise InputError(
                "unknown channel", where="channel", got=request.channel, hint=nearest(request.channel, self.channels)
            )
        facts = all_checked(request.facts, self._schema, where="facts")
        customer = pseudonym(self._key, request.customer_id or "")
        actions = actions_of(request)
        wanted = wanted_of(request, actions, self._choosable)
        asked: tuple[object, ...] = (customer, request.channel, facts, request.defer_activation)
        if wanted is not None or actions is not None:
            asked = (*asked, wanted, actions)
        payload = _CANONICAL.encode(asked)
        return Asked(
            id=request.decision_id or self._new_id(),
            customer=customer,
            channel=request.channel,
            facts=facts,
            deferred=request.defer_activation or times.deferred,
            payload_sha256=hashlib.sha256(payload).digest(),
            wanted=wanted,
            actions=None if actions is None else inline.encoded(actions),
        )


def _channel_times(workspace: Workspace) -> dict[str, ChannelTimes]:
    """A decision deferred by its request is activated before it matures, whatever the channel's own wait."""
    times = {}
    for name, channel in workspace.service.channels.items():
        wait_s = workspace.rewards.wait_s(name)
        times[name] = ChannelTimes(
            valid_for_s=channel.valid_for_s,
            wait_s=wait_s,
            activate_within_s=min(channel.activate_within_s, wait_s),
            deferred=channel.activation == "deferred",
        )
    return times
