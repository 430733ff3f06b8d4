"""The decision log for the learner: what has matured and is not learned yet, and the checkpoint that marks it.

Why no outcome slips through
----------------------------
An outcome counts iff received_at <= matures_at. It must not happen that the learner reads a decision as matured and an
outcome that counts for it is committed only afterwards. Three rules exclude it:

1. `received_at` is stamped inside the write transaction that stores the outcome, by `stamp`.
2. The learner reads its horizon inside a write transaction of its own (`claim`), takes only decisions with
   matures_at < horizon, and leaves the horizon in the store. It never goes back.
3. It reads decisions and outcomes in one snapshot that begins after `claim` has ended.

Write transactions are serial: SQLite's hold the write lock from BEGIN IMMEDIATE to the end of the commit, PostgreSQL's
that stamp hold an advisory lock (see `stamp`). So an outcome's transaction either ended before `claim` began, and the
later snapshot shows it, or it began after `claim` had ended; then received_at >= horizon > matures_at, and it does not
count: no stamp is earlier than the horizon in the store, whatever the clocks of these machines say. The same holds for
the stamp of an activation. A decision that would mature before the horizon is not written but made again (see
`online.decider`), so that the order of learning, (matures_at, id), depends on the log alone.

Why nothing is learned twice or forgotten
-----------------------------------------
Whether a decision was learned is a mark in its own row, not a cursor: a row that a slow transaction commits late, below
others already learned, still has no mark and is found. Marks and model are written in one transaction, which begins by
comparing the fence number of the lease: of two learners that both believe to hold it only one commits.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from typing import Any

import msgspec
import numpy as np
import sqlalchemy as sa

from bandit_nba.catalogue import Catalogue
from bandit_nba.decide.slates.log import first_slot
from bandit_nba.errors import StoreError
from bandit_nba.learn.join import Outcomes, Windows
from bandit_nba.learn.log import Checkpoint, Claim, LoggedBatch, Position
from bandit_nba.learn.manifest import StoredModel
from bandit_nba.store.archive.restore import NO_ARCHIVE, Archive
from bandit_nba.store.database import Database
from bandit_nba.store.driver.bulk import IN_LIST, Session, backend_of, chunks, fetched, select_in
from bandit_nba.store.learner import leases, quarantine
from bandit_nba.store.learner.backlog import Backlog
from bandit_nba.store.log import decisions as log
from bandit_nba.store.registry import definitions, models, serving
from bandit_nba.store.steady import SteadyClock, steady
from bandit_nba.store.tables import NEVER, TEACHES_NOTHING, decisions, meta, outcomes

_LEASE = "learner"
_CLOCK_LOCK = 7_243_501_339  # PostgreSQL advisory lock, any fixed number
_SHARE_CLOCK_LOCK = f"SELECT pg_advisory_xact_lock_shared({_CLOCK_LOCK})"
_HORIZON = "learning_horizon"
READ_HORIZON = f"SELECT value FROM meta WHERE name = '{_HORIZON}'"  # noqa: S608 (a constant); each writer asks this

_NOT_IN_TIME = decisions.c.activate_by.is_not(None) & (
    decisions.c.activated_at.is_(None) | (decisions.c.activated_at > decisions.c.activate_by)
)
_LEARNABLE = decisions.c.learned_in.is_(None) & (decisions.c.kind == "normal") & ~_NOT_IN_TIME
_LEARNED = decisions.c.learned_in.is_not(None) & ~TEACHES_NOTHING
_ORDER = (decisions.c.matures_at, decisions.c.id)
_ROW = sa.select(
    decisions.c.id,
    decisions.c.customer,
    decisions.c.channel,
    decisions.c.arm,
    decisions.c.catalogue_version,
    decisions.c.facts,
    decisions.c.decided_at,
    decisions.c.matures_at,
    decisions.c.inline_actions,
    decisions.c.slate,
    decisions.c.archived_on,
).order_by(*_ORDER)
# Lists are bound by name: SQLAlchemy then compiles each statement once and looks at no member of a list.
_IDS: sa.BindParameter[Any] = sa.bindparam("ids", expanding=True)
_KEYS: sa.BindParameter[Any] = sa.bindparam("keys", expanding=True)  # what `select_in` asks for
_BY_ID = _ROW.where(decisions.c.id.in_(_KEYS))
_MARK = sa.update(decisions).where(decisions.c.id.in_(_IDS)).values(learned_in=sa.bindparam("mark"))
_MARK_UNMARKED = _MARK.where(decisions.c.learned_in.is_(None))
_OUTCOME = sa.select(
    outcomes.c.id,
    outcomes.c.decision,
    outcomes.c.customer,
    outcomes.c.type,
    outcomes.c.amount,
    outcomes.c.received_at,
    outcomes.c.slot,
)
_NAMING_A_DECISION = _OUTCOME.where(outcomes.c.decision.in_(_KEYS))
_NAMING_A_CUSTOMER = _OUTCOME.where(
    outcomes.c.customer.in_(_KEYS),
    outcomes.c.received_at.between(sa.bindparam("opens_at", 0.0), sa.bindparam("closes_at", 0.0)),
    outcomes.c.decision.is_(None),
)


def hold_horizon(connection: Session) -> float:
    """Before when all that matured may have been learned; it cannot move on until this write transaction has ended.

    On SQLite the transaction's write lock does that. On PostgreSQL writers share a lock until they have committed, and
    `claim` waits for it alone; ask for it before any other lock, or two writers and the learner wait in a circle.
    """
    if backend_of(connection) == "postgresql":
        fetched(connection, _SHARE_CLOCK_LOCK, ())
    return _horizon(connection)


def stamp(connection: sa.Connection, clock: Callable[[], float]) -> float:
    """The time to write on what this write transaction stores: the clock's, but never before the horizon."""
    floor = hold_horizon(connection)
    now_s = clock()
    if now_s < floor and isinstance(clock, SteadyClock):
        clock.not_before(floor)
    return max(now_s, floor)


def _horizon(connection: Session) -> float:
    found = fetched(connection, READ_HORIZON, ())
    return float(found[0][0]) if found else float("-inf")


def _move_horizon(connection: sa.Connection, now_s: float) -> None:
    change = sa.update(meta).where(meta.c.name == _HORIZON).values(value=repr(now_s))
    if not connection.execute(change).rowcount:
        connection.execute(sa.insert(meta).values(name=_HORIZON, value=repr(now_s)))


class LearningStore:
    """`learn.log.LearningLog` on a database, for one learner. `holder` must be unique to this process and its start."""

    def __init__(
        self,
        database: Database,
        *,
        clock: Callable[[], float],
        holder: str,
        lease_s: float = 15.0,
        archive: Archive = NO_ARCHIVE,
    ) -> None:
        self._database = database
        self._archive = archive
        self._clock = steady(clock)
        self._holder = holder
        self._lease_s = lease_s

    def claim(self) -> Claim | None:
        """Take or keep the lease, and with it the horizon (see the head of this module); the holder also expires.

        Decisions that were not activated in time are marked here: an activation stamped in time is committed by now.
        """
        with self._database.write() as connection:
            if connection.dialect.name == "postgresql":
                connection.execute(sa.select(sa.func.pg_advisory_xact_lock(_CLOCK_LOCK)))
            self._clock.not_before(_horizon(connection))
            now_s = self._clock()
            lease = leases.acquire(connection, _LEASE, holder=self._holder, now_s=now_s, lease_s=self._lease_s)
            if lease is not None:
                log.expire(connection, now_s=now_s)
                _move_horizon(connection, now_s)
            waiting = quarantine.released(connection)
        return None if lease is None else Claim(fence=lease.fence, horizon=now_s, released=waiting)

    def release(self) -> None:
        """Give the lease back, if this learner has it."""
        with self._database.write() as connection:
            leases.release(connection, _LEASE, holder=self._holder)

    def newest(self) -> StoredModel | None:
        """The newest model with VW's bytes, not verified."""
        with self._database.read() as connection:
            version = models.newest(connection)
            if version is None:
                return None
            return replace(models.read(connection, version), quarantined=serving.is_quarantined(connection, version))

    def catalogue(self, version: str) -> Catalogue:
        """The catalogue stored under this version; a missing one is no fault of the decisions made under it."""
        with self._database.read() as connection:
            content = definitions.get(connection, "catalogue", version)
        if content is None:
            raise StoreError("holds no such catalogue version", where="definitions", got=version)
        return msgspec.json.decode(content, type=Catalogue)

    def matured(self, claim: Claim, *, after: Position, limit: int) -> LoggedBatch:
        """The next batch: one query for decisions with their facts, two per 500 of them for outcomes, one snapshot."""
        query = _ROW.where(_LEARNABLE, decisions.c.matures_at < claim.horizon).limit(limit)
        if after[0] > float("-inf"):
            query = query.where(sa.tuple_(*_ORDER) > sa.tuple_(*map(sa.literal, after)))
        with self._database.read() as connection:
            return _batch(connection, [connection.execute(query).all()], self._archive)

    def learned(self) -> Backlog:
        """Sorted by the database and spilled to a file: 1,000,000 ids take three seconds and no memory."""
        with self._database.read() as connection:
            return Backlog(waiting_ids(connection, _LEARNED))

    def batch(self, ids: Sequence[str]) -> LoggedBatch:
        """Logged decisions by id; `ids` are in learning order already, list by list."""
        with self._database.read() as connection:
            lists = (select_in(connection, _BY_ID, chunk) for chunk in chunks(ids, IN_LIST))
            return _batch(connection, lists, self._archive)

    def commit(self, claim: Claim, checkpoint: Checkpoint) -> bool:
        """One transaction: fence, model, marks; False also where the model's parent was quarantined meanwhile."""
        lease = leases.Lease(name=_LEASE, holder=self._holder, fence=claim.fence)
        with self._database.write() as connection:
            if not leases.holds(connection, lease):
                return False
            if checkpoint.model is not None:
                if serving.is_quarantined(connection, checkpoint.model.manifest.parent):
                    return False
                models.publish(connection, checkpoint.model)
                models.prune(connection)
                version = checkpoint.model.manifest.version
                _check_learned_once(_mark(connection, _MARK_UNMARKED, checkpoint.learned, version), checkpoint.learned)
                quarantine.settle(connection, checkpoint.released, version)
            quarantine.hold(connection, checkpoint.quarantined, now_s=self._clock())
            _mark(connection, _MARK, checkpoint.never, NEVER)
        return True


def close_horizon(database: Database, clock: Callable[[], float]) -> float:
    """Move the horizon to now without the lease: whatever matured before is complete for good, for any reader."""
    with database.write() as connection:
        if connection.dialect.name == "postgresql":
            connection.execute(sa.select(sa.func.pg_advisory_xact_lock(_CLOCK_LOCK)))
        now_s = max(clock(), _horizon(connection))
        _move_horizon(connection, now_s)
    return now_s


def teaches(horizon: float) -> sa.ColumnElement[bool]:
    """Decisions that matured before the horizon and can be learned, whether a model has learned them or not."""
    set_apart = decisions.c.learned_in.is_not(None) & TEACHES_NOTHING
    return (decisions.c.matures_at < horizon) & (decisions.c.kind == "normal") & ~_NOT_IN_TIME & ~set_apart


def waiting_ids(connection: sa.Connection, which: sa.ColumnElement[bool]) -> Iterator[Sequence[str]]:
    """Ids of these decisions in learning order, page by page."""
    query = sa.select(decisions.c.id).where(which).order_by(*_ORDER)
    yield from connection.execute(query, execution_options={"yield_per": 2_000}).scalars().partitions()


def _mark(connection: sa.Connection, statement: sa.Update, ids: Sequence[str], mark: str) -> int:
    lists = chunks(ids, IN_LIST)
    return sum(connection.execute(statement, {"ids": chunk, "mark": mark}).rowcount for chunk in lists)


def _check_learned_once(marked: int, ids: Sequence[str]) -> None:
    """A decision that has a mark already would be learned twice; one that is gone was erased meanwhile."""
    if marked != len(ids):
        raise StoreError(
            "decisions to be marked as learned are gone or marked already",
            where="decisions.learned_in",
            got=f"{marked} of {len(ids)}",
            hint="the learner goes on from the last checkpoint",
        )


def _batch(connection: sa.Connection, lists: Iterable[Sequence[Any]], archive: Archive) -> LoggedBatch:
    columns: list[list[Any]] = [[] for _ in _ROW.selected_columns]
    for rows in lists:  # each list is let go before the next: thousands of tuples at once keep the collector busy
        for column, cells in zip(columns, zip(*rows, strict=True), strict=False):
            column += cells
    ids, customers, channels, arms, catalogues, facts, decided_at, matures_at, inline, slates, archived = map(
        tuple, columns
    )
    if any(archived):
        keys = [key for key in zip(archived, decided_at, ids, strict=True) if key[0] is not None]
        whole = archive.lessons(keys)
        facts = tuple([whole[i][0] if i in whole else known for i, known in zip(ids, facts, strict=True)])
        inline = tuple([whole[i][1] if i in whole else known for i, known in zip(ids, inline, strict=True)])
    windows = Windows(
        ids=ids,
        customers=customers,
        opens_at=np.array(decided_at, dtype=np.float64),
        closes_at=np.array(matures_at, dtype=np.float64),
        first_slots=[first_slot(slate) for slate in slates] if any(slates) else (),
    )
    return LoggedBatch(
        channels=channels,
        arms=arms,
        catalogues=catalogues,
        facts=facts,
        windows=windows,
        outcomes=outcomes_within(connection, windows),
        inline=inline,
    )


def outcomes_within(connection: sa.Connection, windows: Windows) -> Outcomes:
    """All outcomes that may count for these decisions: those that name one, and those of their customers meanwhile."""
    found = select_in(connection, _NAMING_A_DECISION, windows.ids)
    customers = sorted({customer for customer in windows.customers if customer})
    if customers:
        opens_at, closes_at = float(windows.opens_at.min()), float(windows.closes_at.max())
        found += select_in(connection, _NAMING_A_CUSTOMER, customers, opens_at=opens_at, closes_at=closes_at)
    return Outcomes(
        ids=[row[0] for row in found],
        decisions=[row[1] or "" for row in found],
        customers=[row[2] or "" for row in found],
        types=[row[3] for row in found],
        amounts=np.array([np.nan if row[4] is None else row[4] for row in found], dtype=np.float64),
        slots=[row[6] or "" for row in found],
        received_at=np.array([row[5] for row in found], dtype=np.float64),
    )
