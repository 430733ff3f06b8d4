"""The calls of the API as data: what is sent, and how the answer is read.

Each function here is a method of the same name of both clients (see `offered`): its parameters and its answer are the
method's.
"""

import datetime
import functools
import re
import uuid
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Generic, Literal, TypeVar
from urllib.parse import quote

import msgspec

from bandit_nba.client.checked import plain
from bandit_nba.client.failure import ServiceError
from bandit_nba.errors import InputError
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
    """One request, and the type of its answer. within: the field of the answer that holds it, "" for all of it."""

    method: str
    path: str
    answer: type[T]
    body: bytes = b""
    within: str = ""

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
        return _known(data[self.within] if self.within else data, self.answer)


class BatchResult(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """What became of one item of a page: its decision, or the problem."""

    status: int
    decision_id: str | None = None
    decision: DecisionAnswer | None = None
    problem: dict[str, Any] | None = None


class OutcomeResult(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """What became of one outcome: "created", "duplicate", "conflict" or "invalid"."""

    outcome_id: str
    receipt: str
    problem: dict[str, Any] | None = None


def decision_request(
    channel: str, *, customer_id: str | None, facts: Facts | None, decision_id: str | None, **more: Any
) -> DecisionRequest:
    """A request that has an id, so that it may be sent again."""
    named = uuid.uuid4().hex if decision_id is None else decision_id
    return DecisionRequest(channel=channel, customer_id=customer_id, facts=dict(facts or {}), decision_id=named, **more)


def decide(
    channel: str,
    *,
    customer_id: str | None = None,
    facts: Facts | None = None,
    decision_id: str | None = None,
    **more: Any,
) -> Call[DecisionAnswer]:
    """The next best action. more: any other field of `DecisionRequest`, such as `top_k`, `slots` or `actions`.

    Raises
    ------
    ServiceError
        If the service refuses; `UnreachableError` if no answer came in time.
    """
    request = decision_request(channel, customer_id=customer_id, facts=facts, decision_id=decision_id, **more)
    return Call("POST", "/v1/decisions", DecisionAnswer, _sent(request))


def decide_batch(requests: Iterable[DecisionRequest]) -> Call[list[BatchResult]]:
    """Up to 1,000 decisions, each answered as it would be alone; requests without an id get one."""
    named = [
        r if r.decision_id is not None else msgspec.structs.replace(r, decision_id=uuid.uuid4().hex) for r in requests
    ]
    return Call("POST", "/v1/decisions/batch", list[BatchResult], _page_of(named), within="results")


def activate(decision_id: str) -> Call[dict[str, Any]]:
    """Let a deferred decision count: it was shown. The decision as it is logged."""
    return Call("POST", f"{_of(decision_id)}/activate", dict)


def decision(decision_id: str) -> Call[dict[str, Any]]:
    """A decision as the log keeps it."""
    return Call("GET", _of(decision_id), dict)


def explain(decision_id: str, *, language: str = "en") -> Call[ExplanationAnswer]:
    """Why it came out as it did."""
    return Call("GET", f"{_of(decision_id)}/explanation?lang={quote(language, safe='')}", ExplanationAnswer)


def override(decision_id: str, *, arm: str, reason: str, employee_id: str) -> Call[OverrideAnswer]:
    """Record what an employee did instead."""
    said = OverrideRequest(arm=arm, reason=reason, employee_id=employee_id)
    return Call("POST", f"{_of(decision_id)}/override", OverrideAnswer, msgspec.json.encode(said))


def pick(decision_id: str, arm: str | None) -> Call[PickAnswer]:
    """Record which arm of a ranking somebody took, None for none of them."""
    return Call("POST", f"{_of(decision_id)}/pick", PickAnswer, msgspec.json.encode(PickRequest(arm=arm)))


def tell(
    kind: str,
    *,
    decision_id: str | None = None,
    customer_id: str | None = None,
    amount: float | None = None,
    occurred_at: datetime.datetime | None = None,
    slot: str | None = None,
    outcome_id: str | None = None,
) -> Call[OutcomeResult]:
    """Tell what a customer did. Give an `outcome_id` where the same outcome may be told by more than one call."""
    said = Outcome(
        outcome_id=uuid.uuid4().hex if outcome_id is None else outcome_id,
        type=kind,
        decision_id=decision_id,
        customer_id=customer_id,
        amount=amount,
        occurred_at=occurred_at,
        slot=slot,
    )
    return Call("POST", "/v1/outcomes", OutcomeResult, _sent(said))


def tell_batch(outcomes: Iterable[Outcome]) -> Call[list[OutcomeResult]]:
    """Tell up to 1,000 outcomes."""
    return Call("POST", "/v1/outcomes", list[OutcomeResult], _page_of(outcomes), within="results")


def put_customers(profiles: Mapping[str, Facts]) -> Call[dict[str, Any]]:
    """Keep up to 1,000 profiles, by customer."""
    page = [CustomerProfile(customer_id=customer, facts=dict(facts)) for customer, facts in profiles.items()]
    return Call("PUT", "/v1/customers", dict, _page_of(page))


def customer(customer_id: str) -> Call[dict[str, Any]]:
    """A customer's profile as it is stored."""
    return Call("GET", f"/v1/customers/{_segment(customer_id)}", dict)


def customer_decisions(customer_id: str, *, limit: int = 50, cursor: str = "") -> Call[dict[str, Any]]:
    """What was decided for a customer, newest first; give `nextCursor` as `cursor` for the next page."""
    return Call("GET", f"/v1/customers/{_segment(customer_id)}/decisions{_page(limit, cursor)}", dict)


def tell_event(
    kind: str,
    *,
    customer_id: str,
    facts: Facts | None = None,
    occurred_at: datetime.datetime | None = None,
    event_id: str | None = None,
    decide: TriggeredDecision | None = None,
) -> Call[EventAnswer]:
    """Tell that something happened to a customer: facts change, and `decide` is answered with a decision."""
    said = CustomerEvent(
        event_id=uuid.uuid4().hex if event_id is None else event_id,
        customer_id=customer_id,
        type=kind,
        facts=dict(facts or {}),
        occurred_at=occurred_at,
        decide=decide,
    )
    return Call("POST", "/v1/events", EventAnswer, _sent(said))


def catalogue() -> Call[dict[str, Any]]:
    """The catalogue in force."""
    return Call("GET", "/v1/catalogue", dict)


def action(action_id: str) -> Call[dict[str, Any]]:
    """One action of it."""
    return Call("GET", f"/v1/catalogue/actions/{_segment(action_id)}", dict)


def models(*, limit: int = 50, cursor: str = "") -> Call[dict[str, Any]]:
    """Published models, newest first; give `nextCursor` as `cursor` for the next page."""
    return Call("GET", f"/v1/models{_page(limit, cursor)}", dict)


def model(version: str) -> Call[dict[str, Any]]:
    """One model with everything that is known of it."""
    return Call("GET", f"/v1/models/{_segment(version)}", dict)


def publish_model(version: str, *, why: str = "") -> Call[dict[str, Any]]:
    """Let a model serve until the next change; "newest" lets the learner's newest serve again."""
    return _change_of_model(version, "publish", why)


def roll_back_model(version: str, *, why: str = "") -> Call[dict[str, Any]]:
    """Go back to this earlier model until the next change."""
    return _change_of_model(version, "rollback", why)


def status() -> Call[dict[str, Any]]:
    """Whether it is learning, in words, and the numbers behind it."""
    return Call("GET", "/v1/status", dict)


def _change_of_model(version: str, what: Literal["publish", "rollback"], why: str) -> Call[dict[str, Any]]:
    """Sent again with a version, it changes nothing more."""
    return Call("POST", f"/v1/models/{_segment(version)}/{what}", dict, msgspec.json.encode({"why": why}))


def address(url: str) -> str:
    """`url`, if it is one; raises `InputError`: no number of tries would reach it."""
    if not url.startswith(("http://", "https://")):
        raise InputError("is no address of a service", where="url", got=url, allowed='such as "http://127.0.0.1:8080"')
    return url


def headers(key: str) -> dict[str, str]:
    """What every request carries. key: as it stands in a file, with its line's end. Raises `InputError`."""
    key = key.strip()
    if not _KEY.fullmatch(key):
        raise InputError("holds characters that no key has", where="key")
    return {"Content-Type": "application/json"} | ({"Authorization": f"Bearer {key}"} if key else {})


def _of(decision: str) -> str:
    return f"/v1/decisions/{_segment(decision)}"


def _segment(name: str) -> str:
    return quote(name, safe="").replace(".", "%2E")  # or ".." would name another address


def _page(limit: int, cursor: str) -> str:
    return f"?limit={limit}" + (f"&cursor={quote(cursor, safe='')}" if cursor else "")


def _sent(message: msgspec.Struct) -> bytes:
    return msgspec.json.encode(_plain(message))


def _page_of(messages: Iterable[msgspec.Struct]) -> bytes:
    return msgspec.json.encode([_plain(message) for message in messages])


def _plain(message: msgspec.Struct) -> dict[str, Any]:
    """What was said, and not what was left out."""
    default = _defaults(type(message))
    return {name: value for name, value in plain(message).items() if name not in default or value != default[name]}


@functools.cache
def _defaults(kind: type[msgspec.Struct]) -> dict[str, Any]:
    """By its name on the wire, what a field is where nothing was said."""
    fields = [field for field in msgspec.structs.fields(kind) if not field.required]
    made = {f.encode_name: f.default_factory() for f in fields if f.default_factory is not msgspec.NODEFAULT}
    return {f.encode_name: f.default for f in fields if f.default is not msgspec.NODEFAULT} | made


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


_KEY = re.compile(r"[!-~]*")
_UNKNOWN = re.compile(r"unknown field `(?P<name>[^`]*)`(?: - at `\$(?P<at>[^`]*)`)?")
_STEP = re.compile(r"\.([A-Za-z_]\w*)|\[(\d+|\.\.\.)\]")
_ABSENT = object()
