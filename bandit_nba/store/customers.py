"""Customer profiles by pseudonymous key."""

import math
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from operator import itemgetter

import msgspec
import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite

from bandit_nba.catalogue.facts import FactValue
from bandit_nba.store.driver.bulk import Session, select_in
from bandit_nba.store.tables import customers

Profile = Mapping[str, FactValue]


def upsert(connection: sa.Connection, profiles: Mapping[str, Profile], *, now_s: float) -> None:
    """Keep each customer's profile as a whole, in place of the one before; values are already `checked`.

    All of it counts from now on, also that a fact is left out.
    """
    insert = (postgresql if connection.dialect.name == "postgresql" else sqlite).insert(customers)
    change = {name: insert.excluded[name] for name in ("profile", "updated_at", "replaced_at", "told_at")}
    statement = insert.on_conflict_do_update(index_elements=[customers.c.customer], set_=change)
    times = {"updated_at": now_s, "replaced_at": now_s, "told_at": None}
    rows = [
        {"customer": customer, "profile": msgspec.json.encode(profile), **times}
        for customer, profile in sorted(
            profiles.items(), key=itemgetter(0)
        )  # in one order: two such writers never lock each other out
    ]
    if rows:
        connection.execute(statement, rows)


def profiles(connection: Session, keys: Collection[str]) -> dict[str, dict[str, FactValue]]:
    """The profiles of those of `keys` that are known."""
    return {customer: _DECODER.decode(profile) for customer, profile in select_in(connection, _BY_KEY, keys)}


@dataclass(frozen=True)
class StoredProfile:
    """A profile as it is stored, and since when (seconds since the epoch)."""

    facts: Mapping[str, FactValue]
    updated_at: float


def get(connection: sa.Connection, customer: str) -> StoredProfile | None:
    """One customer's profile, None where that pseudonymous key is not known."""
    query = sa.select(customers.c.profile, customers.c.updated_at).where(customers.c.customer == customer)
    row = connection.execute(query).one_or_none()
    return None if row is None else StoredProfile(_DECODER.decode(row.profile), row.updated_at)


def amend(
    connection: sa.Connection,
    customer: str,
    facts: Mapping[str, FactValue | None],
    *,
    occurred_at: float | None,
    now_s: float,
) -> list[str]:
    """Change some facts of a profile, which is made where there is none; None removes one.

    occurred_at: from when on they count, at most now; None for now. A fact of which something is known that counts from
    later on is left alone, removed ones too; of equal times the last received counts. Two who amend the same profile at
    once do so one after the other.

    Returns
    -------
    list
        The names of the facts that were left alone.
    """
    insert = (postgresql if connection.dialect.name == "postgresql" else sqlite).insert(customers)
    row = insert.values(customer=customer, profile=b"{}", updated_at=now_s)
    connection.execute(row.on_conflict_do_nothing())
    query = sa.select(customers.c.profile, customers.c.replaced_at, customers.c.told_at)
    known = connection.execute(query.where(customers.c.customer == customer).with_for_update()).one()
    told = _TIMES.decode(known.told_at or b"{}")
    whole_s = -math.inf if known.replaced_at is None else known.replaced_at
    at_s = now_s if occurred_at is None else min(occurred_at, now_s)
    # A clock that was set back must not keep out what is told now.
    outdated = [name for name in facts if at_s < min(told.get(name, whole_s), now_s)]
    newer = {name: value for name, value in facts.items() if name not in outdated}
    if newer:
        profile = {**_DECODER.decode(known.profile), **newer}
        change = sa.update(customers).where(customers.c.customer == customer)
        connection.execute(
            change.values(
                profile=msgspec.json.encode({name: value for name, value in profile.items() if value is not None}),
                updated_at=now_s,
                told_at=msgspec.json.encode(told | dict.fromkeys(newer, at_s)),
            )
        )
    return outdated


def count(connection: sa.Connection) -> int:
    """How many customers are known."""
    return connection.execute(sa.select(sa.func.count()).select_from(customers)).scalar_one()


_BY_KEY = sa.select(customers.c.customer, customers.c.profile).where(
    customers.c.customer.in_(sa.bindparam("keys", expanding=True))
)
_DECODER = msgspec.json.Decoder(dict[str, float | bool | str | tuple[str, ...]])
decoded = _DECODER.decode  # a profile as it is stored
_TIMES = msgspec.json.Decoder(dict[str, float])
