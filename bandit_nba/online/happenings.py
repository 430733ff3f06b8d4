"""Events about customers: each changes the profile once, whatever is sent again, and may ask for a decision.

Facts change in the order in which events occurred: one that comes late leaves alone what is newer. The event and the
change are one transaction; the decision comes after it, under an id of its own that follows from the event's: where the
answer was lost, the event sent again changes nothing and is given the decision that was made, or the one that could not
be made before.
"""

import hashlib
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import msgspec

from bandit_nba.catalogue.facts import FactValue, checked
from bandit_nba.customers.pseudonym import pseudonym
from bandit_nba.errors import IdConflictError, InputError
from bandit_nba.online.catalogue_feed import CatalogueFeed
from bandit_nba.online.collector import occurred_at_s
from bandit_nba.online.messages import CustomerEvent, DecisionRequest
from bandit_nba.store import customer_events
from bandit_nba.store import customers as customer_store
from bandit_nba.store.database import Database
from bandit_nba.store.learner.learning import stamp

_CANONICAL = msgspec.json.Encoder(order="sorted")
_LONGEST = 256


@dataclass(frozen=True)
class Taken:
    """Whether an event was new, and which of its facts were left alone as something newer is known of them."""

    new: bool
    outdated: Sequence[str] = ()


class Happenings:
    """Takes events for one workspace; safe to share between threads. key: of pseudonyms."""

    def __init__(
        self, key: bytes, database: Database, catalogues: CatalogueFeed, *, clock: Callable[[], float] = time.time
    ) -> None:
        self._key = key
        self._database = database
        self._catalogues = catalogues
        self._clock = clock

    def take(self, event: CustomerEvent) -> Taken:
        """Change the profile, which is made where there is none.

        Raises
        ------
        InputError
            If a fact is not declared or of another kind, or it cannot have happened then.
        IdConflictError
            If the id is known with another payload.
        StoreError
            If nothing could be stored.
        """
        customer = pseudonym(self._key, event.customer_id)
        occurred_at = occurred_at_s(event.occurred_at, now_s=self._clock())
        facts = self._facts(event)
        decide = None if event.decide is None else msgspec.to_builtins(event.decide)
        payload = _CANONICAL.encode([event.type, customer, facts, occurred_at, decide])
        with self._database.write() as connection:
            now_s = stamp(connection, self._clock)
            receipt = customer_events.put(
                connection,
                event.event_id,
                customer=customer,
                kind=event.type,
                occurred_at=occurred_at,
                payload_sha256=hashlib.sha256(payload).digest(),
                now_s=now_s,
            )
            outdated = (
                customer_store.amend(connection, customer, facts, occurred_at=occurred_at, now_s=now_s)
                if receipt == "created" and facts
                else []
            )
        if receipt == "conflict":
            hint = "a new event needs a new id"
            raise IdConflictError("this id is known with another payload", where="eventId", hint=hint)
        return Taken(receipt == "created", outdated)

    def _facts(self, event: CustomerEvent) -> Mapping[str, FactValue | None]:
        schema = self._catalogues.current().workspace.catalogue.facts
        return {name: checked(name, value, schema, where="facts") for name, value in event.facts.items()}


def request_of(event: CustomerEvent) -> DecisionRequest | None:
    """The decision that an event asks for; the same for the same event.

    Raises
    ------
    InputError
        If the event's id is too long to name the decision as well.
    """
    wanted = event.decide
    if wanted is None:
        return None
    decision = wanted.decision_id or f"event:{event.event_id}"
    if len(decision) > _LONGEST:
        raise InputError(
            "is too long to name the decision, too",
            where="eventId",
            got=len(event.event_id),
            allowed=f"at most {_LONGEST - len('event:')} characters",
            hint="give decide.decisionId",
        )
    return DecisionRequest(
        channel=wanted.channel,
        decision_id=decision,
        customer_id=event.customer_id,
        facts=wanted.facts,
        defer_activation=wanted.defer_activation,
        top_k=wanted.top_k,
        excluded_arms=wanted.excluded_arms,
    )
