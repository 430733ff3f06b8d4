"""Customers' past contacts, read from the decision log, and the version of each customer's contact state.

Nothing is counted beside the log: what rules count is always what was decided, activated, overridden and answered,
whichever channel or replica did it. A contact is what reached the customer: the arm that was decided, or the human's
where an employee overrode it; of slots shown side by side each; of a ranking what was picked, or, as long as that is
not known, its first place. "No action" is none.

Versions make it safe to read before deciding and to write after it. Whatever adds to the log what contact rules may
count raises the customer's version in the same transaction; a decision is written only if its customer's version is
still the one that was read with the contacts (`lock_versions`). What time alone changes needs no version, since rules
compare with the decision's own time: the end of a window, maturity without an answer, and the end of the time to
activate. An activation cannot come late either: it is stamped inside its transaction, so that one stamped in time was
committed before the time was up, and with it the version that it raised.
"""

from collections import defaultdict
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec
import numpy as np
import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite

from bandit_nba.catalogue.action import NO_ACTION
from bandit_nba.catalogue.contact_rules import IGNORED
from bandit_nba.decide.history import NO_ANSWERS, Contact
from bandit_nba.decide.wanted import WantedKind
from bandit_nba.store.bulk import execute_many, select_in
from bandit_nba.store.tables import contact_versions, decisions, outcomes, overrides

_KEYS: sa.BindParameter[Any] = sa.bindparam("keys", expanding=True)
_SINCE: sa.BindParameter[Any] = sa.bindparam("since", 0.0)
_RECENT = sa.and_(decisions.c.customer.in_(_KEYS), decisions.c.decided_at > _SINCE)
_CONTACTS = (
    sa.select(
        decisions.c.id,
        decisions.c.customer,
        decisions.c.channel,
        decisions.c.decided_at,
        decisions.c.activate_by,
        decisions.c.activated_at,
        decisions.c.matures_at,
        decisions.c.arm,
        decisions.c.slate,
        decisions.c.picked,
        overrides.c.arm.label("override"),
    )
    .outerjoin_from(decisions, overrides, overrides.c.decision == decisions.c.id)
    .where(
        _RECENT,
        # contact rules do not concern actions that came with a request: they neither cap nor count them
        decisions.c.inline_actions.is_(None),
        sa.or_(decisions.c.arm != NO_ACTION, decisions.c.slate.is_not(None), overrides.c.arm.is_not(None)),
    )
)
_ANSWERS = (
    sa.select(outcomes.c.decision, outcomes.c.slot, outcomes.c.type, sa.func.min(outcomes.c.received_at))
    .join_from(decisions, outcomes, outcomes.c.decision == decisions.c.id)
    .where(_RECENT)
    .group_by(outcomes.c.decision, outcomes.c.slot, outcomes.c.type)
)
_UNNAMED = sa.select(outcomes.c.customer, outcomes.c.type, outcomes.c.received_at).where(
    outcomes.c.customer.in_(_KEYS), outcomes.c.received_at > _SINCE, outcomes.c.decision.is_(None)
)
_VERSIONS = sa.select(contact_versions.c.customer, contact_versions.c.version).where(
    contact_versions.c.customer.in_(_KEYS)
)
_OWNERS = sa.select(decisions.c.id, decisions.c.customer).where(decisions.c.id.in_(_KEYS))

Answers = dict[str, float]


@dataclass(frozen=True)
class Needs:
    """What contact rules need of the log.

    lookback_s: how far back. answers: whether they ask for outcomes at all. impressions: types that are no answer.
    each: types that count for each of a customer's decisions that wait when they name no decision.
    """

    lookback_s: float
    answers: bool = False
    impressions: frozenset[str] = frozenset()
    each: frozenset[str] = frozenset()


def contacts(
    connection: sa.Connection, customers: Collection[str], needs: Needs, *, now_s: float
) -> dict[str, list[Contact]]:
    """The contacts of those of `customers` (pseudonymous keys) that have any, as far back as is needed.

    One query; with answers three.
    """
    since = now_s - needs.lookback_s
    rows = select_in(connection, _CONTACTS, customers, since=since)
    answers = _answers(connection, customers, rows, needs, since=since) if needs.answers and rows else {}
    found: dict[str, list[Contact]] = {}
    for decision, customer, channel, at, activate_by, activated_at, _, *shown in rows:
        until = activate_by if activate_by is not None and activated_at is None else np.inf
        for place, action in reached(*shown).items():
            answered = answers.get((decision, place), NO_ANSWERS)
            found.setdefault(customer, []).append(Contact(action, channel, at, until, answered))
    return found


def versions(connection: sa.Connection, customers: Collection[str]) -> dict[str, int]:
    """The version of each customer's contact state; 0 where nothing has been counted yet."""
    found = dict.fromkeys(customers, 0)
    found.update((customer, version) for customer, version in select_in(connection, _VERSIONS, found))
    return found


def lock_versions(connection: sa.Connection, customers: Collection[str]) -> dict[str, int]:
    """The same inside a write transaction; no other can raise them until it has ended."""
    if connection.dialect.name == "postgresql":
        for customer in sorted(customers):  # in one order, so that two never wait for each other
            connection.execute(sa.select(sa.func.pg_advisory_xact_lock(sa.func.hashtextextended(customer, 0))))
    return versions(connection, customers)


def raise_versions(connection: sa.Connection, customers: Collection[str]) -> None:
    """Tell that the contact state of `customers` has changed in this write transaction; "" is nobody."""
    rows = [(customer, 1) for customer in sorted(set(customers)) if customer]
    execute_many(connection, _RAISE[connection.dialect.name], rows)


def raise_versions_of(connection: sa.Connection, ids: Collection[str]) -> None:
    """The same for the customers of decisions: one was activated, overridden or picked from."""
    raise_versions(connection, set(owners(connection, ids).values()))


def owners(connection: sa.Connection, ids: Collection[str]) -> dict[str, str]:
    """The customers of those of `ids` that are known decisions."""
    return dict(select_in(connection, _OWNERS, ids))


def reached(arm: str, slate: bytes | None, picked: str | None, override: str | None) -> dict[str, str]:
    """The actions that reach the customer, by the id of their place; that of the decision itself is "" or the first."""
    if slate is None:  # nearly always
        name = arm if override is None else override
        return {} if name == NO_ACTION else {"": name.partition("/")[0]}
    places = _SLATE.decode(slate)
    first = places.slots[0].id if places.slots else ""
    if override is not None:
        shown = {first: override}
    elif places.kind == "ranking":
        shown = {first: arm if picked is None else picked}
    else:
        shown = {place.id: place.arm or "" for place in places.slots}
    return {place: name.partition("/")[0] for place, name in shown.items() if name not in ("", NO_ACTION)}


class _Place(msgspec.Struct, frozen=True):
    id: str
    arm: str | None


class _Slate(msgspec.Struct, frozen=True):
    kind: WantedKind
    slots: tuple[_Place, ...]


_SLATE = msgspec.json.Decoder(_Slate)


def _answers(
    connection: sa.Connection, customers: Collection[str], rows: Sequence[Any], needs: Needs, *, since: float
) -> dict[tuple[str, str], Answers]:
    """When each type was first received, by decision and place, for all places that reached a customer.

    "ignored": when the decision matures, as long as nothing but impressions came. What names no place is about the
    first.
    """
    named: defaultdict[str, list[tuple[str | None, str, float]]] = defaultdict(list)
    for decision, slot, kind, received_at in select_in(connection, _ANSWERS, customers, since=since):
        named[decision].append((slot, kind, received_at))
    unnamed: defaultdict[str, list[tuple[str, float]]] = defaultdict(list)
    if needs.each:
        for customer, kind, received_at in select_in(connection, _UNNAMED, customers, since=since):
            if kind in needs.each:
                unnamed[customer].append((kind, received_at))
    found = {}
    for decision, customer, _, at, activate_by, activated_at, matures_at, *shown in rows:
        each = [(kind, t) for kind, t in unnamed.get(customer, ()) if at <= t <= matures_at]
        seen = activate_by is None or activated_at is not None
        for number, place in enumerate(reached(*shown)):
            own = {place} if number else {place, None}
            meant = [*((kind, t) for slot, kind, t in named.get(decision, ()) if slot in own), *each]
            found[decision, place] = _first(meant, needs, ignored_at=matures_at if seen else None)
    return found


def _first(meant: Sequence[tuple[str, float]], needs: Needs, *, ignored_at: float | None) -> Answers:
    first: Answers = {}
    for kind, received_at in meant:
        first[kind] = min(received_at, first.get(kind, np.inf))
    if ignored_at is not None and needs.impressions.issuperset(first):
        first[IGNORED] = ignored_at
    return first


_MORE = {"version": contact_versions.c.version + sa.literal_column("1")}
_RAISE = {
    "sqlite": sqlite.insert(contact_versions).on_conflict_do_update(index_elements=["customer"], set_=_MORE),
    "postgresql": postgresql.insert(contact_versions).on_conflict_do_update(index_elements=["customer"], set_=_MORE),
}
