"""Rank, reward and activate, for one action or for several slots, in both generations of addresses."""

import hashlib
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

from bandit_nba.catalogue import FactSchema
from bandit_nba.decide.record import DecisionRecord
from bandit_nba.errors import IdConflictError, InputError, UnknownIdError
from bandit_nba.online.messages import ActionRequest, DecisionAnswer, DecisionRequest, Outcome
from bandit_nba.online.messages import SlotRequest as OurSlot
from bandit_nba.online.replica import Replica
from bandit_nba.workspace.service import Personalizer
from serve import problem as problems
from serve.endpoint import Call, Operation, Reply
from serve.examples import RANKED
from serve.parameters import Parameters
from serve.personalizer import wire
from serve.personalizer.errors import explained
from serve.personalizer.features import action_features, context_facts

FIRST, SECOND = "/personalizer/v1.0", "/personalizer"
VERSION = ("2022-09-01-preview",)
LONGEST_SLOT = 64

_RANK_EXAMPLE: dict[str, object] = {
    "actions": [
        {"id": "news", "features": [{"topic": "news"}]},
        {"id": "sport", "features": [{"topic": "sport"}]},
    ],
    "contextFeatures": [{"time": "morning"}],
    "eventId": "e-1",
}
_RANK = msgspec.json.Decoder(wire.RankRequest)
_SLOTS = msgspec.json.Decoder(wire.MultiSlotRankRequest)
_REWARD = msgspec.json.Decoder(wire.RewardRequest)
_REWARDS = msgspec.json.Decoder(wire.MultiSlotRewardRequest)
_ANSWER = msgspec.json.Decoder(DecisionAnswer)


@dataclass(frozen=True)
class Events:
    """What the calls do for one workspace."""

    replica: Replica
    settings: Personalizer
    channel: str

    @property
    def _schema(self) -> FactSchema:
        return self.replica.workspace.catalogue.facts

    async def rank(self, call: Call) -> Reply:
        """Choose one action."""
        call.caller.require_channel(self.channel)
        asked = _RANK.decode(call.body)
        _check_ids(asked.actions)
        excluded = set(asked.excluded_actions or ())
        left = [action for action in asked.actions if action.id not in excluded]
        if not left:
            raise InputError("excludes every action", where="excludedActions")
        event = asked.event_id or uuid.uuid4().hex
        answer = await self._decide(
            DecisionRequest(
                channel=self.channel,
                decision_id=event,
                facts=context_facts(asked.context_features or (), self._schema, words=self.settings.context),
                actions=[_action(action, asked.actions.index(action)) for action in left],
                defer_activation=bool(asked.defer_activation),
            )
        )
        chances = await self._chances(answer)
        ranking = sorted(chances.items(), key=lambda one: -one[1])
        # Of an event that is known already its own actions are told, and of these only what is excluded.
        beside = excluded if answer.durable is not False else {action.id for action in asked.actions}
        ranking += [(one.id, 0.0) for one in asked.actions if one.id in beside and one.id not in chances]
        response = wire.RankResponse(
            ranking=[wire.RankedAction(id=action, probability=p) for action, p in ranking],
            event_id=event,
            reward_action_id=answer.action,
        )
        return Reply(201, msgspec.json.encode(response))

    async def rank_slots(self, call: Call) -> Reply:
        """Choose an action for each slot, none twice."""
        call.caller.require_channel(self.channel)
        asked = _SLOTS.decode(call.body)
        _check_ids(asked.actions)
        order = _by_baseline(asked)
        known = {action.id for action in asked.actions}
        event = asked.event_id or uuid.uuid4().hex
        answer = await self._decide(
            DecisionRequest(
                channel=self.channel,
                decision_id=event,
                facts=context_facts(
                    [*(asked.context_features or ()), *_slot_features(asked.slots)],
                    self._schema,
                    words=self.settings.context,
                ),
                actions=[_action(action, asked.actions.index(action)) for action in order],
                slots=[
                    OurSlot(
                        id=slot_name(slot.id), excluded_arms=sorted(known.intersection(slot.excluded_actions or ()))
                    )
                    for slot in asked.slots
                ],
                defer_activation=bool(asked.defer_activation),
            )
        )
        filled = {slot.id: slot.arm for slot in answer.slots} if isinstance(answer.slots, list) else {}
        if not any(slot_name(slot.id) in filled for slot in asked.slots):
            hint = "a new call needs a new event id"
            raise IdConflictError("this event was ranked without these slots", where="eventId", got=event, hint=hint)
        slots = [wire.SlotResponse(id=s.id, reward_action_id=filled.get(slot_name(s.id))) for s in asked.slots]
        return Reply(201, msgspec.json.encode(wire.MultiSlotRankResponse(slots=slots, event_id=event)))

    async def reward(self, call: Call) -> Reply:
        """Tell what an event earned."""
        value = _REWARD.decode(call.body).value
        return await self._tell(call, [(None, value)])

    async def reward_slots(self, call: Call) -> Reply:
        """Tell what slots of an event earned."""
        said = _REWARDS.decode(call.body).reward
        return await self._tell(call, [(slot_name(one.slot_id), one.value) for one in said])

    async def activate(self, call: Call) -> Reply:
        """Let a deferred event count."""
        event = await self._own(call)
        try:
            await self.replica.activate(event)
        except UnknownIdError:
            raise UnknownIdError("no such event", where="eventId", got=event) from None
        return Reply(204, b"")

    async def _tell(self, call: Call, values: Sequence[tuple[str | None, float]]) -> Reply:
        event = await self._own(call)
        outcomes = [
            Outcome(
                outcome_id=uuid.uuid4().hex,
                type=self.settings.outcome,
                decision_id=event,
                amount=value,
                slot=slot,
            )
            for slot, value in values
        ]
        for collected in await self.replica.collect(outcomes):
            if collected.error is not None:
                raise collected.error
        return Reply(204, b"")

    async def _decide(self, request: DecisionRequest) -> DecisionAnswer:
        """The answer; that of the first call where the event is known, whatever it says now."""
        try:
            body = (await self.replica.decide(request)).body
        except IdConflictError:
            known = await self.replica.decision(str(request.decision_id))
            if known.channel != self.channel:  # a decision, but no event of these clients'
                raise
            body = known.answer
        return _ANSWER.decode(body)

    async def _own(self, call: Call) -> str:
        """The event that the address names; a decision for another channel is none. One may be told of in advance."""
        call.caller.require_channel(self.channel)
        event = call.params["eventId"]
        if len(event) > wire.MOST_ID:
            allowed = f"at most {wire.MOST_ID} characters"
            raise InputError("is too long", where="eventId", got=f"{len(event):,} characters", allowed=allowed)
        if await self.replica.channel_of(event) not in (None, self.channel):
            raise UnknownIdError("no such event", where="eventId", got=event)
        return event

    async def _chances(self, answer: DecisionAnswer) -> dict[str, float]:
        """By action, what the log keeps; of what it could not keep, the answer's own."""
        if answer.durable is False:
            return {answer.action: answer.probability}
        record: DecisionRecord = await self.replica.decision(answer.decision_id)
        arms = msgspec.json.decode(record.arms, type=list[str])
        return dict(zip(arms, msgspec.json.decode(record.probabilities, type=list[float]), strict=True))


def operations(replica: Replica) -> list[Operation]:
    """The operations of both generations; none where the workspace does not offer them."""
    settings = replica.workspace.service.personalizer
    if settings is None:
        return []
    channel = channel_of(settings, replica)
    events = Events(replica, settings, channel)
    found = [*_single(events, FIRST, "first", {}), *_single(events, SECOND, "second", {"api-version": VERSION})]
    return [*found, *_multiple(events, {"api-version": VERSION})]


def channel_of(settings: Personalizer, replica: Replica) -> str:
    """The channel of all calls: the one named, or the first that is declared."""
    return settings.channel or next(iter(replica.workspace.service.channels))


def _single(events: Events, base: str, generation: str, query: Parameters) -> list[Operation]:
    rank = _call(
        f"{base}/rank",
        f"{generation}GenerationRank",
        "Personalizer's rank: choose among the actions of the call.",
        query,
        scope="decide",
        handler=events.rank,
        takes=(wire.RankRequest,),
        replies={201: (wire.RankResponse,)},
        example=_RANK_EXAMPLE,
        shows=RANKED,
    )
    reward = _call(
        f"{base}/events/{{eventId}}/reward",
        f"{generation}GenerationReward",
        "Personalizer's reward.",
        query,
        scope="outcome",
        handler=events.reward,
        takes=(wire.RewardRequest,),
        example={"value": 1.0},
        replies={204: ()},
    )
    summary = "Personalizer's activate: a deferred event was shown."
    return [rank, reward, _activate(events, base, f"{generation}GenerationActivate", summary, query)]


def _multiple(events: Events, query: Parameters) -> list[Operation]:
    base = f"{SECOND}/multislot"
    rank = _call(
        f"{base}/rank",
        "multiSlotRank",
        "Personalizer's rank for several slots.",
        query,
        scope="decide",
        handler=events.rank_slots,
        takes=(wire.MultiSlotRankRequest,),
        replies={201: (wire.MultiSlotRankResponse,)},
        example={**_RANK_EXAMPLE, "slots": [{"id": "hero", "baselineAction": "news"}]},
        shows={"slots": [{"id": "hero", "rewardActionId": "sport"}], "eventId": "e-1"},
    )
    reward = _call(
        f"{base}/events/{{eventId}}/reward",
        "multiSlotReward",
        "Personalizer's reward of slots.",
        query,
        scope="outcome",
        handler=events.reward_slots,
        takes=(wire.MultiSlotRewardRequest,),
        example={"reward": [{"slotId": "hero", "value": 1.0}]},
        replies={204: ()},
    )
    summary = "Personalizer's activate for several slots."
    return [rank, reward, _activate(events, base, "multiSlotActivate", summary, query)]


def _activate(events: Events, base: str, name: str, summary: str, query: Parameters) -> Operation:
    refuses = (problems.REFUSED, problems.INVALID, *problems.OF_STORE)
    path = f"{base}/events/{{eventId}}/activate"
    return _call(
        path, name, summary, query, scope="decide", handler=events.activate, replies={204: ()}, refuses=refuses
    )


def _call(path: str, name: str, summary: str, query: Parameters, **more: Any) -> Operation:
    """What all calls have in common."""
    common: dict[str, Any] = {"method": "POST", "refuses": problems.OF_STORE, "explain": explained}
    return Operation(path=path, name=name, summary=summary, query=query, **{**common, **more})


def slot_name(slot: str) -> str:
    """A slot's own name, or for one that is longer than ours may be, a digest of it."""
    return slot if len(slot) <= LONGEST_SLOT else f"sha256:{hashlib.sha256(slot.encode()).hexdigest()[:40]}"


def _check_ids(actions: Sequence[wire.RankableAction]) -> None:
    seen: set[str] = set()
    for i, action in enumerate(actions):
        if action.id in seen:
            raise InputError("stands twice", where=f"actions[{i}].id", got=action.id)
        seen.add(action.id)


def _by_baseline(asked: wire.MultiSlotRankRequest) -> list[wire.RankableAction]:
    """The actions, the slots' baselines first and in their order: a slot's baseline is the first that is left for it.

    The very first is the baseline of all, which the first slot must be able to have.
    """
    place = {slot.baseline_action: i for i, slot in reversed(list(enumerate(asked.slots)))}
    order = sorted(asked.actions, key=lambda action: place.get(action.id, len(place)))
    excluded = set(asked.slots[0].excluded_actions or ())
    first = next((action for action in order if action.id not in excluded), None)
    if first is None:
        raise InputError("excludes every action", where="slots[0].excludedActions")
    return [first, *(action for action in order if action is not first)]


def _action(action: wire.RankableAction, place: int) -> ActionRequest:
    return ActionRequest(id=action.id, features=action_features(action.features, where=f"actions[{place}].features"))


def _slot_features(slots: Sequence[wire.SlotRequest]) -> list[dict[str, object]]:
    """Features of slots are context: which slots there are is the same for every action."""
    return [{f"slot.{slot.id}": slot.features} for slot in slots if slot.features]
