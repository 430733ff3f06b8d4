"""API keys and how often each was used. Secrets are not here, only their digests."""

from collections.abc import Mapping

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite

from bandit_nba.access.grant import Grant
from bandit_nba.access.key import Key, new_key
from bandit_nba.access.scopes import scopes_of
from bandit_nba.errors import RefusedError, UnknownIdError
from bandit_nba.store import audit_log
from bandit_nba.store.tables import api_key_usage, api_keys

LIVE_PER_CLIENT = 2
"""So that a client can go over to its new key while the old one still works."""


def add(connection: sa.Connection, wanted: Grant, *, actor: str, now_s: float, key: Key | None = None) -> Key:
    """Make a key with the rights of `wanted`, whose id and time of creation are set here; the key is shown only now.

    Raises
    ------
    RefusedError
        If the client has two live keys already.
    """
    live = [grant for grant, _ in of_client(connection, wanted.client) if grant.live(now_s)]
    if len(live) >= LIVE_PER_CLIENT:
        raise RefusedError(
            f"has {LIVE_PER_CLIENT} live keys already",
            where=wanted.client,
            got=", ".join(grant.key_id for grant in live),
            hint="revoke one of them first",
        )
    made = key or new_key()
    row = {
        "id": made.id,
        "client": wanted.client,
        "secret_sha256": made.digest,
        "scopes": " ".join(sorted(wanted.scopes)),
        "channels": " ".join(sorted(wanted.channels)),
        "created_at": now_s,
        "expires_at": wanted.expires_at,
        "revoked_at": None,
        "rate_per_s": wanted.rate_per_s,
        "per_day": wanted.per_day,
    }
    connection.execute(sa.insert(api_keys).values(row))
    detail = {"client": wanted.client, "scopes": row["scopes"], "channels": row["channels"]}
    audit_log.append(connection, now_s=now_s, actor=actor, action="key.create", subject=made.id, detail=detail)
    return made


def shorten(connection: sa.Connection, key_id: str, *, expires_at: float, actor: str, now_s: float) -> None:
    """Let a key end at `expires_at`, unless it ends before that anyway."""
    later = sa.or_(api_keys.c.expires_at.is_(None), api_keys.c.expires_at > expires_at)
    changed = sa.update(api_keys).where(api_keys.c.id == key_id, later).values(expires_at=expires_at)
    if connection.execute(changed).rowcount:
        detail = {"expiresAt": expires_at}
        audit_log.append(connection, now_s=now_s, actor=actor, action="key.expire", subject=key_id, detail=detail)


def revoke(connection: sa.Connection, key_id: str, *, actor: str, now_s: float) -> bool:
    """End a key; False if it had been revoked before.

    Raises
    ------
    UnknownIdError
        If there is no such key.
    """
    found = connection.execute(sa.select(api_keys.c.revoked_at).where(api_keys.c.id == key_id)).one_or_none()
    if found is None:
        raise UnknownIdError("no such key", where="key id", got=key_id, hint="`nba keys list DIR` names all")
    if found.revoked_at is not None:
        return False
    connection.execute(sa.update(api_keys).where(api_keys.c.id == key_id).values(revoked_at=now_s))
    audit_log.append(connection, now_s=now_s, actor=actor, action="key.revoke", subject=key_id)
    return True


def every(connection: sa.Connection) -> list[tuple[Grant, bytes]]:
    """All keys there ever were, oldest first, each with its digest."""
    rows = connection.execute(sa.select(api_keys).order_by(api_keys.c.created_at, api_keys.c.id))
    return [(_grant(row), bytes(row.secret_sha256)) for row in rows]


def of_client(connection: sa.Connection, client: str) -> list[tuple[Grant, bytes]]:
    """The keys of one client, oldest first."""
    rows = sa.select(api_keys).where(api_keys.c.client == client).order_by(api_keys.c.created_at, api_keys.c.id)
    return [(_grant(row), bytes(row.secret_sha256)) for row in connection.execute(rows)]


def any_configured(connection: sa.Connection) -> bool:
    """Whether keys are asked for at all: from the first one on, for good."""
    return connection.execute(sa.select(api_keys.c.id).limit(1)).first() is not None


def count_calls(connection: sa.Connection, calls: Mapping[str, int], *, day: int) -> None:
    """Add to what the keys were used for on `day`."""
    for key, number in sorted(calls.items()):
        insert = (postgresql if connection.dialect.name == "postgresql" else sqlite).insert(api_key_usage)
        first = insert.values(key=key, day=day, calls=number)
        grown = {"calls": api_key_usage.c.calls + number}
        connection.execute(first.on_conflict_do_update(index_elements=["key", "day"], set_=grown))


def calls_on(connection: sa.Connection, day: int) -> dict[str, int]:
    """How often each key was used on `day`, by all replicas together."""
    rows = connection.execute(sa.select(api_key_usage.c.key, api_key_usage.c.calls).where(api_key_usage.c.day == day))
    return {row.key: row.calls for row in rows}


def _grant(row: sa.Row[tuple[object, ...]]) -> Grant:
    return Grant(
        key_id=row.id,
        client=row.client,
        scopes=scopes_of(row.scopes.split()),
        channels=frozenset(row.channels.split()),
        created_at=row.created_at,
        expires_at=row.expires_at,
        revoked_at=row.revoked_at,
        rate_per_s=row.rate_per_s,
        per_day=row.per_day,
    )
