"""Published models in the store. The newest is the one with the highest serial number.

Of old models VW's bytes go, since only the learner reads them and only the newest; sparse weights and manifests stay,
because an audit recomputes old decisions from them.
"""

from dataclasses import dataclass
from typing import Any

import msgspec
import sqlalchemy as sa

from bandit_nba.errors import ModelError, UnknownIdError
from bandit_nba.learn.compile import CompiledScorer
from bandit_nba.learn.guard import Demands, verified
from bandit_nba.learn.manifest import Manifest, StoredModel
from bandit_nba.settings import nearest
from bandit_nba.store.database import Database
from bandit_nba.store.registry import definitions, serving
from bandit_nba.store.tables import models, trained_models

_CHAIN = models.c.version.not_in(sa.select(trained_models.c.version))


@dataclass(frozen=True)
class ModelRow:
    """One line of the list of models. model_kept: whether VW's bytes are still there."""

    serial: int
    manifest: Manifest
    model_kept: bool


def publish(connection: sa.Connection, model: StoredModel) -> int:
    """Add a model as the newest and give its serial; belongs into the transaction that marks what it learned."""
    manifest = model.manifest
    serial = int(connection.execute(sa.select(sa.func.coalesce(sa.func.max(models.c.serial), 0))).scalar_one()) + 1
    row = {
        "version": manifest.version,
        "serial": serial,
        "manifest": msgspec.json.encode(manifest),
        "model": model.model,
        "sparse": model.sparse,
        "created_at": manifest.created_at,
    }
    connection.execute(sa.insert(models).values(row))
    return serial


def prune(connection: sa.Connection, *, keep: int = 10) -> int:
    """Drop VW's bytes of all but the newest `keep` models; gives how many were dropped."""
    newest_serial = sa.select(sa.func.max(models.c.serial)).scalar_subquery()
    old = (models.c.serial <= newest_serial - keep) & models.c.model.is_not(None)
    return connection.execute(sa.update(models).where(old).values(model=None)).rowcount


def newest(connection: sa.Connection) -> str | None:
    """The version of the learner's newest model; cheap enough to poll. Models of `nba train` stand beside its chain."""
    query = sa.select(models.c.version).where(_CHAIN).order_by(models.c.serial.desc()).limit(1)
    return connection.execute(query).scalar_one_or_none()


def versions(connection: sa.Connection, *, limit: int | None = None) -> list[str]:
    """Versions of the newest `limit` models, by default of all, newest first."""
    query = sa.select(models.c.version).order_by(models.c.serial.desc()).limit(limit)
    return list(connection.execute(query).scalars())


def read(connection: sa.Connection, version: str) -> StoredModel:
    """One model with its bytes, none of it verified.

    Raises
    ------
    UnknownIdError
        If there is no model of that version.
    ModelError
        If its manifest cannot be read.
    """
    row = _row(connection, version, models.c.manifest, models.c.model, models.c.sparse)
    return StoredModel(manifest=_manifest(row.manifest, version), model=row.model, sparse=row.sparse)


def listing(
    connection: sa.Connection, *, limit: int = 50, chain: bool = False, before: int | None = None
) -> list[ModelRow]:
    """The newest `limit` models, newest first. chain: only the learner's own, without those of `nba train`.

    before: only models with a lower serial.
    """
    kept = models.c.model.is_not(None).label("kept")
    query = sa.select(models.c.serial, models.c.version, models.c.manifest, kept).where(_CHAIN if chain else sa.true())
    if before is not None:
        query = query.where(models.c.serial < before)
    rows = connection.execute(query.order_by(models.c.serial.desc()).limit(limit))
    return [ModelRow(serial=r.serial, manifest=_manifest(r.manifest, r.version), model_kept=bool(r.kept)) for r in rows]


def load_scorer(database: Database, version: str, *, demands: Demands | None = None) -> CompiledScorer:
    """A published model as a scorer, verified as `learn.guard.verified` says.

    With `demands` it may serve: it is not quarantined, and the definition of its rewards is known, too.

    Raises
    ------
    UnknownIdError
        If there is no model of that version.
    ModelError
        If it fails a check; model and check are named.
    """
    with database.read() as connection:
        stored = read(connection, version)
        if demands is not None:
            _check_known(connection, stored.manifest)
    return verified(stored, demands=demands)


def _check_known(connection: sa.Connection, manifest: Manifest) -> None:
    version = manifest.version
    if serving.is_quarantined(connection, version):
        raise ModelError("is quarantined", where=f"model {version}", hint="`nba models show` says why")
    if definitions.get(connection, "reward", manifest.reward_version) is None:
        raise ModelError(
            "learned rewards of a definition that is not known",
            where=f"model {version}",
            got=manifest.reward_version,
            hint="a service leaves its definitions in the store when it starts",
        )


def manifest_of(database: Database, version: str) -> Manifest:
    """A model's manifest; raises `UnknownIdError` where there is no such model."""
    with database.read() as connection:
        return _manifest(_row(connection, version, models.c.manifest).manifest, version)


def serial_of(connection: sa.Connection, version: str) -> int:
    """A model's place in the order of publication; raises `UnknownIdError` where there is no such model."""
    return int(_row(connection, version, models.c.serial).serial)


def _row(connection: sa.Connection, version: str, *columns: sa.ColumnElement[Any]) -> sa.Row[Any]:
    row = connection.execute(sa.select(*columns).where(models.c.version == version)).one_or_none()
    if row is None:
        known = versions(connection, limit=1_000)
        raise UnknownIdError("no such model", where="models", got=version, hint=nearest(version, known))
    return row


def _manifest(content: bytes, version: str) -> Manifest:
    try:
        return msgspec.json.decode(content, type=Manifest)
    except msgspec.DecodeError as error:
        raise ModelError(f"manifest cannot be read ({error})", where=f"model {version}") from None
