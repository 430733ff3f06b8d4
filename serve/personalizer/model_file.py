"""Personalizer's model file: the one that serves, goes back in, or serves no longer; and what the log holds.

A file goes back in only where it came out of this workspace: it is known by its SHA-256, so that the manifest, with all
that the static guard needs, is at hand. A file from elsewhere could not be guarded and is refused.
"""

import hashlib
from dataclasses import dataclass

import msgspec
import sqlalchemy as sa

from bandit_nba.errors import InputError, ModelError, UnknownIdError
from bandit_nba.learn.guard import check_bytes
from bandit_nba.learn.manifest import StoredModel
from bandit_nba.learn.parts import taken_apart
from bandit_nba.online import serving
from bandit_nba.online.answering import moment
from bandit_nba.online.replica import Replica
from bandit_nba.store.registry import models as model_store
from bandit_nba.store.registry import serving as serving_store
from bandit_nba.store.tables import decisions
from serve.endpoint import OCTETS, Call, Reply
from serve.personalizer.admin_wire import DateRange, LogProperties, ModelProperties
from serve.routes.models import actor

LOOKED_AT = 1_000
"""Models, newest first, among which a file is looked for."""


@dataclass(frozen=True)
class ModelFile:
    """What the calls do for one workspace."""

    replica: Replica
    channel: str

    async def export(self, call: Call) -> Reply:
        """Vowpal Wabbit's file of the model that serves; of an ensemble, that of the model whose members vary it."""
        call.caller.require_channel(self.channel)
        if call.query["signed"] == "true":
            hint = "ask without `signed`: a file that came from here is known by its SHA-256"
            raise InputError("models are not signed", where="signed", hint=hint)
        return Reply(200, await self.replica.aside(self._export), OCTETS)

    async def put(self, call: Call) -> Reply:
        """Let a model that was exported here serve again."""
        call.caller.require_channel(self.channel)
        await self.replica.aside(self._put, call.body, actor(call))
        return Reply(204, b"")

    async def reset(self, call: Call) -> Reply:
        """Let no model serve until one is put back or the learner is followed again."""
        call.caller.require_channel(self.channel)
        await self.replica.aside(self._reset, actor(call))
        return Reply(204, b"")

    async def properties(self, call: Call) -> Reply:
        """When the model that serves was made, and since when it serves."""
        call.caller.require_channel(self.channel)
        return Reply(200, msgspec.json.encode(await self.replica.aside(self._properties)))

    async def log_properties(self, call: Call) -> Reply:
        """From when to when there are events."""
        call.caller.require_channel(self.channel)
        return Reply(200, msgspec.json.encode(await self.replica.aside(self._log_properties)))

    async def delete_log(self, call: Call) -> Reply:
        """Refused: learning, audit and evaluation rest on the log."""
        call.caller.require_channel(self.channel)
        raise InputError(
            "the log is not deleted over this API",
            where="logs",
            hint="learning, audit and evaluation rest on it; closed days leave the store by `nba log archive`",
        )

    def _export(self) -> bytes:
        with self.replica.database.read() as connection:
            version = serving_store.serving(connection)
            if version == serving_store.NONE:
                raise UnknownIdError("no model serves", where="model")
            stored = model_store.read(connection, version)
        content = _file(stored)
        if content is None:
            hint = "only the newest models' files are kept; publish a newer one"
            raise UnknownIdError("its file is not kept any more", where=f"model {version}", hint=hint)
        return content

    def _put(self, content: bytes, who: str) -> None:
        if not content:
            raise InputError("is empty", where="model")
        version = self._known(hashlib.sha256(content).hexdigest())
        if version is None:
            raise InputError(
                "is no model that was exported here",
                where="model",
                got=f"{len(content):,} bytes",
                hint="it cannot be guarded without its manifest; `nba train` learns a model from a log",
            )
        try:
            serving.publish(
                self.replica.workspace,
                self.replica.database,
                version,
                who=who,
                why="its file was put back",
                clock=self.replica.now_s,
            )
        except ModelError as error:
            raise InputError(
                error.what, where=error.where, got=error.got, allowed=error.allowed, hint=error.hint
            ) from error
        self.replica.feed.poll()

    def _known(self, sha256: str) -> str | None:
        with self.replica.database.read() as connection:
            for row in model_store.listing(connection, limit=LOOKED_AT):
                if row.manifest.model_sha256 == sha256:
                    return row.manifest.version
                if row.manifest.members and row.model_kept:
                    content = _file(model_store.read(connection, row.manifest.version))
                    if content is not None and hashlib.sha256(content).hexdigest() == sha256:
                        return row.manifest.version
        return None

    def _reset(self, who: str) -> None:
        serving.reset(self.replica.database, who=who, why="the model was reset", clock=self.replica.now_s)
        self.replica.feed.poll()

    def _properties(self) -> ModelProperties:
        with self.replica.database.read() as connection:
            version = serving_store.serving(connection)
            change = serving_store.last_change(connection)
        if version == serving_store.NONE:
            return ModelProperties()
        made = model_store.manifest_of(self.replica.database, version).created_at
        since = change.at if change is not None and change.serves == version else made
        return ModelProperties(creation_time=moment(made), last_modified_time=moment(since))

    def _log_properties(self) -> LogProperties:
        query = sa.select(decisions.c.decided_at).where(decisions.c.channel == self.channel).limit(1)
        with self.replica.database.read() as connection:
            first = connection.execute(query.order_by(decisions.c.decided_at, decisions.c.id)).scalar_one_or_none()
            last = connection.execute(
                query.order_by(decisions.c.decided_at.desc(), decisions.c.id.desc())
            ).scalar_one_or_none()
        if first is None or last is None:
            return LogProperties(date_range=DateRange())
        return LogProperties(date_range=DateRange(since=moment(first), until=moment(last)))


def _file(stored: StoredModel) -> bytes | None:
    """The model's own bytes, without its ensemble's; checked."""
    if stored.model is None:
        return None
    check_bytes("VW's file", stored.model, stored.manifest.model_length, stored.manifest.model_sha256)
    return taken_apart(stored.model, stored.manifest.members + 1)[0]
