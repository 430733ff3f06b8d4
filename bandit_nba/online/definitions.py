"""Leaves in the store what decisions are made by, so that they can be recomputed when the files have changed.

Of catalogues the store also holds which one is in force. The first start puts the file in force; from then on only
`nba catalogue apply` does. A start with a changed file goes on with the catalogue in force and says so: replicas are
started again at any time, also while somebody is half way through an edit. A policy comes into force by a start with
its file, or by `nba promote`, which replicas follow while they run.
"""

import datetime
import logging
import time
from collections.abc import Callable
from dataclasses import replace

import msgspec

from bandit_nba.catalogue import Catalogue
from bandit_nba.catalogue.changes import refuse_other_kinds
from bandit_nba.catalogue.rules import compile_rules
from bandit_nba.decide.engine import Engine
from bandit_nba.decide.policy import Policy
from bandit_nba.errors import NbaError, SettingsError, StoreError
from bandit_nba.store.database import Database
from bandit_nba.store.registry import definitions
from bandit_nba.store.registry.definitions import InForce
from bandit_nba.workspace import Workspace

log = logging.getLogger("nba.catalogue")

_CANONICAL = msgspec.json.Encoder(order="sorted")


def register(workspace: Workspace, database: Database, *, clock: Callable[[], float] = time.time) -> Workspace:
    """Keep catalogue, policy, features and reward definition under their versions; again changes nothing.

    Returns the workspace with the catalogue in force, which is its own unless another one has been applied.
    """
    parts: dict[definitions.Kind, tuple[str, object]] = {
        "policy": (workspace.policy.version, workspace.policy),
        "features": (workspace.policy.features.version, workspace.policy.features),
        "reward": (workspace.rewards.version, workspace.rewards),
    }
    with database.write() as connection:
        now_s = clock()
        for kind, (version, definition) in parts.items():
            definitions.put(connection, kind, version, _CANONICAL.encode(definition), now_s=now_s)
        definitions.put_in_force(connection, "policy", workspace.policy.version, now_s=now_s)
        found = definitions.catalogue_in_force(connection)
        if found is None or found.version == workspace.catalogue.version:
            definitions.put(
                connection,
                "catalogue",
                workspace.catalogue.version,
                _CANONICAL.encode(workspace.catalogue),
                now_s=now_s,
            )
            if found is None:
                definitions.put_in_force(connection, "catalogue", workspace.catalogue.version, now_s=now_s)
            return workspace
    log.warning("%s", file_differs(workspace, found))
    return with_catalogue(workspace, catalogue(database, found.version))


def apply(workspace: Workspace, database: Database, *, clock: Callable[[], float] = time.time) -> InForce:
    """Put the workspace's catalogue in force: definition and pointer in one transaction.

    Once this has returned no replica writes a decision under any other catalogue.

    Raises
    ------
    RefusedError
        If a fact becomes of another kind than the catalogue in force declares.
    SettingsError
        If it does not fit the policy that the running service was started with.
    """
    made = workspace.catalogue
    with database.read() as connection:
        before = definitions.catalogue_in_force(connection)
        started_with = definitions.policy_in_force(connection)
    if before is not None:
        refuse_other_kinds(catalogue(database, before.version), made)
    if started_with not in (None, _CANONICAL.encode(workspace.policy)):
        _check_fits(workspace, msgspec.json.decode(started_with, type=Policy))
    with database.write() as connection:
        now_s = clock()
        definitions.put(connection, "catalogue", made.version, _CANONICAL.encode(made), now_s=now_s)
        definitions.put_in_force(connection, "catalogue", made.version, now_s=now_s)
    return InForce(made.version, now_s)


def _check_fits(workspace: Workspace, policy: Policy) -> None:
    """Make what a replica with that policy will make."""
    try:
        Engine(workspace.catalogue, workspace.rules, policy, workspace.salt, reward_unit=workspace.rewards.unit)
    except NbaError as error:
        raise SettingsError(
            f"does not fit the policy that the service was started with ({error})",
            where="catalogue.toml",
            hint="restart the service, so that it takes policy.toml as it is now, and apply again",
        ) from error


def promote(policy: Policy, database: Database, *, clock: Callable[[], float] = time.time) -> bool:
    """Put a policy in force for replicas that run: definition and pointer in one transaction.

    Returns whether they take it as they are, when they look next; False: it needs other models than the policy before
    (`same_models`), so that service and learner have to be started again with it.
    """
    with database.write() as connection:
        before = definitions.policy_in_force(connection)
        now_s = clock()
        definitions.put(connection, "policy", policy.version, _CANONICAL.encode(policy), now_s=now_s)
        definitions.put(
            connection, "features", policy.features.version, _CANONICAL.encode(policy.features), now_s=now_s
        )
        definitions.put_in_force(connection, "policy", policy.version, now_s=now_s)
    return before is None or same_models(msgspec.json.decode(before, type=Policy), policy)


def same_models(one: Policy, other: Policy) -> bool:
    """Whether both policies act by the same models: same features, VW options and ensemble."""
    return (one.features, one.learning, one.ensemble) == (other.features, other.learning, other.ensemble)


def policy(database: Database, version: str) -> Policy:
    """A policy by its version.

    Raises
    ------
    SettingsError
        If it is gone, or written by a newer program.
    """
    with database.read() as connection:
        content = definitions.get(connection, "policy", version)
    try:
        return msgspec.json.decode(content or b"", type=Policy)
    except msgspec.DecodeError as error:
        raise SettingsError(
            f"cannot be read ({error})", where=f"policy {version}", hint="was it written by a newer program?"
        ) from None


def catalogue(database: Database, version: str) -> Catalogue:
    """A catalogue by its version.

    Raises
    ------
    StoreError
        If it is gone, or written by a newer program.
    """
    with database.read() as connection:
        content = definitions.get(connection, "catalogue", version)
    if content is None:
        raise StoreError("holds no such catalogue version", where="definitions", got=version)
    try:
        found = msgspec.json.decode(content, type=Catalogue)
    except msgspec.DecodeError as error:
        raise StoreError(
            f"cannot be read ({error})", where=f"catalogue {version}", hint="was it written by a newer program?"
        ) from None
    # It goes by the name under which it is kept, also where this program reads more fields than the one that wrote it.
    vars(found)["version"] = version
    return found


def with_catalogue(workspace: Workspace, catalogue: Catalogue) -> Workspace:
    """The workspace with another catalogue in place of its own."""
    return replace(workspace, catalogue=catalogue, rules=compile_rules(catalogue))


def file_differs(workspace: Workspace, found: InForce) -> str:
    """What to tell where catalogue.toml is not what is in force."""
    since = datetime.datetime.fromtimestamp(found.since, datetime.UTC).isoformat(timespec="seconds")
    return (
        f"catalogue.toml (version {workspace.catalogue.version}) is not in force; in force since {since} is version "
        f"{found.version}. Compare: nba catalogue diff {workspace.path}  Put the file in force: nba catalogue apply "
        f"{workspace.path}"
    )
