"""Decisions that could not be learned: why, since when, and what was done about each.

    held      it cannot be learned; the weights are as if it had never been there
    released  somebody had it tried again and it can be learned now: the learner begins a new lineage with it
    learned   that lineage is published
    dropped   somebody gave it up for good

Nothing is deleted: facts, outcomes and the decision itself stay in the log, where `show` finds them.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Literal

import sqlalchemy as sa

from bandit_nba.errors import RefusedError, UnknownIdError
from bandit_nba.learn.log import Poison
from bandit_nba.settings import nearest
from bandit_nba.store.driver.bulk import IN_LIST, chunks
from bandit_nba.store.tables import QUARANTINED, RELEASED, decisions, quarantined_decisions

State = Literal["held", "released", "learned", "dropped"]

_TABLE = quarantined_decisions


@dataclass(frozen=True, kw_only=True)
class Held:
    """One quarantined decision. at: seconds since the epoch, of the last try that failed; tries: how many failed.

    reason: the kind of error; error: its words. changed_at, changed_by: when and by whom it was released or dropped.
    """

    decision: str
    state: State
    reason: str
    error: str
    at: float
    tries: int
    changed_at: float | None
    changed_by: str


def hold(connection: sa.Connection, poison: Sequence[Poison], *, now_s: float) -> None:
    """Quarantine decisions that failed; one that was there before keeps the count of its tries."""
    for chunk in chunks(poison, IN_LIST):
        ids = [one.decision for one in chunk]
        known = sa.select(_TABLE.c.decision, _TABLE.c.tries).where(_TABLE.c.decision.in_(ids))
        tries = {row.decision: row.tries for row in connection.execute(known)}
        connection.execute(sa.delete(_TABLE).where(_TABLE.c.decision.in_(ids)))
        rows = [
            {
                "decision": one.decision,
                "state": "held",
                "reason": one.reason,
                "error": one.why,
                "at": now_s,
                "tries": tries.get(one.decision, 0) + 1,
                "changed_at": None,
                "changed_by": "",
            }
            for one in chunk
        ]
        connection.execute(sa.insert(_TABLE), rows)
        connection.execute(sa.update(decisions).where(decisions.c.id.in_(ids)).values(learned_in=QUARANTINED))


def released(connection: sa.Connection) -> list[str]:
    """Decisions that wait for a new lineage, by id; a look at a table that is nearly always empty."""
    query = sa.select(_TABLE.c.decision).where(_TABLE.c.state == "released").order_by(_TABLE.c.decision)
    return list(connection.execute(query).scalars())


def settle(connection: sa.Connection, ids: Collection[str], version: str) -> None:
    """A published model has learned these."""
    for chunk in chunks(ids, IN_LIST):
        mine = decisions.c.id.in_(chunk) & (decisions.c.learned_in == RELEASED)
        connection.execute(sa.update(decisions).where(mine).values(learned_in=version))
        waiting = _TABLE.c.decision.in_(chunk) & (_TABLE.c.state == "released")
        connection.execute(sa.update(_TABLE).where(waiting).values(state="learned"))


def release(connection: sa.Connection, ids: Collection[str], *, now_s: float, who: str) -> None:
    """Let the learner learn these in their place; they are held."""
    _change(connection, ids, "released", now_s=now_s, who=who)
    for chunk in chunks(ids, IN_LIST):
        connection.execute(sa.update(decisions).where(decisions.c.id.in_(chunk)).values(learned_in=RELEASED))


def drop(connection: sa.Connection, ids: Collection[str], *, now_s: float, who: str) -> None:
    """Give these up for good; they are held."""
    _change(connection, ids, "dropped", now_s=now_s, who=who)


def counts(connection: sa.Connection) -> dict[State, int]:
    """How many there are in each state."""
    rows = connection.execute(sa.select(_TABLE.c.state, sa.func.count()).group_by(_TABLE.c.state))
    return {"held": 0, "released": 0, "learned": 0, "dropped": 0, **{row[0]: row[1] for row in rows}}


def listing(connection: sa.Connection, *, state: State | None = "held", limit: int | None = None) -> list[Held]:
    """The quarantined decisions in a state (None: in any), the latest failures first."""
    query = sa.select(_TABLE).order_by(_TABLE.c.at.desc(), _TABLE.c.decision).limit(limit)
    rows = connection.execute(query if state is None else query.where(_TABLE.c.state == state))
    return [Held(**row._mapping) for row in rows]


def one(connection: sa.Connection, decision: str) -> Held:
    """One of them; raises `UnknownIdError` where the decision was never quarantined."""
    row = connection.execute(sa.select(_TABLE).where(_TABLE.c.decision == decision)).one_or_none()
    if row is None:
        known = connection.execute(sa.select(_TABLE.c.decision).limit(1_000)).scalars().all()
        hint = nearest(decision, known) if known else "no decision ever was"
        raise UnknownIdError("is not in quarantine", where="decision", got=decision, hint=hint)
    return Held(**row._mapping)


def held(connection: sa.Connection, ids: Sequence[str]) -> list[str]:
    """`ids` if all of them are held, or all that are held where none is named.

    Raises
    ------
    UnknownIdError
        If one of them was never quarantined.
    RefusedError
        If one is not held any more.
    """
    if not ids:
        return sorted(row.decision for row in listing(connection))
    for decision in ids:
        found = one(connection, decision)
        if found.state != "held":
            raise RefusedError(
                f"is {found.state} already", where=f"decision {decision}", hint="`nba quarantine show` says since when"
            )
    return list(dict.fromkeys(ids))


def _change(connection: sa.Connection, ids: Collection[str], state: State, *, now_s: float, who: str) -> None:
    for chunk in chunks(ids, IN_LIST):
        change = sa.update(_TABLE).where(_TABLE.c.decision.in_(chunk))
        connection.execute(change.values(state=state, changed_at=now_s, changed_by=who))
