"""The answer to a page of decisions, put together from the bytes that are stored."""

from collections.abc import Sequence

import msgspec

from bandit_nba.online.answering import Answer
from bandit_nba.online.messages import DecisionRequest
from bandit_nba.online.under_way import Answered
from serve.endpoint import Reply, problem_of
from serve.wire import DecisionResult

_ENCODER = msgspec.json.Encoder()


def status_of(answer: Answer) -> int:
    """201 for a decision that was made and kept now, 200 for one that was known, or that nothing keeps."""
    return 201 if answer.durable and not answer.replayed else 200


def page_reply(items: Sequence[DecisionRequest | Exception], answers: Sequence[Answered]) -> Reply:
    """`DecisionPage`: what became of each item, in their order."""
    parts: list[bytes] = []
    statuses: set[int] = set()
    for item, answer in zip(items, answers, strict=True):
        decision = item.decision_id if isinstance(item, DecisionRequest) else None
        if isinstance(answer, Answer):
            status = status_of(answer)
            name = b"null" if decision is None else _ENCODER.encode(decision)
            parts.append(b'{"decisionId":%b,"status":%d,"decision":%b}' % (name, status, answer.body))
        else:
            problem = problem_of(answer)
            status = problem.status
            parts.append(_ENCODER.encode(DecisionResult(decision_id=decision, status=status, problem=problem)))
        statuses.add(status)
    return Reply(_page_status(statuses), b'{"results":[%b]}' % b",".join(parts))


def _page_status(found: set[int]) -> int:
    if found == {201}:
        return 201
    return 200 if found <= {200, 201} else 207
