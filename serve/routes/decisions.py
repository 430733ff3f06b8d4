"""Decisions: ask for one, activate it, look at it."""

from collections.abc import Sequence
from typing import cast

import msgspec

from bandit_nba.decide.explain.labels import LANGUAGES, Language
from bandit_nba.decide.record import DecisionRecord, logged
from bandit_nba.decide.slates import log as slate_log
from bandit_nba.errors import UnknownIdError
from bandit_nba.online.answering import moment
from bandit_nba.online.explaining import ExplanationAnswer
from bandit_nba.online.messages import (
    DecisionAnswer,
    DecisionRequest,
    OverrideAnswer,
    OverrideRequest,
    PickAnswer,
    PickRequest,
)
from bandit_nba.online.replica import Replica
from bandit_nba.online.under_way import Answered
from serve import examples
from serve import problem as problems
from serve.decision_page import page_reply, status_of
from serve.doorman import Caller
from serve.endpoint import JSON, MIB, NDJSON, Call, Operation, Reply
from serve.page import PageReader
from serve.refusal import Refused
from serve.wire import Choice, DecisionPage, LoggedDecision, LoggedPlace, LoggedSlate, Removed, arm_apart, state_of

_REQUEST = msgspec.json.Decoder(DecisionRequest)
_PAGE = PageReader(DecisionRequest)
_OVERRIDE = msgspec.json.Decoder(OverrideRequest)
_PICK = msgspec.json.Decoder(PickRequest)


def operations(replica: Replica) -> list[Operation]:
    """The operations on decisions."""

    async def decide(call: Call) -> Reply:
        request = _REQUEST.decode(call.body)
        call.caller.require_channel(request.channel)
        answer = await replica.decide(request)
        return Reply(status_of(answer), answer.body)

    async def decide_page(call: Call) -> Reply:
        items = _PAGE.read(call)
        return page_reply(items, await _page(replica, call.caller, items))

    async def activate(call: Call) -> Reply:
        return await told(await replica.activate(await own(call)))

    async def explain(call: Call) -> Reply:
        found = await replica.explanation(await own(call), cast(Language, call.query["lang"]))
        return Reply(200, msgspec.json.encode(found))

    async def override(call: Call) -> Reply:
        answer, known = await replica.override(await own(call), _OVERRIDE.decode(call.body))
        return Reply(200 if known else 201, msgspec.json.encode(answer))

    async def pick(call: Call) -> Reply:
        answer, known = await replica.pick(await own(call), _PICK.decode(call.body))
        return Reply(200 if known else 201, msgspec.json.encode(answer))

    async def look(call: Call) -> Reply:
        return await told(await replica.decision(await own(call)))

    async def own(call: Call) -> str:
        """The decision that the address names; one of a channel that the key is not for is as unknown as any other."""
        decision = call.params["decisionId"]
        if call.caller.limited:
            channel = await replica.channel_of(decision)
            if channel is None or not call.caller.allows_channel(channel):
                raise UnknownIdError("no such decision", where="decisionId", got=decision)
        return decision

    async def told(stored: DecisionRecord) -> Reply:
        overridden_by = await replica.overridden(stored)
        return Reply(200, msgspec.json.encode(_logged(stored, overridden_by, now_s=replica.now_s())))

    one = "/v1/decisions/{decisionId}"
    return [
        Operation(
            method="POST",
            path="/v1/decisions",
            name="decide",
            scope="decide",
            summary="Decide the next best action for a customer. The same id again gives the same answer.",
            handler=decide,
            takes=(DecisionRequest,),
            limit_bytes=4 * MIB,
            replies={201: (DecisionAnswer,), 200: (DecisionAnswer,)},
            refuses=(problems.CONFLICT, *problems.OF_STORE),
            example={"decisionId": "web-7c1f", "customerId": "4711", "channel": "web", "facts": {}},
            examples=examples.ASKED,
            shows=examples.DECIDED,
        ),
        Operation(
            method="POST",
            path="/v1/decisions/batch",
            name="decideBatch",
            scope="decide",
            summary=(
                "Decide for up to 1,000 customers; each item is answered as it would be alone. "
                "201 if all are new, 200 if some were known, 207 if some were refused."
            ),
            handler=decide_page,
            takes=(list[DecisionRequest],),
            media_types=(JSON, NDJSON),
            limit_bytes=16 * MIB,
            replies={201: (DecisionPage,), 200: (DecisionPage,), 207: (DecisionPage,)},
            refuses=problems.OF_STORE,
            example=[{"decisionId": "mail-1", "customerId": "4711", "channel": "email"}],
            shows={"results": [{"decisionId": "web-7c1f", "status": 201, "decision": examples.DECIDED}]},
        ),
        Operation(
            method="POST",
            path=f"{one}/activate",
            name="activateDecision",
            scope="decide",
            summary="Let a deferred decision count: it was shown. Again changes nothing.",
            handler=activate,
            replies={200: (LoggedDecision,)},
            shows=examples.LOGGED,
            refuses=(problems.UNKNOWN_ID, problems.REFUSED, *problems.OF_STORE),
        ),
        Operation(
            method="GET",
            path=f"{one}/explanation",
            name="explainDecision",
            scope="read",
            summary="Why it came out as it did: words for an employee, exact numbers for machines. Changes nothing.",
            handler=explain,
            replies={200: (ExplanationAnswer,)},
            refuses=(problems.UNKNOWN_ID, problems.REFUSED, *problems.OF_STORE),
            query={"lang": LANGUAGES},
            shows=examples.EXPLAINED,
        ),
        Operation(
            method="POST",
            path=f"{one}/override",
            name="overrideDecision",
            scope="decide",
            summary="Keep an employee's other choice among the eligible actions. Rules cannot be overridden.",
            handler=override,
            takes=(OverrideRequest,),
            replies={201: (OverrideAnswer,), 200: (OverrideAnswer,)},
            refuses=(problems.UNKNOWN_ID, problems.REFUSED, problems.CONFLICT, *problems.OF_STORE),
            example={"arm": "network_status", "reason": "The customer asked about the network.", "employeeId": "e-7"},
            shows=examples.OVERRIDDEN,
        ),
        Operation(
            method="POST",
            path=f"{one}/pick",
            name="pickFromDecision",
            scope="decide",
            summary="Keep which arm of a ranking somebody took. A pick has no probability and does not teach.",
            handler=pick,
            takes=(PickRequest,),
            replies={201: (PickAnswer,), 200: (PickAnswer,)},
            refuses=(problems.UNKNOWN_ID, problems.REFUSED, problems.CONFLICT, *problems.OF_STORE),
            example={"arm": "network_status"},
            shows=examples.PICKED,
        ),
        Operation(
            method="GET",
            path=one,
            name="getDecision",
            scope="read",
            summary="A decision as the log keeps it, with everything that could have been chosen and its chance.",
            handler=look,
            replies={200: (LoggedDecision,)},
            shows=examples.LOGGED,
            refuses=(problems.UNKNOWN_ID, *problems.OF_STORE),
        ),
    ]


async def _page(replica: Replica, caller: Caller, items: Sequence[DecisionRequest | Exception]) -> list[Answered]:
    """What became of each item, as it would be alone."""
    refused: list[Exception | None] = [_refusal(caller, item) for item in items]
    asked = [item for item, error in zip(items, refused, strict=True) if error is None]
    answers = iter(await replica.decide_page(cast(list[DecisionRequest], asked)))
    return [next(answers) if error is None else error for error in refused]


def _refusal(caller: Caller, item: DecisionRequest | Exception) -> Exception | None:
    if not isinstance(item, DecisionRequest):
        return item
    if caller.limited:
        try:
            caller.require_channel(item.channel)
        except Refused as error:
            return error
    return None


def _logged(record: DecisionRecord, overridden_by: OverrideAnswer | None, *, now_s: float) -> LoggedDecision:
    stored = logged(record)
    action, treatment = arm_apart(stored.arm, brought=stored.inline_actions is not None)
    return LoggedDecision(
        decision_id=stored.id,
        channel=stored.channel,
        kind=stored.kind,
        state=state_of(record.activate_by, record.activated_at, now_s=now_s),
        action=action,
        treatment=treatment,
        arm=stored.arm,
        probability=stored.propensity,
        choices=[
            Choice(arm=arm, probability=p, expected_reward=q)
            for arm, p, q in zip(stored.arms, stored.probabilities, stored.expected_rewards, strict=True)
        ],
        removed=[Removed(arm=arm, stage=stage, reason=reason) for arm, (stage, reason) in stored.removed.items()],
        decided_at=moment(record.decided_at),
        valid_until=moment(record.valid_until),
        matures_at=moment(record.matures_at),
        activate_by=None if record.activate_by is None else moment(record.activate_by),
        activated_at=None if record.activated_at is None else moment(record.activated_at),
        model_version=stored.versions.model,
        policy_version=stored.versions.policy,
        catalogue_version=stored.versions.catalogue,
        feature_version=stored.versions.features,
        reward_version=stored.versions.reward,
        salt_id=stored.versions.salt,
        overridden_by=overridden_by,
        slate=_slate(record, stored.slate),
    )


def _slate(record: DecisionRecord, slate: slate_log.LoggedSlate | None) -> LoggedSlate | None:
    if slate is None:
        return None
    return LoggedSlate(
        kind="ranking" if slate.kind == "ranking" else "slots",
        probability=slate.propensity,
        places=[
            LoggedPlace(
                id=place.id,
                arm=place.arm,
                probability=place.propensity,
                choices=[
                    Choice(arm=arm, probability=p, expected_reward=q)
                    for arm, p, q in zip(slate.arms, place.probabilities, slate.expected_rewards, strict=True)
                    if p > 0.0
                ],
                capped=list(place.capped),
            )
            for place in slate.slots
        ],
        picked=record.picked,
        picked_at=None if record.picked_at is None else moment(record.picked_at),
    )
