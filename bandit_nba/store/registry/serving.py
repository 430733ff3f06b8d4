"""Which model serves: the newest as the learner publishes them, or one that somebody chose; every change is kept.

Changes are only ever added. The last one says what serves:

    follow      the newest model that is not quarantined, and each newer one as it comes; so it is before any change
    publish     this model, whatever the learner publishes, until the next change
    rollback    the same; it went back to an older one
    quarantine  the same, chosen by a replica that saw scores which are no numbers

None of them touches the learner: its chain of models goes on from the newest, so that the same log gives the same
weights whatever served meanwhile. Only a quarantined model is never gone on from: the learner begins a new lineage and
learns the whole log anew, which ends with the weights that an undamaged chain would have (see `learn.learner`).

Whoever quarantines holds the row of the learner's lease, as each of the learner's commits does: a checkpoint is
committed either before and is looked at here, or after and sees the quarantine.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import sqlalchemy as sa

from bandit_nba.errors import RefusedError, UnknownIdError
from bandit_nba.settings import nearest
from bandit_nba.store.tables import leases, model_changes, models, quarantined_models, trained_models

What = Literal["follow", "publish", "rollback", "quarantine"]

NONE = "none"
"""Stands for "no model": what serves before the first, and after the quarantine of the only one."""

_FOLLOWS = ""
_NEWEST_SOUND = (
    sa.select(models.c.version)
    .where(models.c.version.not_in(sa.select(quarantined_models.c.version)))
    .where(models.c.version.not_in(sa.select(trained_models.c.version)))
    .order_by(models.c.serial.desc())
)
_LAST = sa.select(model_changes).order_by(model_changes.c.serial.desc()).limit(1)


@dataclass(frozen=True, kw_only=True)
class Change:
    """One change of what serves. at: seconds since the epoch. before, serves: versions, or "none".

    serves: what serves from then on; "" for the newest.
    """

    serial: int
    at: float
    what: What
    before: str
    serves: str
    who: str
    why: str


@dataclass(frozen=True)
class Quarantined:
    """A model that never serves again and that no model goes on from. at: seconds since the epoch."""

    version: str
    at: float
    why: str


def last_change(connection: sa.Connection) -> Change | None:
    """What says what serves now; None where nothing was ever changed: the newest serves."""
    row = connection.execute(_LAST).one_or_none()
    return None if row is None else Change(**row._mapping)


def changes(connection: sa.Connection, *, limit: int = 50) -> list[Change]:
    """The last `limit` changes, the last first."""
    rows = connection.execute(sa.select(model_changes).order_by(model_changes.c.serial.desc()).limit(limit))
    return [Change(**row._mapping) for row in rows]


def quarantined(connection: sa.Connection) -> dict[str, Quarantined]:
    """All quarantined models by version."""
    rows = connection.execute(sa.select(quarantined_models).order_by(quarantined_models.c.serial))
    return {row.version: Quarantined(row.version, row.at, row.why) for row in rows}


def is_quarantined(connection: sa.Connection, version: str) -> bool:
    """Whether this model may neither serve nor be gone on from."""
    query = sa.select(quarantined_models.c.version).where(quarantined_models.c.version == version)
    return connection.execute(query).one_or_none() is not None


def serving(connection: sa.Connection) -> str:
    """The version that is to serve now; "none" before the first model."""
    return next(iter(wanted(connection, limit=1)), NONE)


def wanted(connection: sa.Connection, *, limit: int) -> list[str]:
    """The version that is to serve, and with a higher limit those to try where it cannot, best first.

    A fixed model is followed by older ones only: going back must never bring back what it went back from.
    """
    change = last_change(connection)
    if change is None or change.serves == _FOLLOWS:
        return list(connection.execute(_NEWEST_SOUND.limit(limit)).scalars())
    if change.serves == NONE or limit == 1:
        return [change.serves]
    return [change.serves, *_older(connection, change.serves, limit=limit - 1)]


def before(connection: sa.Connection, version: str, *, limit: int) -> list[str]:
    """What to go back to from a model, best first, none of it quarantined.

    Where somebody published it by name, that is what served before; else the next older one by publication.
    """
    change = last_change(connection)
    first = [change.before] if change and change.what == "publish" and change.serves == version else []
    found = [one for one in first if one != NONE and not is_quarantined(connection, one)]
    return [*found, *(one for one in _older(connection, version, limit=limit) if one not in found)][:limit]


def change(connection: sa.Connection, what: What, version: str, *, who: str, why: str, now_s: float) -> Change:
    """Let this model serve from now on; "" lets the newest. Belongs into a write transaction.

    Raises
    ------
    UnknownIdError
        If there is no such model; with the nearest version there is.
    RefusedError
        If it is quarantined.
    """
    if version not in (_FOLLOWS, NONE):
        _check_known(connection, version)
        if is_quarantined(connection, version):
            raise RefusedError(
                "is quarantined", where=f"model {version}", hint="`nba models show` says why; publish another one"
            )
    _hold(connection)
    serial = connection.execute(sa.select(sa.func.coalesce(sa.func.max(model_changes.c.serial), 0))).scalar_one()
    made = Change(
        serial=serial + 1,
        at=now_s,
        what=what,
        before=serving(connection),
        serves=version,
        who=who[:128],
        why=why,
    )
    connection.execute(sa.insert(model_changes).values(**vars(made)))
    return made


def quarantine(
    connection: sa.Connection, version: str, *, serves: str, who: str, why: str, now_s: float
) -> Change | None:
    """Put a model away for good, and those that the learner went on to from it; `serves` serves from now on.

    None where that has been done already. What serves is left as it is where it is none of these.
    """
    _hold(connection)
    if is_quarantined(connection, version):
        return None
    _check_known(connection, version)
    current = serving(connection)
    for one, serial in _tainted(connection, version):
        connection.execute(
            sa.insert(quarantined_models).values(
                version=one,
                serial=serial,
                at=now_s,
                why=why if one == version else f"came after model {version}, which is quarantined",
            )
        )
    if not is_quarantined(connection, current):
        return None
    serial = connection.execute(sa.select(sa.func.coalesce(sa.func.max(model_changes.c.serial), 0))).scalar_one()
    made = Change(serial=serial + 1, at=now_s, what="quarantine", before=version, serves=serves, who=who, why=why)
    connection.execute(sa.insert(model_changes).values(**vars(made)))
    return made


def _tainted(connection: sa.Connection, version: str) -> Sequence[tuple[str, int]]:
    """The model and those published after it: the learner went on from it. They are few: it served until now.

    An older model that somebody had fixed is put away alone: what was learned since has served without a fault.
    """
    fixed = (change := last_change(connection)) is not None and change.serves == version
    first = sa.select(models.c.serial).where(models.c.version == version).scalar_subquery()
    chosen = models.c.version == version if fixed else models.c.serial >= first
    unknown = models.c.version.not_in(sa.select(quarantined_models.c.version))
    rows = connection.execute(sa.select(models.c.version, models.c.serial).where(chosen, unknown))
    return [(row.version, row.serial) for row in rows]


def _older(connection: sa.Connection, version: str, *, limit: int) -> list[str]:
    serial = sa.select(models.c.serial).where(models.c.version == version).scalar_subquery()
    return list(connection.execute(_NEWEST_SOUND.where(models.c.serial < serial).limit(limit)).scalars())


def _hold(connection: sa.Connection) -> None:
    """One change at a time, and none beside a checkpoint; SQLite's write transactions are serial anyhow."""
    if connection.dialect.name == "postgresql":
        connection.execute(sa.text("LOCK TABLE model_changes IN SHARE ROW EXCLUSIVE MODE"))
    connection.execute(sa.select(leases.c.fence).where(leases.c.name == "learner").with_for_update())


def _check_known(connection: sa.Connection, version: str) -> None:
    if connection.execute(sa.select(models.c.version).where(models.c.version == version)).one_or_none() is None:
        known = list(
            connection.execute(sa.select(models.c.version).order_by(models.c.serial.desc()).limit(1_000)).scalars()
        )
        raise UnknownIdError("no such model", where="models", got=version, hint=nearest(version, known))
