"""Closed days go from the store to the archive: written, read back and compared, and only then made small.

A day (UTC) is closed once it has ended, every decision of it has matured, and each has been learned or never will be:
then nothing of what leaves the store can change any more. Whatever stops the work half way, nothing is lost: a row
keeps all its columns in the store until the archive's own row has been compared with it, and the next run goes on.
"""

import datetime
import math
import sqlite3
import time
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from bandit_nba.errors import StoreError
from bandit_nba.store.alone import alone
from bandit_nba.store.archive.day import (
    COLUMNS,
    GROUP_ROWS,
    Manifest,
    PartWriter,
    put_manifest,
    read_manifest,
    without_facts,
)
from bandit_nba.store.archive.restore import LEAVES, Archive
from bandit_nba.store.database import Database
from bandit_nba.store.driver.bulk import IN_LIST, chunks
from bandit_nba.store.tables import decisions

DAY_S = 86_400.0
BUSY_S = 30.0
_ROOM = "it needs as much free disk as the store is large, and a moment in which nobody writes: stop the service"

Progress = Callable[[str, str, int], None]
"""Told of a day, what is done ("written", "compared", "stored"), and how many rows more."""

_EMPTY = dict.fromkeys(("arms", "probabilities", "expected_rewards", "removed"), b"")
_SMALL = {
    **_EMPTY,
    "component_probabilities": sa.null(),
    "shadow": sa.null(),
    "facts": sa.null(),
    # contact rules ask whether a request brought its actions, so that it must not become null
    "inline_actions": sa.case((decisions.c.inline_actions.is_(None), sa.null()), else_=b""),
}
_WHOLE = sa.select(*(decisions.c[name] for name in COLUMNS), decisions.c.facts)


@dataclass(frozen=True)
class Day:
    """One day of the store's log. rows: not yet archived. open: of these, neither learned nor never to be."""

    name: str
    rows: int
    open: int
    matures_until: float


@dataclass(frozen=True)
class Archived:
    """What became of a day: rows that left the store now, and why the day stays otherwise."""

    day: str
    rows: int
    stays: str = ""


def days(connection: sa.Connection, *, before_s: float) -> list[Day]:
    """Days that ended before `before_s` and have rows that are not archived, the earliest first."""
    first = connection.scalar(sa.select(sa.func.min(decisions.c.decided_at)))
    if first is None:
        return []
    numbers = range(math.floor(first / DAY_S), math.floor(before_s / DAY_S))
    return [day for day in (_day(connection, number) for number in numbers) if day.rows]


def archive_days(
    database: Database,
    folder: Path,
    *,
    before_s: float,
    clock: Callable[[], float] = time.time,
    progress: Progress | None = None,
) -> list[Archived]:
    """Move every closed day that ended before `before_s` to the archive in `folder`.

    Raises
    ------
    StoreBusyError
        If another process archives into the same folder.
    StoreError
        If what was written is not what was read, or store or disk fail; rows that are not yet archived stay whole.
    """
    out: list[Archived] = []
    tell = progress or _silent
    with alone(folder, at="changes the archive"):
        with database.read() as connection:
            found = days(connection, before_s=min(before_s, clock()))
        for day in found:
            if day.open or day.matures_until >= clock():
                out.append(Archived(day.name, 0, f"{day.open:,} of its decisions are still to be learned"))
                continue
            out.append(Archived(day.name, _archive(database, folder, day.name, clock=clock, progress=tell)))
    return out


def compact(url: str) -> tuple[int, int] | None:
    """Give the space of what has left an SQLite store back to the disk: its bytes before and after.

    Rows that became small leave gaps that new rows do not fill. Needs as much free disk as the store is large, and
    holds up writers meanwhile. None on PostgreSQL, which does it by itself.

    Raises
    ------
    StoreError
        If somebody writes all the time, or the disk is full.
    """
    parsed = sa.make_url(url)
    if parsed.get_backend_name() != "sqlite":
        return None
    path = Path(str(parsed.database))
    before = path.stat().st_size
    try:
        with closing(sqlite3.connect(path, isolation_level=None, timeout=BUSY_S)) as driver:
            driver.execute("VACUUM")
            driver.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    except sqlite3.Error as error:
        raise StoreError(f"cannot be made smaller ({error})", where=str(path), hint=_ROOM) from None
    return before, path.stat().st_size


def erase_facts(folder: Path, day: str, erased: Collection[str], *, clock: Callable[[], float] = time.time) -> int:
    """Take the facts of these decisions out of a day's files for good; how many there were.

    Call it after they are gone from the store, for every day of the customer's decisions: a day that
    is being archived meanwhile is compared with the store again before its rows leave.
    """
    with alone(folder, at="changes the archive"):
        return _erase(folder / day, erased, now_s=clock())


def _archive(database: Database, folder: Path, day: str, *, clock: Callable[[], float], progress: Progress) -> int:
    archive = Archive(folder)
    with database.read() as connection:
        missing = _write_missing(connection, archive, day, progress)
    if missing is not None:
        before = read_manifest(folder / day) or Manifest(day=day, written_at=0.0)
        parts = (*before.parts, missing)
        put_manifest(folder / day, Manifest(day=day, written_at=clock(), parts=parts))
    moved = 0
    while ids := _compared(database, archive, day, progress):
        with database.write() as connection:
            moved += _make_small(connection, day, ids)
        progress(day, "stored", len(ids))
    return moved


def _write_missing(connection: sa.Connection, archive: Archive, day: str, progress: Progress) -> Any:
    """Write what the archive lacks of the day as a part of its own; None where it lacks nothing."""
    manifest = read_manifest(archive.folder / day)
    number = len(manifest.parts) if manifest else 0
    writer = None
    for rows in _rows(connection, day):
        known = _known(archive, day, rows) if manifest else {}
        lacking = [row for row in rows if not _equal(row, known.get(row["id"]))]
        if lacking:
            writer = writer or PartWriter(archive.folder / day, number)
            writer.write(lacking)
        progress(day, "written", len(rows))
    return None if writer is None else writer.close()


def _compared(database: Database, archive: Archive, day: str, progress: Progress) -> list[tuple[str, bool]]:
    """The next rows of the day that stand in the archive as they stand in the store, with whether they have facts."""
    with database.read() as connection:
        rows = next(_rows(connection, day), [])
    known = _known(archive, day, rows) if rows else {}
    erased = {row["id"] for row in rows if row["facts"] is None and known.get(row["id"], (None,))[-1] is not None}
    if erased:  # meanwhile
        _erase(archive.folder / day, erased, now_s=time.time())
        known = _known(archive, day, rows)
    for row in rows:
        if not _equal(row, known.get(row["id"])):
            raise StoreError("is not what the store holds", where=str(archive.folder / day), got=row["id"])
    progress(day, "compared", len(rows))
    return [(row["id"], row["facts"] is not None) for row in rows]


def _make_small(connection: sa.Connection, day: str, ids: Sequence[tuple[str, bool]]) -> int:
    """Let rows be what stays of them, unless their facts were erased since they were compared: those wait a turn."""
    moved = 0
    for chunk in chunks(ids, IN_LIST):
        names = [decision for decision, _ in chunk]
        query = sa.select(decisions.c.id).where(decisions.c.id.in_(names), decisions.c.facts.is_not(None))
        with_facts = set(connection.execute(query).scalars())
        still = [decision for decision, had in chunk if had == (decision in with_facts)]
        small = sa.update(decisions).where(decisions.c.id.in_(still), decisions.c.archived_on.is_(None))
        moved += connection.execute(small.values(archived_on=day, **_SMALL)).rowcount
    return moved


def _rows(connection: sa.Connection, day: str) -> Iterator[list[dict[str, Any]]]:
    """The day's rows that are not archived, in (decided_at, id) order."""
    start = _start(day)
    query = _WHOLE.where(
        decisions.c.archived_on.is_(None), decisions.c.decided_at >= start, decisions.c.decided_at < start + DAY_S
    ).order_by(decisions.c.decided_at, decisions.c.id)
    rows = iter(connection.execute(query, execution_options={"yield_per": GROUP_ROWS}).mappings())
    while batch := [dict(row) for row in islice(rows, GROUP_ROWS)]:
        yield batch


def _known(archive: Archive, day: str, rows: Sequence[dict[str, Any]]) -> dict[str, tuple[Any, ...]]:
    return archive.found([(day, row["decided_at"], row["id"]) for row in rows])


def _equal(row: dict[str, Any], archived: tuple[Any, ...] | None) -> bool:
    return archived == (*(row[name] for name in LEAVES), row["facts"])


def _erase(folder: Path, erased: Collection[str], *, now_s: float) -> int:
    manifest = read_manifest(folder)
    if manifest is None:
        return 0
    parts = tuple(without_facts(folder, part, erased) for part in manifest.parts)
    put_manifest(folder, Manifest(day=manifest.day, written_at=now_s, parts=parts))
    return sum(old.facts.rows - new.facts.rows for old, new in zip(manifest.parts, parts, strict=True))


def _silent(_day: str, _done: str, _rows: int) -> None:
    pass


def _day(connection: sa.Connection, number: int) -> Day:
    query = sa.select(
        sa.func.count(),
        sa.func.count().filter(decisions.c.learned_in.is_(None)),
        sa.func.max(decisions.c.matures_at),
    ).where(
        decisions.c.archived_on.is_(None),
        decisions.c.decided_at >= number * DAY_S,
        decisions.c.decided_at < (number + 1) * DAY_S,
    )
    rows, unlearned, until = connection.execute(query).one()
    return Day(_name(number), rows, unlearned, until or 0.0)


def _name(number: int) -> str:
    return datetime.datetime.fromtimestamp(number * DAY_S, datetime.UTC).date().isoformat()


def _start(day: str) -> float:
    return datetime.datetime.fromisoformat(day).replace(tzinfo=datetime.UTC).timestamp()
