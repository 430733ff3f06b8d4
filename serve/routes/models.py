"""Models: what was learned, which one serves, and changing that by hand."""

import datetime
from collections.abc import Callable
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from bandit_nba.errors import ModelError, UnknownIdError
from bandit_nba.learn.manifest import Manifest
from bandit_nba.online import serving
from bandit_nba.online.answering import moment
from bandit_nba.online.messages import NO_CONTROL, Message
from bandit_nba.online.replica import Replica
from bandit_nba.store.database import Database
from bandit_nba.store.registry import models as model_store
from bandit_nba.store.registry import serving as serving_store
from serve import problem as problems
from serve.cursor import PAGING, cursor, cut, limit_of, position
from serve.endpoint import Call, Operation, Reply
from serve.refusal import Refused

NEWEST = "newest"
"""In an address, in place of a version: follow the learner."""
PREVIOUS = "previous"
"""In an address, in place of a version: the last model before that may serve."""

State = Literal["serves", "quarantined", ""]


class ModelBrief(Message, frozen=True, kw_only=True):
    """A published model. state: whether it serves, or never will again."""

    version: str
    serial: Annotated[int, Meta(ge=1, description="The order of publication.")]
    state: State
    parent: Annotated[str, Meta(description='The model it went on from; "" for the first of a lineage.')]
    examples_learned: int
    published_at: datetime.datetime
    learned_from: Annotated[datetime.datetime | None, Meta(description="The earliest decision that it learned from.")]
    learned_until: datetime.datetime | None
    feature_version: str
    reward_version: str


class ModelPage(Message, frozen=True, kw_only=True):
    """Models, newest first. follows: the learner's newer models serve as they come."""

    serves: Annotated[str, Meta(description='The version that serves; "none" before the first.')]
    follows: bool
    items: list[ModelBrief]
    next_cursor: Annotated[
        str | None, Meta(description="Give it as `cursor` for the next page; null: this is the last.")
    ]


class ChangeAnswer(Message, frozen=True, kw_only=True):
    """A change of what serves. before: what served until then."""

    at: datetime.datetime
    what: Literal["publish", "follow", "rollback", "quarantine"]
    before: str
    serves: Annotated[str, Meta(description="What serves from then on.")]
    who: str
    why: str


class ModelAnswer(Message, frozen=True, kw_only=True):
    """One model with everything that is known of it."""

    version: str
    serial: int
    state: State
    parent: str
    examples_learned: int
    examples_by_arm: dict[str, int]
    published_at: datetime.datetime
    learned_from: datetime.datetime | None
    learned_until: datetime.datetime | None
    feature_version: str
    reward_version: str
    reward_range: list[float]
    vw_args: str
    ensemble_members: int
    weights_sha256: str
    model_sha256: str
    model_kept: Annotated[bool, Meta(description="Whether VW's own file is still kept; weights always are.")]
    quarantined: Annotated[str, Meta(description='Why it never serves again; "" if it may.')]
    changes: Annotated[list[ChangeAnswer], Meta(description="Those that concern it, the last first.")]


class ModelChangeRequest(Message, frozen=True, kw_only=True):
    """Why what serves is changed."""

    why: Annotated[str, Meta(max_length=1_000, pattern=NO_CONTROL, description="Kept with the change.")] = ""


class ModelChangeAnswer(Message, frozen=True, kw_only=True):
    """What serves now, on every replica within two seconds."""

    serves: str
    follows: bool
    change: ChangeAnswer


_REQUEST = msgspec.json.Decoder(ModelChangeRequest)
_MOST_CHANGES = 1_000
_LONGEST = 64


def operations(replica: Replica) -> list[Operation]:
    """The operations on models."""

    async def listing(call: Call) -> Reply:
        page = await replica.aside(_page, replica.database, position(call, int), limit_of(call))
        return Reply(200, msgspec.json.encode(page))

    async def one(call: Call) -> Reply:
        return Reply(200, msgspec.json.encode(await replica.aside(_one, replica.database, _version(call))))

    async def publish(call: Call) -> Reply:
        version, why, who = _version(call), _REQUEST.decode(call.body).why, actor(call)
        if version == NEWEST:
            return await _changed(
                replica, lambda: serving.follow(replica.database, who=who, why=why, clock=replica.now_s)
            )
        return await _changed(
            replica,
            lambda: serving.publish(
                replica.workspace, replica.database, version, who=who, why=why, clock=replica.now_s
            ),
        )

    async def roll_back(call: Call) -> Reply:
        version, why, who = _version(call), _REQUEST.decode(call.body).why, actor(call)
        named = "" if version == PREVIOUS else version
        done = await replica.aside(_done, replica.database, named)
        if done is not None:  # sent again
            return Reply(200, msgspec.json.encode(ModelChangeAnswer(serves=named, follows=False, change=_change(done))))
        return await _changed(
            replica,
            lambda: serving.roll_back(
                replica.workspace, replica.database, named, who=who, why=why, clock=replica.now_s
            ),
        )

    one_path = "/v1/models/{version}"
    return [
        Operation(
            method="GET",
            path="/v1/models",
            name="listModels",
            scope="report",
            summary="Published models, newest first, a page at a time, and which one serves.",
            handler=listing,
            replies={200: (ModelPage,)},
            refuses=problems.OF_STORE,
            query=PAGING,
            shows={"serves": _SHOWN["version"], "follows": True, "items": [_SHOWN], "nextCursor": None},
        ),
        Operation(
            method="GET",
            path=one_path,
            name="getModel",
            scope="report",
            summary="One model: where it comes from, its checksums, and the changes of what serves that concern it.",
            handler=one,
            replies={200: (ModelAnswer,)},
            refuses=problems.OF_STORE,
            shows={**_SHOWN, **_SHOWN_MORE},
        ),
        Operation(
            method="POST",
            path=f"{one_path}/publish",
            name="publishModel",
            scope="admin",
            summary=(
                "Let this model serve until the next change, once the static guard lets it pass; "
                f"`{NEWEST}` lets the learner's newest serve, and each newer one."
            ),
            handler=publish,
            takes=(ModelChangeRequest,),
            replies={200: (ModelChangeAnswer,)},
            refuses=(problems.REFUSED, *problems.OF_STORE),
            example={"why": "compare with last week's"},
            shows={"serves": _SHOWN["version"], "follows": False, "change": _SHOWN_CHANGE},
        ),
        Operation(
            method="POST",
            path=f"{one_path}/rollback",
            name="rollBackModel",
            scope="admin",
            summary=(
                "Go back to this earlier model until the next change; "
                f"`{PREVIOUS}` goes back to the last before that passes the static guard."
            ),
            handler=roll_back,
            takes=(ModelChangeRequest,),
            replies={200: (ModelChangeAnswer,)},
            refuses=(problems.REFUSED, *problems.OF_STORE),
            example={"why": "complaints since noon"},
            shows={"serves": _SHOWN["version"], "follows": False, "change": {**_SHOWN_CHANGE, "what": "rollback"}},
        ),
    ]


def _version(call: Call) -> str:
    version = call.params["version"]
    if len(version) > _LONGEST:
        raise UnknownIdError("no such model", where="version", got=version[:_LONGEST])
    return version


def actor(call: Call) -> str:
    """Who calls, as changes and the audit log name them: the key's id, never the key."""
    return "api" if call.caller.grant is None else f"key:{call.caller.grant.key_id}"


async def _changed(replica: Replica, change: Callable[[], serving_store.Change]) -> Reply:
    try:
        made = await replica.aside(change)
    except ModelError as error:  # the static guard refuses the model: the caller's trouble, not the service's
        told = problems.problem(problems.REFUSED, error.what, where=error.where, allowed=error.allowed, hint=error.hint)
        raise Refused(problems.REFUSED, told) from error
    now = await replica.aside(_serves, replica.database)
    answer = ModelChangeAnswer(serves=now, follows=not made.serves, change=_change(made))
    return Reply(200, msgspec.json.encode(answer))


def _done(database: Database, version: str) -> serving_store.Change | None:
    """The last change, where it went back to this very version."""
    with database.read() as connection:
        last = serving_store.last_change(connection)
    return last if last is not None and last.what == "rollback" and last.serves == version else None


def _serves(database: Database) -> str:
    with database.read() as connection:
        return serving_store.serving(connection)


def _page(database: Database, before: int | None, limit: int) -> ModelPage:
    with database.read() as connection:
        rows, more = cut(model_store.listing(connection, limit=limit + 1, before=before), limit)
        serves = serving_store.serving(connection)
        last = serving_store.last_change(connection)
        away = serving_store.quarantined(connection)
    return ModelPage(
        serves=serves,
        follows=last is None or not last.serves,
        items=[_brief(row, _state(row.manifest.version, serves, away)) for row in rows],
        next_cursor=cursor(rows[-1].serial) if more else None,
    )


def _one(database: Database, version: str) -> ModelAnswer:
    with database.read() as connection:
        serial = model_store.serial_of(connection, version)
        (row,) = model_store.listing(connection, limit=1, before=serial + 1)
        serves = serving_store.serving(connection)
        away = serving_store.quarantined(connection)
        changes = serving_store.changes(connection, limit=_MOST_CHANGES)
    m = row.manifest
    return ModelAnswer(
        version=m.version,
        serial=serial,
        state=_state(m.version, serves, away),
        parent=m.parent,
        examples_learned=m.examples_learned,
        examples_by_arm=dict(m.arm_examples),
        published_at=moment(m.created_at),
        learned_from=_learned(m, m.learned_from),
        learned_until=_learned(m, m.learned_until),
        feature_version=m.feature_version,
        reward_version=m.reward_version,
        reward_range=list(m.reward_range),
        vw_args=" ".join(m.vw_args),
        ensemble_members=m.members,
        weights_sha256=m.weights_sha256,
        model_sha256=m.model_sha256,
        model_kept=row.model_kept,
        quarantined=away[version].why if version in away else "",
        changes=[_change(change) for change in changes if version in (change.before, change.serves)],
    )


def _brief(row: model_store.ModelRow, state: State) -> ModelBrief:
    m = row.manifest
    return ModelBrief(
        version=m.version,
        serial=row.serial,
        state=state,
        parent=m.parent,
        examples_learned=m.examples_learned,
        published_at=moment(m.created_at),
        learned_from=_learned(m, m.learned_from),
        learned_until=_learned(m, m.learned_until),
        feature_version=m.feature_version,
        reward_version=m.reward_version,
    )


def _state(version: str, serves: str, away: dict[str, serving_store.Quarantined]) -> State:
    if version in away:
        return "quarantined"
    return "serves" if version == serves else ""


def _learned(manifest: Manifest, at_s: float) -> datetime.datetime | None:
    return moment(at_s) if manifest.examples_learned else None


def _change(made: serving_store.Change) -> ChangeAnswer:
    return ChangeAnswer(
        at=moment(made.at), what=made.what, before=made.before, serves=made.serves or NEWEST, who=made.who, why=made.why
    )


_SHOWN = {
    "version": "0b5c1e7f9a2d",
    "serial": 12,
    "state": "serves",
    "parent": "9d41c07be3aa",
    "examplesLearned": 48_210,
    "publishedAt": "2026-05-04T09:30:02Z",
    "learnedFrom": "2026-04-01T00:00:11Z",
    "learnedUntil": "2026-05-04T09:00:00Z",
    "featureVersion": "71c0a9d2e5f4",
    "rewardVersion": "c3a8e01b77d9",
}
_SHOWN_CHANGE = {
    "at": "2026-05-04T09:31:00Z",
    "what": "publish",
    "before": "9d41c07be3aa",
    "serves": "0b5c1e7f9a2d",
    "who": "key:k7f2",
    "why": "compare with last week's",
}
_SHOWN_MORE = {
    "examplesByArm": {"no_action": 20_010, "fiber_upgrade/speed": 28_200},
    "rewardRange": [0.0, 1.0],
    "vwArgs": "--cb_adf --cb_type mtr -b 18 -q UA -q RA",
    "ensembleMembers": 0,
    "weightsSha256": "5d41402abc4b2a76b9719d911017c5925d41402abc4b2a76b9719d911017c592",
    "modelSha256": "7d793037a0760186574b0282f2f435e77d793037a0760186574b0282f2f435e7",
    "modelKept": True,
    "quarantined": "",
    "changes": [_SHOWN_CHANGE],
}
