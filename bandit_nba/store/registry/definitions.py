"""Catalogues, policies, feature and reward definitions as they were, so that old decisions can be recomputed."""

from dataclasses import dataclass
from typing import Literal

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite

from bandit_nba.errors import IdConflictError
from bandit_nba.store.driver.bulk import Session, select
from bandit_nba.store.tables import definitions, in_force

Kind = Literal["catalogue", "policy", "features", "reward"]


def put(connection: sa.Connection, kind: Kind, version: str, content: bytes, *, now_s: float) -> None:
    """Keep a definition's canonical JSON; keeping it again changes nothing.

    Raises
    ------
    IdConflictError
        If that version is known with other content.
    """
    insert = (postgresql if connection.dialect.name == "postgresql" else sqlite).insert(definitions)
    row = insert.values(kind=kind, version=version, content=content, created_at=now_s)
    connection.execute(row.on_conflict_do_nothing())
    if get(connection, kind, version) != content:
        raise IdConflictError(
            "definition is known with other content", where=f"{kind} {version}", hint="a version names one content only"
        )


def get(connection: sa.Connection, kind: Kind, version: str) -> bytes | None:
    """A definition's content, None if that version is not known."""
    query = sa.select(definitions.c.content).where(definitions.c.kind == kind, definitions.c.version == version)
    return connection.execute(query).scalar_one_or_none()


@dataclass(frozen=True)
class InForce:
    """The catalogue version that decisions are made by, and since when (seconds since the epoch)."""

    version: str
    since: float


def catalogue_in_force(connection: sa.Connection) -> InForce | None:
    """The catalogue that decisions are made by; None where none has been applied yet."""
    query = sa.select(in_force.c.version, in_force.c.since).where(in_force.c.kind == "catalogue")
    row = connection.execute(query).one_or_none()
    return None if row is None else InForce(*row)


def hold_catalogue(connection: Session) -> str | None:
    """The version in force, which cannot change until this write transaction has ended; None: none was applied."""
    return next((version for (version,) in select(connection, _HOLD)), None)


def policy_in_force(connection: sa.Connection) -> bytes | None:
    """The policy that decides: the service was started with it, or it was promoted since; None where it never was."""
    query = (
        sa.select(definitions.c.content)
        .join_from(in_force, definitions, definitions.c.version == in_force.c.version)
        .where(in_force.c.kind == "policy", definitions.c.kind == "policy")
    )
    return connection.execute(query).scalar_one_or_none()


def policy_version_in_force(connection: sa.Connection) -> str | None:
    """Its version alone; cheap enough to poll."""
    query = sa.select(in_force.c.version).where(in_force.c.kind == "policy")
    return connection.execute(query).scalar_one_or_none()


def policy_since(connection: sa.Connection) -> float | None:
    """Since when the policy in force decides, seconds since the epoch; None where none ever was."""
    return connection.execute(sa.select(in_force.c.since).where(in_force.c.kind == "policy")).scalar_one_or_none()


def put_in_force(connection: sa.Connection, kind: Kind, version: str, *, now_s: float) -> None:
    """Let decisions be made by this definition from now on; it must be kept already.

    Of a catalogue all replicas take notice at once (see `online.decider`), of a policy when they look next (see
    `online.catalogue_feed`).
    """
    insert = (postgresql if connection.dialect.name == "postgresql" else sqlite).insert(in_force)
    row = insert.values(kind=kind, version=version, since=now_s)
    change = {"version": version, "since": now_s}
    connection.execute(row.on_conflict_do_update(index_elements=[in_force.c.kind], set_=change))


_HOLD = sa.select(in_force.c.version).where(in_force.c.kind == "catalogue").with_for_update(read=True)
