"""Outcomes: one, or a page of them, each kept once."""

from collections.abc import Sequence

import msgspec

from bandit_nba.online.collector import Collected
from bandit_nba.online.messages import Outcome
from bandit_nba.online.replica import Replica
from serve import problem as problems
from serve.doorman import Caller
from serve.endpoint import MIB, Call, Operation, Reply
from serve.page import PageReader
from serve.refusal import refused
from serve.wire import OutcomePage, OutcomeResult

_ONE = msgspec.json.Decoder(Outcome)
_PAGE = PageReader(Outcome)
_NO_ID = ""
_NOT_YOURS = "this key is for other channels' decisions"


def operations(replica: Replica) -> list[Operation]:
    """The operations on outcomes."""

    async def collect(call: Call) -> Reply:
        if call.body.lstrip()[:1] == b"[":
            return await _collect_page(replica, call)
        outcome = _ONE.decode(call.body)
        if any(await _foreign(replica, call.caller, [outcome])):
            raise refused(problems.FORBIDDEN, _NOT_YOURS)
        (collected,) = await replica.collect([outcome])
        if collected.error is not None:
            raise collected.error
        result = OutcomeResult(outcome_id=collected.outcome_id, receipt=collected.receipt)
        return Reply(201 if collected.receipt == "created" else 200, msgspec.json.encode(result))

    return [
        Operation(
            method="POST",
            path="/v1/outcomes",
            name="collectOutcomes",
            scope="outcome",
            summary=(
                "Keep what customers did: one outcome or an array of up to 1,000. An array is answered item by item: "
                "201 if all are kept, 200 if all were known, 207 if some were refused."
            ),
            handler=collect,
            takes=(Outcome, list[Outcome]),
            limit_bytes=16 * MIB,
            replies={201: (OutcomeResult, OutcomePage), 200: (OutcomeResult, OutcomePage), 207: (OutcomePage,)},
            refuses=(problems.CONFLICT, *problems.OF_STORE),
            example=[{"outcomeId": "o-1", "decisionId": "web-7c1f", "type": "accept"}],
            shows={"results": [{"outcomeId": "o-1", "receipt": "created"}]},
        )
    ]


async def _collect_page(replica: Replica, call: Call) -> Reply:
    items = _PAGE.read(call)
    read = [item for item in items if isinstance(item, Outcome)]
    foreign = await _foreign(replica, call.caller, read)
    sound = [outcome for outcome, is_foreign in zip(read, foreign, strict=True) if not is_foreign]
    collected = iter(await replica.collect(sound) if sound else [])
    told = (
        _not_yours(o) if is_foreign else _result(next(collected)) for o, is_foreign in zip(read, foreign, strict=True)
    )
    results = [next(told) if isinstance(item, Outcome) else _invalid(item) for item in items]
    return Reply(_page_status(results), msgspec.json.encode(OutcomePage(results=results)))


async def _foreign(replica: Replica, caller: Caller, outcomes: Sequence[Outcome]) -> list[bool]:
    """Which of `outcomes` the caller's key is not for: those of other channels' decisions, and of customers as a whole.

    An outcome may come before its decision; whose it is cannot be known then, and it is kept.
    """
    if not caller.limited:
        return [False] * len(outcomes)
    channels = await replica.channels_of({o.decision_id for o in outcomes if o.decision_id is not None})
    return [
        o.decision_id is None or (o.decision_id in channels and not caller.allows_channel(channels[o.decision_id]))
        for o in outcomes
    ]


def _result(collected: Collected) -> OutcomeResult:
    problem = None if collected.error is None else problems.problem_of(collected.error)
    return OutcomeResult(outcome_id=collected.outcome_id, receipt=collected.receipt, problem=problem)


def _not_yours(outcome: Outcome) -> OutcomeResult:
    problem = problems.problem(problems.FORBIDDEN, _NOT_YOURS)
    return OutcomeResult(outcome_id=outcome.outcome_id, receipt="invalid", problem=problem)


def _invalid(error: Exception) -> OutcomeResult:
    return OutcomeResult(outcome_id=_NO_ID, receipt="invalid", problem=problems.problem_of(error))


def _page_status(results: Sequence[OutcomeResult]) -> int:
    receipts = {result.receipt for result in results}
    if receipts & {"conflict", "invalid"}:
        return 207
    return 201 if "created" in receipts else 200
