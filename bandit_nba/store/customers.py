"""Customer profiles by pseudonymous key."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from operator import itemgetter

import msgspec
import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite

from bandit_nba.catalogue.facts import FactValue
from bandit_nba.store.bulk import Session, select_in
from bandit_nba.store.tables import customers

Profile = Mapping[str, FactValue]


def upsert(connection: sa.Connection, profiles: Mapping[str, Profile], *, now_s: float) -> None:
    """Keep each customer's profile as a whole, in place of the one before; values are already `checked`."""
    insert = (postgresql if connection.dialect.name == "postgresql" else sqlite).insert(customers)
    change = {"profile": insert.excluded.profile, "updated_at": insert.excluded.updated_at}
    statement = insert.on_conflict_do_update(index_elements=[customers.c.customer], set_=change)
    rows = [
        {"customer": customer, "profile": msgspec.json.encode(profile), "updated_at": now_s}
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
    connection: sa.Connection, customer: str, facts: Mapping[str, FactValue | None], *, now_s: float
) -> dict[str, FactValue]:
    """Change some facts of a profile, which is made where there is none; None removes one. The profile as it is then.

    Two who amend the same profile at once do so one after the other.
    """
    insert = (postgresql if connection.dialect.name == "postgresql" else sqlite).insert(customers)
    row = insert.values(customer=customer, profile=b"{}", updated_at=now_s)
    connection.execute(row.on_conflict_do_nothing())
    query = sa.select(customers.c.profile).where(customers.c.customer == customer).with_for_update()
    profile = _DECODER.decode(connection.execute(query).scalar_one())
    made = {name: value for name, value in {**profile, **facts}.items() if value is not None}
    change = sa.update(customers).where(customers.c.customer == customer)
    connection.execute(change.values(profile=msgspec.json.encode(made), updated_at=now_s))
    return made


def count(connection: sa.Connection) -> int:
    """How many customers are known."""
    return connection.execute(sa.select(sa.func.count()).select_from(customers)).scalar_one()


_BY_KEY = sa.select(customers.c.customer, customers.c.profile).where(
    customers.c.customer.in_(sa.bindparam("keys", expanding=True))
)
_DECODER = msgspec.json.Decoder(dict[str, float | bool | str | tuple[str, ...]])
