"""Customers: import their profiles, look at one, and at what was decided for it."""

import datetime
from typing import Annotated

import msgspec
from msgspec import Meta

from bandit_nba.customers.pseudonym import pseudonym
from bandit_nba.errors import InputError, UnknownIdError
from bandit_nba.online.answering import moment
from bandit_nba.online.messages import CustomerProfile, DecisionKind, FactValue, Id, Message
from bandit_nba.online.replica import Replica
from bandit_nba.store import customers as customer_store
from bandit_nba.store.log import decisions as decision_store
from serve import problem as problems
from serve.cursor import PAGING, cursor, cut, limit_of, position
from serve.endpoint import JSON, MIB, NDJSON, Call, Operation, Reply
from serve.examples import BRIEF
from serve.page import PageReader
from serve.wire import CustomerPage, CustomerResult, State, arm_apart, state_of

_PAGE = PageReader(CustomerProfile)


class ProfileAnswer(Message, frozen=True, kw_only=True):
    """A profile as it is stored; what was left out of it is unknown."""

    facts: dict[str, FactValue]
    updated_at: datetime.datetime


class DecisionBrief(Message, frozen=True, kw_only=True):
    """A decision in few words; `GET /v1/decisions/{decisionId}` tells the rest."""

    decision_id: str
    channel: str
    kind: DecisionKind
    state: State
    action: str
    treatment: str | None
    arm: str
    probability: float | None
    decided_at: datetime.datetime
    valid_until: datetime.datetime
    model_version: str
    policy_version: str
    catalogue_version: str


class DecisionList(Message, frozen=True, kw_only=True):
    """Decisions, newest first."""

    items: list[DecisionBrief]
    next_cursor: Annotated[
        str | None, Meta(description="Give it as `cursor` for the next page; null: this is the last.")
    ]


class _Place(msgspec.Struct, frozen=True, array_like=True):
    """The last decision of a page: when it was made, in seconds since the epoch, and its id."""

    at: float
    id: Id


def operations(replica: Replica) -> list[Operation]:
    """The operations on customers."""

    async def put(call: Call) -> Reply:
        call.caller.require_all_channels()
        errors: dict[int, Exception] = {}
        sound: dict[int, CustomerProfile] = {}
        for i, item in enumerate(_PAGE.read(call)):
            if isinstance(item, CustomerProfile):
                sound[i] = item
            else:
                errors[i] = item
        if sound:
            found = await replica.put_profiles(list(sound.values()))
            errors |= {i: error for i, error in zip(sound, found, strict=True) if error is not None}
        refused = [CustomerResult(index=i, problem=problems.problem_of(errors[i])) for i in sorted(errors)]
        page = CustomerPage(kept=sum(i not in errors for i in sound), refused=refused)
        return Reply(207 if refused else 200, msgspec.json.encode(page))

    def key_of(call: Call) -> str:
        try:
            return pseudonym(replica.workspace.pseudonym_key, call.params["customerId"])
        except InputError:
            raise _unknown() from None

    async def look(call: Call) -> Reply:
        call.caller.require_all_channels()
        profile = await replica.aside(_profile, replica, key_of(call))
        if profile is None:
            raise _unknown()
        answer = ProfileAnswer(facts=_plain(profile), updated_at=moment(profile.updated_at))
        return Reply(200, msgspec.json.encode(answer))

    async def decisions(call: Call) -> Reply:
        channels = call.caller.grant.channels if call.caller.grant is not None else frozenset[str]()
        after, limit, customer = position(call, _Place), limit_of(call), key_of(call)
        before = None if after is None else (after.at, after.id)
        found = await replica.aside(_decisions, replica, customer, channels, before, limit + 1)
        rows, more = cut(found, limit)
        # Whether a customer is known elsewhere is not told to a key that is for some channels only.
        if not (rows or before) and (call.caller.limited or await replica.aside(_profile, replica, customer) is None):
            raise _unknown()
        page = DecisionList(
            items=[_brief(row, now_s=replica.now_s()) for row in rows],
            next_cursor=cursor(_Place(rows[-1].decided_at, rows[-1].id)) if more else None,
        )
        return Reply(200, msgspec.json.encode(page))

    return [
        Operation(
            method="GET",
            path="/v1/customers/{customerId}",
            name="getCustomer",
            scope="customers",
            summary="A customer's profile as it is stored.",
            handler=look,
            replies={200: (ProfileAnswer,)},
            refuses=problems.OF_STORE,
            shows={"facts": {"internet": "dsl", "tenure_months": 14.0}, "updatedAt": "2026-05-04T09:30:00Z"},
        ),
        Operation(
            method="GET",
            path="/v1/customers/{customerId}/decisions",
            name="listCustomerDecisions",
            scope="read",
            summary="What was decided for a customer, newest first, a page at a time; of the key's own channels only.",
            handler=decisions,
            replies={200: (DecisionList,)},
            refuses=problems.OF_STORE,
            query=PAGING,
            shows={"items": [BRIEF], "nextCursor": None},
        ),
        Operation(
            method="PUT",
            path="/v1/customers",
            name="putCustomers",
            scope="customers",
            summary="Keep up to 1,000 profiles in place of the ones before; 207 if some were refused.",
            handler=put,
            takes=(list[CustomerProfile],),
            media_types=(JSON, NDJSON),
            limit_bytes=16 * MIB,
            replies={200: (CustomerPage,), 207: (CustomerPage,)},
            refuses=problems.OF_STORE,
            example=[{"customerId": "4711", "facts": {}}],
            shows={"kept": 1, "refused": []},
        ),
    ]


def _profile(replica: Replica, customer: str) -> customer_store.StoredProfile | None:
    with replica.database.read() as connection:
        return customer_store.get(connection, customer)


def _plain(profile: customer_store.StoredProfile) -> dict[str, FactValue]:
    return {name: list(value) if isinstance(value, tuple) else value for name, value in profile.facts.items()}


def _decisions(
    replica: Replica, customer: str, channels: frozenset[str], before: tuple[float, str] | None, limit: int
) -> list[decision_store.Brief]:
    with replica.database.read() as connection:
        return decision_store.of_customer(connection, customer, limit=limit, channels=channels, before=before)


def _brief(row: decision_store.Brief, *, now_s: float) -> DecisionBrief:
    action, treatment = arm_apart(row.arm, brought=row.brought)
    return DecisionBrief(
        decision_id=row.id,
        channel=row.channel,
        kind=row.kind,
        state=state_of(row.activate_by, row.activated_at, now_s=now_s),
        action=action,
        treatment=treatment,
        arm=row.arm,
        probability=row.propensity,
        decided_at=moment(row.decided_at),
        valid_until=moment(row.valid_until),
        model_version=row.model_version,
        policy_version=row.policy_version,
        catalogue_version=row.catalogue_version,
    )


def _unknown() -> UnknownIdError:
    return UnknownIdError("no such customer", where="customerId")
