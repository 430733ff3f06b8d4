"""Trying again what could not be learned, once somebody has mended what was wrong with it."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import sqlalchemy as sa

from bandit_nba.learn.careful import MOST_POISON, CarefulRegressor
from bandit_nba.learn.examples import ExampleMaker
from bandit_nba.learn.learner import lineage_of
from bandit_nba.learn.log import Poison
from bandit_nba.online import definitions
from bandit_nba.store import audit_log
from bandit_nba.store.archive.restore import Archive
from bandit_nba.store.database import Database
from bandit_nba.store.driver.bulk import chunks
from bandit_nba.store.learner import quarantine
from bandit_nba.store.learner.learning import LearningStore
from bandit_nba.store.registry import definitions as store_definitions
from bandit_nba.store.tables import decisions, outcomes
from bandit_nba.workspace import Workspace

ERASED = "FactsErased"

_SHOWN = [
    decisions.c[name]
    for name in (
        "customer",
        "channel",
        "decided_at",
        "matures_at",
        "kind",
        "arm",
        "catalogue_version",
        "inline_actions",
    )
]


@dataclass(frozen=True)
class Replayed:
    """What came of trying again: these the learner takes up, in their place; those failed again and stay held."""

    released: tuple[str, ...]
    failed: tuple[Poison, ...]


def replay(
    workspace: Workspace,
    database: Database,
    ids: Sequence[str] = (),
    *,
    who: str,
    clock: Callable[[], float] = time.time,
) -> Replayed:
    """Make examples of held decisions under today's definitions and learn them on a model that is thrown away.

    ids: which; empty for all that are held. What can be learned is released in one transaction, with an entry in the
    audit log: the learner then begins a new lineage in which each stands in its place in the order.

    Raises
    ------
    UnknownIdError, RefusedError
        If one of `ids` is not held.
    """
    with database.read() as connection:
        wanted = quarantine.held(connection, ids)
    failed = _tried(_in_force(workspace, database), database, wanted, clock=clock)
    bad = {one.decision for one in failed}
    good = [decision for decision in wanted if decision not in bad]
    with database.write() as connection:
        still = set(quarantine.held(connection, ()))
        good = [decision for decision in good if decision in still]
        quarantine.hold(connection, [one for one in failed if one.decision in still], now_s=clock())
        quarantine.release(connection, good, now_s=clock(), who=who)
        _note(connection, "quarantine.replay", good, who=who, now_s=clock())
    return Replayed(released=tuple(good), failed=tuple(failed))


def drop(database: Database, ids: Sequence[str], *, who: str, clock: Callable[[], float] = time.time) -> list[str]:
    """Give held decisions up for good, with an entry in the audit log; raises as `replay`."""
    with database.write() as connection:
        wanted = quarantine.held(connection, ids)
        quarantine.drop(connection, wanted, now_s=clock(), who=who)
        _note(connection, "quarantine.drop", wanted, who=who, now_s=clock())
    return wanted


def _in_force(workspace: Workspace, database: Database) -> Workspace:
    """With the catalogue that the learner goes by."""
    with database.read() as connection:
        found = store_definitions.catalogue_in_force(connection)
    if found is None or found.version == workspace.catalogue.version:
        return workspace
    return definitions.with_catalogue(workspace, definitions.catalogue(database, found.version))


def _tried(workspace: Workspace, database: Database, ids: Sequence[str], *, clock: Callable[[], float]) -> list[Poison]:
    log = LearningStore(database, clock=clock, holder="replay", archive=Archive(workspace.archive_folder))
    maker = ExampleMaker(
        workspace.policy.features, workspace.catalogue.facts, workspace.rewards, catalogue=log.catalogue
    )
    lineage = lineage_of(workspace.policy, workspace.rewards, feature_version=maker.featuriser.version)
    failed: list[Poison] = []
    for chunk in chunks(ids, MOST_POISON):
        batch = log.batch(chunk)
        kept = [i for i, facts in enumerate(batch.facts) if facts is not None]
        known = {batch.windows.ids[i] for i in kept}
        erased = [decision for decision in chunk if decision not in known]
        failed += [Poison(decision, ERASED, "its facts were erased: drop it") for decision in erased]
        failed += CarefulRegressor(maker, lineage).learn(batch.pick(kept))
    return failed


def _note(connection: sa.Connection, action: str, ids: Sequence[str], *, who: str, now_s: float) -> None:
    for decision in ids:
        audit_log.append(connection, now_s=now_s, actor=who, action=action, subject=decision)


def raw_rows(connection: sa.Connection, archive: Archive, decision: str) -> dict[str, object]:
    """What the log holds of a decision, as text and numbers, however damaged: facts, row and outcomes that name it.

    Raises
    ------
    StoreError
        If the decision is archived, and the archive lacks it.
    """
    shown = connection.execute(sa.select(*_SHOWN).where(decisions.c.id == decision)).mappings().one_or_none()
    row = None if shown is None else dict(shown)
    query = sa.select(decisions.c.facts, decisions.c.archived_on).where(decisions.c.id == decision)
    facts, day = connection.execute(query).one_or_none() or (None, None)
    if row is not None and day is not None:
        facts, row["inline_actions"] = archive.lessons([(day, row["decided_at"], decision)])[decision]
    named = sa.select(outcomes.c.id, outcomes.c.type, outcomes.c.amount, outcomes.c.received_at)
    found = connection.execute(named.where(outcomes.c.decision == decision).order_by(outcomes.c.received_at))
    return {
        "row": None if row is None else {name: _readable(value) for name, value in row.items()},
        "facts": _readable(facts),
        "outcomes": [dict(one._mapping) for one in found],
    }


def _readable(value: object) -> object:
    return bytes(value).decode("utf-8", "backslashreplace") if isinstance(value, bytes | memoryview) else value
