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
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

import msgspec
import numpy as np
import sqlalchemy as sa
from sqlalchemy.dialects import postgresql

from bandit_nba.catalogue.action import NO_ACTION
from bandit_nba.catalogue.contact_rules import IGNORED
from bandit_nba.decide.eligibility.history import NO_ANSWERS, Contact
from bandit_nba.decide.wanted import WantedKind
from bandit_nba.store.driver.bulk import Session, backend_of, changed, execute_many, fetched, select_in
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
    connection: Session, customers: Collection[str], needs: Needs, *, now_s: float
) -> dict[str, list[Contact]]:
    """The contacts of those of `customers` (pseudonymous keys) that have any, as far back as is needed.

    One query; with answers three.
    """
    since = now_s - needs.lookback_s
    rows = select_in(connection, _CONTACTS, customers, since=since)
    told = _Told(connection, customers, needs, since=since) if needs.answers and rows else None
    found: defaultdict[str, list[Contact]] = defaultdict(list)
    for decision, customer, channel, at, activate_by, activated_at, matures_at, *shown in rows:
        waits = activate_by is not None and activated_at is None
        until = activate_by if waits else np.inf
        for number, (place, action) in enumerate(reached(*shown).items()):
            answers: Mapping[str, float] = NO_ANSWERS
            if told is not None:
                slots = {place} if number else {place, None}
                answers = told.of(decision, slots, customer, at, matures_at, ignored=not waits)
            found[customer].append(Contact(action, channel, at, until, answers))
    return found


def versions(connection: Session, customers: Collection[str]) -> dict[str, int]:
    """The version of each customer's contact state; 0 where nothing has been counted yet."""
    found = dict.fromkeys(customers, 0)
    found.update((customer, version) for customer, version in select_in(connection, _VERSIONS, found))
    return found


def lock_versions(connection: Session, customers: Collection[str]) -> dict[str, int]:
    """The same inside a write transaction; no other can raise them until it has ended."""
    _lock(connection, customers)
    return versions(connection, customers)


def raise_versions(connection: Session, customers: Collection[str]) -> None:
    """Tell that the contact state of `customers` has changed in this write transaction; "" is nobody."""
    raised = sorted(set(customers) - {""})
    if not raised:
        return
    if backend_of(connection) == "sqlite":  # one statement: quicker, and sqlite3 lets go of the interpreter only once
        changed(connection, _RAISE_LISTED, (msgspec.json.encode(raised).decode(),))
    else:
        _lock(connection, raised)
        execute_many(connection, _RAISE, [(customer, 1) for customer in raised])


def _lock(connection: Session, customers: Collection[str]) -> None:
    """Let no other transaction change the contact state of `customers`; SQLite's write lock does that by itself.

    PostgreSQL locks in one order, so that two never wait for each other, and in one statement.
    """
    if customers and backend_of(connection) == "postgresql":
        fetched(connection, _LOCK, (list(customers),))


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


class _Told:
    """What customers answered: outcomes that name a decision, and those of attribution "each" that name a customer."""

    def __init__(self, connection: Session, customers: Collection[str], needs: Needs, *, since: float) -> None:
        self._impressions = needs.impressions
        self._named: defaultdict[str, list[tuple[str | None, str, float]]] = defaultdict(list)
        for decision, slot, kind, received_at in select_in(connection, _ANSWERS, customers, since=since):
            self._named[decision].append((slot, kind, received_at))
        self._unnamed: defaultdict[str, list[tuple[str, float]]] = defaultdict(list)
        if needs.each:
            for customer, kind, received_at in select_in(connection, _UNNAMED, customers, since=since):
                if kind in needs.each:
                    self._unnamed[customer].append((kind, received_at))

    def of(
        self,
        decision: str,
        slots: Collection[str | None],
        customer: str,
        at: float,
        matures_at: float,
        *,
        ignored: bool,
    ) -> Answers:
        """When each type was first received for one place of a decision; what names no place is about the first.

        ignored: whether it may be; then "ignored" is when it matures, as long as nothing but impressions came.
        """
        first: Answers = {}
        if decision in self._named or customer in self._unnamed:
            meant = [(kind, t) for slot, kind, t in self._named.get(decision, ()) if slot in slots]
            meant += [(kind, t) for kind, t in self._unnamed.get(customer, ()) if at <= t <= matures_at]
            for kind, t in meant:
                first[kind] = min(t, first.get(kind, np.inf))
        if ignored and self._impressions.issuperset(first):
            first[IGNORED] = matures_at
        return first


_LOCK = (  # a subquery with an order is read in it, before the lock of its next row is taken
    "SELECT pg_advisory_xact_lock(key) FROM (SELECT DISTINCT hashtextextended(customer, 0) AS key"
    " FROM unnest(CAST(%s AS text[])) AS customer ORDER BY key) AS keys"
)
_MORE = {"version": contact_versions.c.version + sa.literal_column("1")}
_RAISE = postgresql.insert(contact_versions).on_conflict_do_update(index_elements=["customer"], set_=_MORE)
_RAISE_LISTED = (
    "INSERT INTO contact_versions (customer, version) SELECT value, 1 FROM json_each(?) WHERE true"
    " ON CONFLICT (customer) DO UPDATE SET version = version + 1"
)
