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
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import msgspec
import numpy as np
import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite

from bandit_nba.catalogue.action import NO_ACTION
from bandit_nba.catalogue.contact_rules import IGNORED
from bandit_nba.decide.history import Contact
from bandit_nba.decide.wanted import WantedKind
from bandit_nba.store.bulk import IN_LIST, chunks
from bandit_nba.store.tables import contact_versions, decisions, outcomes, overrides

_CUSTOMERS: sa.BindParameter[Any] = sa.bindparam("customers", expanding=True)
_SINCE: sa.BindParameter[Any] = sa.bindparam("since")
_IDS: sa.BindParameter[Any] = sa.bindparam("ids", expanding=True)
_RECENT = sa.and_(decisions.c.customer.in_(_CUSTOMERS), decisions.c.decided_at > _SINCE)
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
    outcomes.c.customer.in_(_CUSTOMERS), outcomes.c.received_at > _SINCE, outcomes.c.decision.is_(None)
)
_VERSIONS = sa.select(contact_versions.c.customer, contact_versions.c.version).where(
    contact_versions.c.customer.in_(_CUSTOMERS)
)
_OWNERS = sa.select(decisions.c.id, decisions.c.customer).where(decisions.c.id.in_(_IDS))

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
    found: dict[str, list[Contact]] = {}
    for chunk in chunks(customers, IN_LIST):
        which = {"customers": chunk, "since": now_s - needs.lookback_s}
        rows = connection.execute(_CONTACTS, which).all()
        told = _Told(connection, which, needs) if needs.answers and rows else None
        for row in rows:
            found.setdefault(row.customer, []).extend(_contacts_of(row, told))
    return found


def versions(connection: sa.Connection, customers: Collection[str]) -> dict[str, int]:
    """The version of each customer's contact state; 0 where nothing has been counted yet."""
    found = dict.fromkeys(customers, 0)
    for chunk in chunks(found, IN_LIST):
        found.update((customer, version) for customer, version in connection.execute(_VERSIONS, {"customers": chunk}))
    return found


def lock_versions(connection: sa.Connection, customers: Collection[str]) -> dict[str, int]:
    """The same inside a write transaction; no other can raise them until it has ended."""
    if connection.dialect.name == "postgresql":
        for customer in sorted(customers):  # in one order, so that two never wait for each other
            connection.execute(sa.select(sa.func.pg_advisory_xact_lock(sa.func.hashtextextended(customer, 0))))
    return versions(connection, customers)


def raise_versions(connection: sa.Connection, customers: Collection[str]) -> None:
    """Tell that the contact state of `customers` has changed in this write transaction; "" is nobody."""
    rows = [{"customer": customer, "version": 1} for customer in sorted(set(customers)) if customer]
    if rows:
        insert = (postgresql if connection.dialect.name == "postgresql" else sqlite).insert(contact_versions)
        more = {"version": contact_versions.c.version + 1}
        connection.execute(insert.on_conflict_do_update(index_elements=["customer"], set_=more), rows)


def raise_versions_of(connection: sa.Connection, ids: Collection[str]) -> None:
    """The same for the customers of decisions: one was activated, overridden or picked from."""
    raise_versions(connection, set(owners(connection, ids).values()))


def owners(connection: sa.Connection, ids: Collection[str]) -> dict[str, str]:
    """The customers of those of `ids` that are known decisions."""
    found: dict[str, str] = {}
    for chunk in chunks(ids, IN_LIST):
        found.update((decision, customer) for decision, customer in connection.execute(_OWNERS, {"ids": chunk}))
    return found


def reached(arm: str, slate: bytes | None, picked: str | None, override: str | None) -> dict[str, str]:
    """The actions that reach the customer, by the id of their place; that of the decision itself is "" or the first."""
    places = _SLATE.decode(slate) if slate is not None else None
    first = places.slots[0].id if places and places.slots else ""
    if override is not None or places is None:
        shown = {first: arm if override is None else override}
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
    """What customers answered."""

    def __init__(self, connection: sa.Connection, which: Mapping[str, object], needs: Needs) -> None:
        self._needs = needs
        self._named: defaultdict[str, dict[str | None, Answers]] = defaultdict(dict)
        self._unnamed: defaultdict[str, list[tuple[str, float]]] = defaultdict(list)
        for decision, slot, kind, received_at in connection.execute(_ANSWERS, which):
            self._named[decision].setdefault(slot, {})[kind] = received_at
        if needs.each:
            for customer, kind, received_at in connection.execute(_UNNAMED, which):
                if kind in needs.each:
                    self._unnamed[customer].append((kind, received_at))

    def of(self, row: Any, place: str, *, is_first: bool) -> Answers:
        """When each type was first received for one place of a decision; "ignored" when it matures without any."""
        named = self._named.get(row.id, {})
        meant = [*named.get(place, {}).items(), *(named.get(None, {}).items() if is_first else ())]
        unnamed = self._unnamed.get(row.customer, ())
        meant += [(kind, at) for kind, at in unnamed if row.decided_at <= at <= row.matures_at]
        found: Answers = {}
        for kind, received_at in meant:
            found[kind] = min(received_at, found.get(kind, np.inf))
        answered = any(kind not in self._needs.impressions for kind in found)
        shown = row.activate_by is None or row.activated_at is not None
        if shown and not answered:
            found[IGNORED] = row.matures_at
        return found


def _contacts_of(row: Any, told: _Told | None) -> Iterator[Contact]:
    waits = row.activate_by is not None and row.activated_at is None
    for number, (place, action) in enumerate(reached(row.arm, row.slate, row.picked, row.override).items()):
        yield Contact(
            action=action,
            channel=row.channel,
            decided_at=row.decided_at,
            counts_until=row.activate_by if waits else np.inf,
            answers=told.of(row, place, is_first=number == 0) if told else {},
        )
