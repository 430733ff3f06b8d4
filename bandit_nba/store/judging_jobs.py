"""What is to be computed over a part of the log, and what was found; every replica sees the same."""

from dataclasses import dataclass
from typing import Literal

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite

from bandit_nba.store.tables import judging_jobs

Kind = Literal["evaluation", "importance"]


@dataclass(frozen=True, kw_only=True)
class Job:
    """One job over the decisions of [starts_at, ends_at), seconds since the epoch. content: JSON of what was found."""

    kind: Kind
    id: str
    name: str
    created_at: float
    starts_at: float
    ends_at: float
    status: str
    content: bytes | None = None


def add(connection: sa.Connection, job: Job) -> bool:
    """Keep a new job; False where its id is taken."""
    insert = (postgresql if connection.dialect.name == "postgresql" else sqlite).insert(judging_jobs)
    row = insert.values(**vars(job)).on_conflict_do_nothing().returning(judging_jobs.c.id)
    return connection.execute(row).one_or_none() is not None


def get(connection: sa.Connection, kind: Kind, job: str) -> Job | None:
    """One job, None where there is none."""
    row = connection.execute(sa.select(judging_jobs).where(*_is(kind, job))).one_or_none()
    return None if row is None else Job(**row._mapping)


def listing(connection: sa.Connection, kind: Kind, *, limit: int, skip: int = 0) -> list[Job]:
    """Jobs without what was found, newest first."""
    columns = [column for column in judging_jobs.c if column.name != "content"]
    query = sa.select(*columns).where(judging_jobs.c.kind == kind)
    ordered = query.order_by(judging_jobs.c.created_at.desc(), judging_jobs.c.id).offset(skip).limit(limit)
    return [Job(**row._mapping) for row in connection.execute(ordered)]


def change(connection: sa.Connection, kind: Kind, job: str, *, status: str, content: bytes | None = None) -> None:
    """Note what became of a job; one that was deleted meanwhile stays so."""
    values = {"status": status} | ({} if content is None else {"content": content})
    connection.execute(sa.update(judging_jobs).where(*_is(kind, job)).values(**values))


def delete(connection: sa.Connection, kind: Kind, job: str) -> bool:
    """Remove a job and what was found; False where there is none."""
    return bool(connection.execute(sa.delete(judging_jobs).where(*_is(kind, job))).rowcount)


def _is(kind: Kind, job: str) -> tuple[sa.ColumnElement[bool], ...]:
    return judging_jobs.c.kind == kind, judging_jobs.c.id == job
