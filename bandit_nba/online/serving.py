"""Choosing what serves, by hand: publish a model by name, go back to an earlier one, follow the learner again.

Nothing is chosen that would not pass the static guard under the policy in force, and every change stands in the log of
changes and in the audit log, in one transaction. The running replicas ask within a second (see `model_feed`).
"""

import time
from collections.abc import Callable

import msgspec

from bandit_nba.decide.policy import Policy
from bandit_nba.errors import ModelError, RefusedError
from bandit_nba.learn.guard import Demands
from bandit_nba.online import definitions
from bandit_nba.store import audit_log
from bandit_nba.store.database import Database
from bandit_nba.store.registry import definitions as definition_store
from bandit_nba.store.registry import models, serving
from bandit_nba.store.registry.serving import Change, What
from bandit_nba.workspace import Workspace

LOOK_BACK = 20
"""How many earlier models are tried where none is named: each that the guard refuses is passed over."""


def demands(workspace: Workspace, database: Database) -> Demands:
    """What the policy and the catalogue in force demand of a model; of the workspace's files before the first start."""
    with database.read() as connection:
        found = definition_store.catalogue_in_force(connection)
        policy = definition_store.policy_in_force(connection)
    catalogue = workspace.catalogue if found is None else definitions.catalogue(database, found.version)
    return Demands.of(workspace.policy if policy is None else msgspec.json.decode(policy, type=Policy), catalogue)


def publish(
    workspace: Workspace,
    database: Database,
    version: str,
    *,
    who: str,
    why: str,
    clock: Callable[[], float] = time.time,
) -> Change:
    """Let one model serve, whatever the learner publishes, until the next change.

    Raises
    ------
    UnknownIdError
        If there is no such model; the nearest version is the hint.
    ModelError
        If the static guard refuses it: nothing has changed then.
    """
    models.load_scorer(database, version, demands=demands(workspace, database))
    return _change(database, "publish", version, who=who, why=why, clock=clock)


def follow(database: Database, *, who: str, why: str, clock: Callable[[], float] = time.time) -> Change:
    """Let the newest model serve that is not quarantined, and each newer one as the learner publishes it."""
    return _change(database, "follow", "", who=who, why=why, clock=clock)


def reset(database: Database, *, who: str, why: str, clock: Callable[[], float] = time.time) -> Change:
    """Let no model serve until the next change, whatever the learner publishes; it goes on learning meanwhile."""
    return _change(database, "publish", serving.NONE, who=who, why=why, clock=clock)


def roll_back(
    workspace: Workspace,
    database: Database,
    version: str = "",
    *,
    who: str,
    why: str,
    clock: Callable[[], float] = time.time,
) -> Change:
    """Let an earlier model serve: the one named, or the last before that passes the guard.

    Raises
    ------
    UnknownIdError
        If there is no such model.
    RefusedError
        If it is not older than the one that serves, or there is none to go back to.
    ModelError
        If the static guard refuses the one named.
    """
    demanded = demands(workspace, database)
    with database.read() as connection:
        current = serving.serving(connection)
        earlier = serving.before(connection, current, limit=LOOK_BACK)
        known = float("inf") if current == serving.NONE else models.serial_of(connection, current)
        if version and models.serial_of(connection, version) >= known:
            raise RefusedError(
                "is no earlier model than the one that serves",
                where=f"model {version}",
                allowed=", ".join(earlier[:5]),
                hint="`nba models publish` lets a later model serve",
            )
    if version:
        models.load_scorer(database, version, demands=demanded)
        return _change(database, "rollback", version, who=who, why=why, clock=clock)
    for one in earlier:
        try:
            models.load_scorer(database, one, demands=demanded)
        except ModelError:
            continue
        return _change(database, "rollback", one, who=who, why=why, clock=clock)
    raise RefusedError(
        "there is no earlier model to go back to",
        where=f"model {current}",
        got=f"{len(earlier)} earlier ones, none of which passes the guard" if earlier else "no earlier one",
        hint="`nba models verify --all` says what is wrong with each",
    )


def _change(database: Database, what: What, version: str, *, who: str, why: str, clock: Callable[[], float]) -> Change:
    with database.write() as connection:
        now_s = clock()
        made = serving.change(connection, what, version, who=who, why=why, now_s=now_s)
        audit_log.append(
            connection,
            now_s=now_s,
            actor=who,
            action=f"model.{what}",
            subject=version or "the newest",
            detail={"before": made.before, "why": why},
        )
    return made
