"""The client: one connection pool, patient, safe to share between threads."""

import datetime
import random
import time
from collections.abc import Iterable, Mapping
from types import TracebackType
from typing import Any, Self, TypeVar

import httpx2

from bandit_nba.client import calls
from bandit_nba.client.calls import BatchResult, Call, Facts, OutcomeResult
from bandit_nba.client.failure import UnreachableError
from bandit_nba.client.patience import AGAIN, Patience, pause_s
from bandit_nba.online.explaining import ExplanationAnswer
from bandit_nba.online.messages import (
    DecisionAnswer,
    DecisionRequest,
    EventAnswer,
    Outcome,
    OverrideAnswer,
    PickAnswer,
    TriggeredDecision,
)

T = TypeVar("T")


class Client:
    """Calls the service at `url`.

    key: "nba_...", where the service asks for one. rng: where pauses are drawn from. transport: httpx2's, for tests and
    for proxies of one's own.
    """

    def __init__(
        self,
        url: str,
        *,
        key: str = "",
        patience: Patience = Patience(),  # noqa: B008 (frozen)
        rng: random.Random | None = None,
        transport: httpx2.BaseTransport | None = None,
    ) -> None:
        headers = {"Content-Type": "application/json"} | ({"Authorization": f"Bearer {key}"} if key else {})
        self._http = httpx2.Client(
            base_url=url, headers=headers, timeout=patience.timeout_s, transport=transport, trust_env=False
        )
        self._patience = patience
        self._rng = rng or random.Random()

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def __enter__(self) -> Self:
        """Itself."""
        return self

    def __exit__(
        self, _kind: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        """Close the connections."""
        self.close()

    def decide(
        self,
        channel: str,
        *,
        customer_id: str | None = None,
        facts: Facts | None = None,
        decision_id: str | None = None,
        **more: Any,
    ) -> DecisionAnswer:
        """The next best action. more: any other field of `DecisionRequest`, such as `top_k`, `slots` or `actions`.

        Raises
        ------
        ServiceError
            If the service refuses; `UnreachableError` if no answer came in time.
        """
        request = calls.decision_request(channel, customer_id=customer_id, facts=facts, decision_id=decision_id, **more)
        return self._send(calls.decide(request))

    def decide_batch(self, requests: Iterable[DecisionRequest]) -> list[BatchResult]:
        """Up to 1,000 decisions, each answered as it would be alone."""
        return (self._send(calls.decide_batch(list(requests)))).results

    def activate(self, decision_id: str) -> dict[str, Any]:
        """Let a deferred decision count: it was shown. The decision as it is logged."""
        return self._send(calls.activate(decision_id))

    def decision(self, decision_id: str) -> dict[str, Any]:
        """A decision as the log keeps it."""
        return self._send(calls.decision(decision_id))

    def explain(self, decision_id: str, *, language: str = "en") -> ExplanationAnswer:
        """Why it came out as it did."""
        return self._send(calls.explanation(decision_id, language))

    def override(self, decision_id: str, *, arm: str, reason: str, employee_id: str) -> OverrideAnswer:
        """Record what an employee did instead."""
        return self._send(calls.override(decision_id, arm=arm, reason=reason, employee_id=employee_id))

    def pick(self, decision_id: str, arm: str | None) -> PickAnswer:
        """Record which arm of a ranking somebody took, None for none of them."""
        return self._send(calls.pick(decision_id, arm))

    def tell(
        self,
        kind: str,
        *,
        decision_id: str | None = None,
        customer_id: str | None = None,
        amount: float | None = None,
        occurred_at: datetime.datetime | None = None,
        slot: str | None = None,
        outcome_id: str | None = None,
    ) -> OutcomeResult:
        """Tell what a customer did. Give an `outcome_id` where the same outcome may be told by more than one call."""
        said = calls.outcome(
            kind,
            outcome_id=outcome_id,
            decision_id=decision_id,
            customer_id=customer_id,
            amount=amount,
            occurred_at=occurred_at,
            slot=slot,
        )
        return self._send(calls.tell(said))

    def tell_batch(self, outcomes: Iterable[Outcome]) -> list[OutcomeResult]:
        """Tell up to 1,000 outcomes."""
        return (self._send(calls.tell_batch(list(outcomes)))).results

    def put_customers(self, profiles: Mapping[str, Facts]) -> dict[str, Any]:
        """Keep up to 1,000 profiles, by customer."""
        return self._send(calls.put_customers(profiles))

    def customer(self, customer_id: str) -> dict[str, Any]:
        """A customer's profile as it is stored."""
        return self._send(calls.customer(customer_id))

    def customer_decisions(self, customer_id: str, *, limit: int = 50, cursor: str = "") -> dict[str, Any]:
        """What was decided for a customer, newest first; give `nextCursor` as `cursor` for the next page."""
        return self._send(calls.customer_decisions(customer_id, limit=limit, cursor=cursor))

    def tell_event(
        self,
        kind: str,
        *,
        customer_id: str,
        facts: Facts | None = None,
        occurred_at: datetime.datetime | None = None,
        event_id: str | None = None,
        decide: TriggeredDecision | None = None,
    ) -> EventAnswer:
        """Tell that something happened to a customer: facts change, and `decide` is answered with a decision."""
        said = calls.event_of(
            kind, customer_id=customer_id, facts=facts, occurred_at=occurred_at, event_id=event_id, decide=decide
        )
        return self._send(calls.event(said))

    def catalogue(self) -> dict[str, Any]:
        """The catalogue in force."""
        return self._send(calls.catalogue())

    def action(self, action_id: str) -> dict[str, Any]:
        """One action of it."""
        return self._send(calls.action(action_id))

    def models(self, *, limit: int = 50, cursor: str = "") -> dict[str, Any]:
        """Published models, newest first; give `nextCursor` as `cursor` for the next page."""
        return self._send(calls.models(limit=limit, cursor=cursor))

    def model(self, version: str) -> dict[str, Any]:
        """One model with everything that is known of it."""
        return self._send(calls.model(version))

    def publish_model(self, version: str, *, why: str = "") -> dict[str, Any]:
        """Let a model serve until the next change; "newest" lets the learner's newest serve again."""
        return self._send(calls.change_model(version, "publish", why=why))

    def roll_back_model(self, version: str, *, why: str = "") -> dict[str, Any]:
        """Go back to this earlier model until the next change."""
        return self._send(calls.change_model(version, "rollback", why=why))

    def status(self) -> dict[str, Any]:
        """Whether it is learning, in words, and the numbers behind it."""
        return self._send(calls.status())

    def _send(self, call: Call[T]) -> T:
        """Make the call until it is answered, refused for good, or patience ends."""
        give_up = time.monotonic() + self._patience.within_s
        pauses, tries, why = self._patience.pauses(self._rng), 0, ""
        while True:
            tries += 1
            retry_after = None
            try:
                answer = self._http.request(call.method, call.path, content=call.body or None)
                if answer.status_code not in AGAIN:
                    return call.read(answer.status_code, answer.content)
                why, retry_after = f"HTTP {answer.status_code}", answer.headers.get("retry-after")
            except httpx2.TransportError as error:
                answer, why = None, type(error).__name__
            drawn = next(pauses, None)
            pause = None if drawn is None else pause_s(drawn, retry_after)
            if pause is None or time.monotonic() + pause > give_up:
                if answer is not None:
                    return call.read(answer.status_code, answer.content)  # raises what the service said last
                raise UnreachableError(why, tries=tries)
            time.sleep(pause)
