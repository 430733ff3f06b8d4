"""The calls of the API as data: what is sent, and how the answer is read. Both clients send them."""

import datetime
import re
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Generic, Literal, TypeVar
from urllib.parse import quote

import msgspec

from bandit_nba.client.failure import ServiceError
from bandit_nba.online.explaining import ExplanationAnswer
from bandit_nba.online.messages import (
    CustomerEvent,
    CustomerProfile,
    DecisionAnswer,
    DecisionRequest,
    EventAnswer,
    Outcome,
    OverrideAnswer,
    OverrideRequest,
    PickAnswer,
    PickRequest,
    TriggeredDecision,
)

T = TypeVar("T")
Facts = Mapping[str, float | bool | str | list[str] | None]


@dataclass(frozen=True)
class Call(Generic[T]):
    """One request, and the type of its answer."""

    method: str
    path: str
    answer: type[T]
    body: bytes = b""

    def read(self, status: int, body: bytes) -> T:
        """The answer. What a newer service says beyond what is known here is left out.

        Raises
        ------
        ServiceError
            If the service refused.
        """
        data = _decoded(body)
        if status not in (200, 201, 207):
            raise ServiceError(status, data if isinstance(data, Mapping) else {"detail": f"HTTP {status}"})
        return _known(data, self.answer)


class BatchResult(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """What became of one item of a page: its decision, or the problem."""

    status: int
    decision_id: str | None = None
    decision: DecisionAnswer | None = None
    problem: dict[str, Any] | None = None


class _BatchPage(msgspec.Struct, frozen=True):
    results: list[BatchResult]


class OutcomeResult(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """What became of one outcome: "created", "duplicate", "conflict" or "invalid"."""

    outcome_id: str
    fate: str
    problem: dict[str, Any] | None = None


class _OutcomePage(msgspec.Struct, frozen=True):
    results: list[OutcomeResult]


def decision_request(
    channel: str, *, customer_id: str | None, facts: Facts | None, decision_id: str | None, **more: Any
) -> DecisionRequest:
    """A request that has an id, so that it may be sent again."""
    named = decision_id or uuid.uuid4().hex
    return DecisionRequest(channel=channel, customer_id=customer_id, facts=dict(facts or {}), decision_id=named, **more)


def decide(request: DecisionRequest) -> Call[DecisionAnswer]:
    """`POST /v1/decisions`."""
    return Call("POST", "/v1/decisions", DecisionAnswer, _sent(request))


def decide_batch(requests: Sequence[DecisionRequest]) -> Call[_BatchPage]:
    """`POST /v1/decisions/batch`; requests without an id get one."""
    named = [r if r.decision_id else msgspec.structs.replace(r, decision_id=uuid.uuid4().hex) for r in requests]
    return Call("POST", "/v1/decisions/batch", _BatchPage, msgspec.json.encode([_plain(r) for r in named]))


def activate(decision: str) -> Call[dict[str, Any]]:
    """`POST /v1/decisions/{decisionId}/activate`."""
    return Call("POST", f"{_of(decision)}/activate", dict)


def decision(decision: str) -> Call[dict[str, Any]]:
    """`GET /v1/decisions/{decisionId}`."""
    return Call("GET", _of(decision), dict)


def explanation(decision: str, language: str) -> Call[ExplanationAnswer]:
    """`GET /v1/decisions/{decisionId}/explanation`."""
    return Call("GET", f"{_of(decision)}/explanation?lang={quote(language, safe='')}", ExplanationAnswer)


def override(decision: str, *, arm: str, reason: str, employee_id: str) -> Call[OverrideAnswer]:
    """`POST /v1/decisions/{decisionId}/override`."""
    said = OverrideRequest(arm=arm, reason=reason, employee_id=employee_id)
    return Call("POST", f"{_of(decision)}/override", OverrideAnswer, msgspec.json.encode(said))


def pick(decision: str, arm: str | None) -> Call[PickAnswer]:
    """`POST /v1/decisions/{decisionId}/pick`."""
    return Call("POST", f"{_of(decision)}/pick", PickAnswer, msgspec.json.encode(PickRequest(arm=arm)))


def outcome(
    kind: str,
    *,
    outcome_id: str | None,
    decision_id: str | None,
    customer_id: str | None,
    amount: float | None,
    occurred_at: datetime.datetime | None,
    slot: str | None,
) -> Outcome:
    """An outcome that has an id, so that it may be sent again."""
    return Outcome(
        outcome_id=outcome_id or uuid.uuid4().hex,
        type=kind,
        decision_id=decision_id,
        customer_id=customer_id,
        amount=amount,
        occurred_at=occurred_at,
        slot=slot,
    )


def tell(said: Outcome) -> Call[OutcomeResult]:
    """`POST /v1/outcomes` with one outcome."""
    return Call("POST", "/v1/outcomes", OutcomeResult, _sent(said))


def tell_batch(said: Sequence[Outcome]) -> Call[_OutcomePage]:
    """`POST /v1/outcomes` with up to 1,000."""
    return Call("POST", "/v1/outcomes", _OutcomePage, msgspec.json.encode([_plain(o) for o in said]))


def put_customers(profiles: Mapping[str, Facts]) -> Call[dict[str, Any]]:
    """`PUT /v1/customers`, up to 1,000."""
    page = [CustomerProfile(customer_id=customer, facts=dict(facts)) for customer, facts in profiles.items()]
    return Call("PUT", "/v1/customers", dict, msgspec.json.encode(page))


def customer(name: str) -> Call[dict[str, Any]]:
    """`GET /v1/customers/{customerId}`."""
    return Call("GET", f"/v1/customers/{_segment(name)}", dict)


def customer_decisions(name: str, *, limit: int, cursor: str) -> Call[dict[str, Any]]:
    """`GET /v1/customers/{customerId}/decisions`."""
    return Call("GET", f"/v1/customers/{_segment(name)}/decisions{_page(limit, cursor)}", dict)


def event(said: CustomerEvent) -> Call[EventAnswer]:
    """`POST /v1/events`."""
    return Call("POST", "/v1/events", EventAnswer, _sent(said))


def event_of(
    kind: str,
    *,
    customer_id: str,
    facts: Facts | None,
    occurred_at: datetime.datetime | None,
    event_id: str | None,
    decide: TriggeredDecision | None,
) -> CustomerEvent:
    """An event that has an id, so that it may be sent again."""
    return CustomerEvent(
        event_id=event_id or uuid.uuid4().hex,
        customer_id=customer_id,
        type=kind,
        facts=dict(facts or {}),
        occurred_at=occurred_at,
        decide=decide,
    )


def catalogue() -> Call[dict[str, Any]]:
    """`GET /v1/catalogue`."""
    return Call("GET", "/v1/catalogue", dict)


def action(name: str) -> Call[dict[str, Any]]:
    """`GET /v1/catalogue/actions/{actionId}`."""
    return Call("GET", f"/v1/catalogue/actions/{_segment(name)}", dict)


def models(*, limit: int, cursor: str) -> Call[dict[str, Any]]:
    """`GET /v1/models`."""
    return Call("GET", f"/v1/models{_page(limit, cursor)}", dict)


def model(version: str) -> Call[dict[str, Any]]:
    """`GET /v1/models/{version}`."""
    return Call("GET", f"/v1/models/{_segment(version)}", dict)


def change_model(version: str, what: Literal["publish", "rollback"], *, why: str) -> Call[dict[str, Any]]:
    """`POST /v1/models/{version}/publish` or `/rollback`; sent again with a version it changes nothing more."""
    return Call("POST", f"/v1/models/{_segment(version)}/{what}", dict, msgspec.json.encode({"why": why}))


def status() -> Call[dict[str, Any]]:
    """`GET /v1/status`."""
    return Call("GET", "/v1/status", dict)


def _of(decision: str) -> str:
    return f"/v1/decisions/{_segment(decision)}"


def _segment(name: str) -> str:
    return quote(name, safe="").replace(".", "%2E")  # or ".." would name another address


def _page(limit: int, cursor: str) -> str:
    return f"?limit={limit}" + (f"&cursor={quote(cursor, safe='')}" if cursor else "")


def _sent(message: msgspec.Struct) -> bytes:
    return msgspec.json.encode(_plain(message))


def _plain(message: msgspec.Struct) -> dict[str, Any]:
    """What was said, and not what was left out."""
    data: dict[str, Any] = msgspec.to_builtins(message)
    return {name: value for name, value in data.items() if value not in (None, [], {}) and value is not False}


def _decoded(body: bytes) -> Any:
    try:
        return msgspec.json.decode(body) if body else {}
    except msgspec.DecodeError:
        return {}


def _known(data: Any, wanted: type[T]) -> T:
    """`data` as the wanted type, without fields that it does not have."""
    while True:
        try:
            return msgspec.convert(data, wanted)
        except msgspec.ValidationError as error:
            if not _dropped(data, str(error)):
                raise


def _dropped(data: Any, said: str) -> bool:
    """Remove the unknown field that msgspec names: "Object contains unknown field `x` - at `$.a[0]`"."""
    named = _UNKNOWN.search(said)
    if named is None:
        return False
    at = [data]
    for name, index in _STEP.findall(named["at"] or ""):
        at = [child for found in at for child in _children(found, name, index)]
    removed = [found.pop(named["name"], _ABSENT) is not _ABSENT for found in at]
    return any(removed)


def _children(found: Any, name: str, index: str) -> list[Any]:
    if name:
        return [found[name]]
    if index == "...":
        return list(found.values()) if isinstance(found, dict) else list(found)
    return [found[int(index)]]


_UNKNOWN = re.compile(r"unknown field `(?P<name>[^`]*)`(?: - at `\$(?P<at>[^`]*)`)?")
_STEP = re.compile(r"\.([A-Za-z_]\w*)|\[(\d+|\.\.\.)\]")
_ABSENT = object()
