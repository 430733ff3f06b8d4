"""What a decision reads and what its writing compares, each in one statement on SQLite: a lone decision waits for both.

Keys go in as one JSON list, so that one text serves any number of them.
"""

from collections.abc import Collection
from dataclasses import dataclass

import msgspec

from bandit_nba.catalogue.facts import FactValue
from bandit_nba.store import customers as customer_store
from bandit_nba.store.driver.bulk import Session, backend_of, fetched
from bandit_nba.store.learner import learning
from bandit_nba.store.log import contacts
from bandit_nba.store.registry import definitions

_ASKING = """\
SELECT keys.value, customers.profile, contact_versions.version FROM json_each(?) AS keys
LEFT JOIN customers ON customers.customer = keys.value
LEFT JOIN contact_versions ON contact_versions.customer = keys.value"""
_HELD = f"""\
SELECT ({learning.READ_HORIZON}), (SELECT version FROM in_force WHERE kind = 'catalogue')"""  # noqa: S608 (constants)
_HELD_WITH_VERSIONS = f"""\
{_HELD} UNION ALL
SELECT keys.value, contact_versions.version FROM json_each(?) AS keys
LEFT JOIN contact_versions ON contact_versions.customer = keys.value"""  # noqa: S608 (the same)

_ENCODER = msgspec.json.Encoder()


def profiles_and_versions(
    connection: Session, customers: Collection[str]
) -> tuple[dict[str, dict[str, FactValue]], dict[str, int]]:
    """The profiles of those of `customers` (pseudonymous keys) that have one, and everybody's contact version."""
    if backend_of(connection) == "postgresql":  # which would join a list of unknown length by reading whole tables
        return customer_store.profiles(connection, customers), contacts.versions(connection, customers)
    rows = fetched(connection, _ASKING, (_listed(customers),))
    profiles = {customer: customer_store.decoded(profile) for customer, profile, _ in rows if profile is not None}
    return profiles, {customer: version or 0 for customer, _, version in rows}


@dataclass(frozen=True, slots=True)
class Held:
    """What cannot change until a write transaction has ended: see `hold_horizon`, `hold_catalogue`, `lock_versions`."""

    horizon: float
    catalogue: str | None
    versions: dict[str, int]


def hold(connection: Session, customers: Collection[str]) -> Held:
    """Horizon, catalogue in force, and the contact versions of `customers`; inside a write transaction."""
    if backend_of(connection) == "postgresql":  # three locks, always in this order
        horizon, catalogue = learning.hold_horizon(connection), definitions.hold_catalogue(connection)
        return Held(horizon, catalogue, contacts.lock_versions(connection, customers) if customers else {})
    if customers:
        (first, *rest) = fetched(connection, _HELD_WITH_VERSIONS, (_listed(customers),))
    else:
        (first,), rest = fetched(connection, _HELD, ()), []
    horizon_text, catalogue = first
    return Held(
        horizon=float("-inf") if horizon_text is None else float(horizon_text),
        catalogue=catalogue,
        versions={customer: version or 0 for customer, version in rest},
    )


def _listed(keys: Collection[str]) -> str:
    return _ENCODER.encode(list(keys)).decode()
