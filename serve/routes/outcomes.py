"""Outcomes: one, or a page of them, each kept once."""

from collections.abc import Sequence

import msgspec

from bandit_nba.online.collector import Collected
from bandit_nba.online.messages import Outcome
from bandit_nba.online.replica import Replica
from serve import problem as problems
from serve.endpoint import MIB, Call, Operation, Reply
from serve.page import PageReader
from serve.wire import OutcomePage, OutcomeResult

_ONE = msgspec.json.Decoder(Outcome)
_PAGE = PageReader(Outcome)
_NO_ID = ""


def operations(replica: Replica) -> list[Operation]:
    """The operations on outcomes."""

    async def collect(call: Call) -> Reply:
        if call.body.lstrip()[:1] == b"[":
            return await _collect_page(replica, call)
        (collected,) = await replica.collect([_ONE.decode(call.body)])
        if collected.error is not None:
            raise collected.error
        result = OutcomeResult(outcome_id=collected.outcome_id, fate=collected.fate)
        return Reply(201 if collected.fate == "created" else 200, msgspec.json.encode(result))

    return [
        Operation(
            method="POST",
            path="/v1/outcomes",
            name="collectOutcomes",
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
        )
    ]


async def _collect_page(replica: Replica, call: Call) -> Reply:
    items = _PAGE.read(call)
    sound = [item for item in items if isinstance(item, Outcome)]
    collected = iter(await replica.collect(sound) if sound else [])
    results = [_result(next(collected)) if isinstance(item, Outcome) else _invalid(item) for item in items]
    return Reply(_page_status(results), msgspec.json.encode(OutcomePage(results=results)))


def _result(collected: Collected) -> OutcomeResult:
    problem = None if collected.error is None else problems.problem_of(collected.error)
    return OutcomeResult(outcome_id=collected.outcome_id, fate=collected.fate, problem=problem)


def _invalid(error: Exception) -> OutcomeResult:
    return OutcomeResult(outcome_id=_NO_ID, fate="invalid", problem=problems.problem_of(error))


def _page_status(results: Sequence[OutcomeResult]) -> int:
    fates = {result.fate for result in results}
    if fates & {"conflict", "invalid"}:
        return 207
    return 201 if "created" in fates else 200
