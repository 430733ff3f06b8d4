"""Catalogues, policies, feature and reward definitions as they were, so that old decisions can be recomputed."""

from typing import Literal

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite

from bandit_nba.errors import IdConflictError
from bandit_nba.store.tables import definitions

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
