"""The decision log: written once, read for replays, activation, audit and evaluation."""

from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from operator import attrgetter
from typing import Literal

import msgspec
import sqlalchemy as sa
from sqlalchemy.sql.dml import Insert

from bandit_nba.decide.batch import Kind
from bandit_nba.decide.record import DecisionRecord
from bandit_nba.store.driver.bulk import IN_LIST, Session, backend_of, chunks, execute_many, select_in
from bandit_nba.store.tables import NEVER, OVERRIDDEN, QUARANTINED, TEACHES_NOTHING, decisions

Activation = Literal["activated", "already", "expired", "unknown"]

_ANSWERED = sa.select(decisions.c.id, decisions.c.payload_sha256, decisions.c.answer).where(
    decisions.c.id.in_(sa.bindparam("keys", expanding=True))
)
_NOT_LEARNED = decisions.c.learned_in.is_(None)
_USUAL: Mapping[str, object] = {
    "activate_by": None,
    "activated_at": None,
    "kind": "normal",
    "component": "",
    "component_share": None,
    "component_probabilities": None,
    "assignment": "none",
    "experiment": "",
    "shadow": None,
    "support": True,
    "slate": None,
    "inline_actions": None,
    "picked": None,
    "picked_at": None,
    "learned_in": None,
    "origin": None,
    "archived_on": None,
}
"""What nearly all new decisions have: where all of a batch have it, it is part of the statement's text. Each value that
is not handed over saves 0.1 to 0.4 us a row on SQLite: with all of them 5 of 16 us."""
_USUAL_VALUES = tuple(_USUAL.values())
_usual_of = attrgetter(*_USUAL)
_FULL = sa.select(*decisions.c)
_BRIEF = sa.select(
    decisions.c.id,
    decisions.c.channel,
    decisions.c.kind,
    decisions.c.arm,
    decisions.c.propensity,
    decisions.c.decided_at,
    decisions.c.valid_until,
    decisions.c.activate_by,
    decisions.c.activated_at,
    decisions.c.catalogue_version,
    decisions.c.policy_version,
    decisions.c.model_version,
    decisions.c.inline_actions.is_not(None).label("brought"),
)
_TEACHING_NOTHING = (
    sa.select(decisions.c.learned_in, decisions.c.kind, sa.func.count())
    .where(TEACHES_NOTHING)
    .group_by(decisions.c.learned_in, decisions.c.kind)
)


class Stored(msgspec.Struct, frozen=True, gc=False):
    """What an id was answered: the request's SHA-256 and the response body, byte for byte."""

    payload_sha256: bytes
    answer: bytes


@dataclass(frozen=True)
class DecisionCounts:
    """How many decisions the log holds, by kind, and what has become of them; the last six add up to `total`.

    immature: still wait for outcomes. ripe: wait to be learned. never: fallback, unreadable, or not activated in time.
    quarantined: rows that cannot be learned. overridden: an employee did something else.
    """

    total: int
    by_kind: Mapping[str, int]
    immature: int
    ripe: int
    learned: int
    never: int
    quarantined: int
    overridden: int


@dataclass(frozen=True, kw_only=True)
class Brief:
    """A decision in few words. Times in seconds since the epoch; brought: its actions came with the request."""

    id: str
    channel: str
    kind: Kind
    arm: str
    propensity: float | None
    decided_at: float
    valid_until: float
    activate_by: float | None
    activated_at: float | None
    catalogue_version: str
    policy_version: str
    model_version: str
    brought: bool


def insert(connection: Session, records: Sequence[DecisionRecord]) -> None:
    """Log new decisions, all or none; those of a kind other than "normal" are marked as never to be learned.

    Raises
    ------
    sqlalchemy.exc.IntegrityError
        If one of the ids is known; see `answers`.
    """
    if backend_of(connection) == "postgresql":  # in one order: two transactions with the same ids never lock crosswise
        records = sorted(records, key=attrgetter("id"))
    records = [r if r.kind == "normal" else msgspec.structs.replace(r, learned_in=NEVER) for r in records]
    statement, values = _insert_of(_unusual(records))
    execute_many(connection, statement, list(map(values, records)))


def answers(connection: Session, ids: Collection[str]) -> dict[str, Stored]:
    """What was answered to those of `ids` that are known."""
    return {decision: Stored(payload, answer) for decision, payload, answer in select_in(connection, _ANSWERED, ids)}


def channels(connection: sa.Connection, ids: Collection[str]) -> dict[str, str]:
    """The channels of those of `ids` that are known."""
    found: dict[str, str] = {}
    for chunk in chunks(ids, IN_LIST):
        query = sa.select(decisions.c.id, decisions.c.channel).where(decisions.c.id.in_(chunk))
        found.update((row.id, row.channel) for row in connection.execute(query))
    return found


def of_customer(
    connection: sa.Connection,
    customer: str,
    *,
    limit: int,
    channels: Collection[str] = (),
    before: tuple[float, str] | None = None,
) -> list[Brief]:
    """The newest `limit` decisions for a pseudonymous key, newest first.

    channels: of these only; empty for all. before: (decided_at, id) of a decision that they come before.
    """
    query = _BRIEF.where(decisions.c.customer == customer)
    if channels:
        query = query.where(decisions.c.channel.in_(sorted(channels)))
    if before is not None:
        at, decision = before
        same = sa.and_(decisions.c.decided_at == at, decisions.c.id < decision)
        query = query.where(sa.or_(decisions.c.decided_at < at, same))
    rows = connection.execute(query.order_by(decisions.c.decided_at.desc(), decisions.c.id.desc()).limit(limit))
    return [Brief(**{**row._mapping, "brought": bool(row.brought)}) for row in rows]


def get(connection: sa.Connection, decision: str) -> DecisionRecord | None:
    """One decision as it is stored; its facts are None once they were erased."""
    row = connection.execute(_FULL.where(decisions.c.id == decision)).one_or_none()
    return None if row is None else DecisionRecord(**row._asdict())


def scan(
    connection: sa.Connection,
    *,
    since_s: float | None = None,
    until_s: float | None = None,
    kinds: Collection[str] | None = None,
    batch: int = 5_000,
) -> Iterator[DecisionRecord]:
    """Decisions made in [since_s, until_s) of the given kinds, in (decided_at, id) order.

    Reads `batch` rows at a time, so that memory does not grow with the log; all rows are of the connection's snapshot.
    """
    query = _FULL.order_by(decisions.c.decided_at, decisions.c.id)
    if since_s is not None:
        query = query.where(decisions.c.decided_at >= since_s)
    if until_s is not None:
        query = query.where(decisions.c.decided_at < until_s)
    if kinds is not None:
        query = query.where(decisions.c.kind.in_(sorted(kinds)))
    for row in connection.execute(query, execution_options={"yield_per": batch}):
        yield DecisionRecord(**row._asdict())


def activate(connection: sa.Connection, decision: str, *, now_s: float) -> Activation:
    """Let a decision count from now on; "already" also where it needs no activation.

    now_s: by the server's clock, taken inside the transaction. `activate_by` itself is in time.
    """
    update = sa.update(decisions).where(
        decisions.c.id == decision, decisions.c.activated_at.is_(None), decisions.c.activate_by >= now_s
    )
    if connection.execute(update.values(activated_at=now_s)).rowcount:
        return "activated"
    query = sa.select(decisions.c.activate_by, decisions.c.activated_at).where(decisions.c.id == decision)
    row = connection.execute(query).one_or_none()
    if row is None:
        return "unknown"
    return "already" if row.activate_by is None or row.activated_at is not None else "expired"


def expire(connection: sa.Connection, *, now_s: float) -> int:
    """Let decisions that were not activated in time never be learned; how many they were."""
    late = sa.and_(_NOT_LEARNED, decisions.c.activated_at.is_(None), decisions.c.activate_by < now_s)
    return connection.execute(sa.update(decisions).where(late).values(learned_in=NEVER)).rowcount


def counts(connection: sa.Connection, *, now_s: float) -> DecisionCounts:
    """Counts for people and monitors, from indexes alone."""
    total = _count(connection, sa.true())
    immature = _count(connection, sa.and_(_NOT_LEARNED, decisions.c.matures_at > now_s))
    ripe = _count(connection, sa.and_(_NOT_LEARNED, decisions.c.matures_at <= now_s))
    kinds: Counter[str] = Counter()
    marks: Counter[str] = Counter()
    for mark, kind, n in connection.execute(_TEACHING_NOTHING):
        marks[mark] += n
        kinds[kind] += n
    del kinds["normal"]
    return DecisionCounts(
        total=total,
        by_kind={"normal": total - kinds.total(), **kinds},
        immature=immature,
        ripe=ripe,
        learned=total - immature - ripe - marks.total(),
        never=marks[NEVER],
        quarantined=marks[QUARANTINED],
        overridden=marks[OVERRIDDEN],
    )


def _unusual(records: Sequence[DecisionRecord]) -> frozenset[str]:
    """The columns in which one of them is not as nearly all are."""
    found: set[str] = set()
    for record in records:
        values = _usual_of(record)
        if values != _USUAL_VALUES:
            found.update(name for name, value in zip(_USUAL, values, strict=True) if value != _USUAL[name])
    return frozenset(found)


@cache
def _insert_of(unusual: frozenset[str]) -> tuple[Insert, Callable[[DecisionRecord], tuple[object, ...]]]:
    """The statement with places for all columns but those that are as usual, and a record's values for them."""
    given = [column for column in decisions.c if column.name in unusual or column.name not in _USUAL]
    names = [column.name for column in given]
    values: dict[str, object] = {column.name: sa.bindparam(column.name, type_=column.type) for column in given}
    for name, usual in _USUAL.items():
        if name not in names and usual is not None:
            values[name] = sa.true() if usual is True else sa.literal_column(f"'{usual}'")
    return sa.insert(decisions).values(values), attrgetter(*names)


def _count(connection: sa.Connection, which: sa.ColumnElement[bool]) -> int:
    return connection.execute(sa.select(sa.func.count()).select_from(decisions).where(which)).scalar_one()
