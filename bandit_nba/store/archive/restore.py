"""Rows that were archived, made whole again: the small row that stayed in the store with what the archive has of it."""

from bisect import bisect_left, bisect_right
from collections import OrderedDict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Any

import msgspec

from bandit_nba.decide.record import DecisionRecord
from bandit_nba.errors import StoreError
from bandit_nba.store.log.chunk import LogChunk

if TYPE_CHECKING:
    from bandit_nba.store.archive.day import File, Manifest

LEAVES = (
    "arms",
    "probabilities",
    "expected_rewards",
    "removed",
    "component_probabilities",
    "shadow",
    "inline_actions",
)
"""Columns that go to the archive; the facts go with them, into files of their own."""

_GROUPS = 6  # row groups kept in memory

Key = tuple[str, float, str]
"""(archived_on, decided_at, id) of a row."""


class Archive:
    """The archive of one workspace; a folder that is not there is an empty archive. Safe to share between threads."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._lock = Lock()
        self._days: dict[str, _Day] = {}
        self._groups: OrderedDict[tuple[str, str, int], Mapping[str, tuple[Any, ...]]] = OrderedDict()

    def records(self, records: Sequence[DecisionRecord]) -> list[DecisionRecord]:
        """The records, whole.

        Raises
        ------
        StoreError
            If the archive lacks one of them or is damaged.
        """
        found = self.rows(_keys(records))
        return [
            record
            if record.archived_on is None
            else msgspec.structs.replace(record, **dict(zip((*LEAVES, "facts"), found[record.id], strict=True)))
            for record in records
        ]

    def chunk(self, chunk: LogChunk) -> LogChunk:
        """The chunk, whole; raises as `records` does."""
        if not any(chunk.archived_on):
            return chunk
        places = zip(chunk.archived_on, chunk.decided_at, chunk.id, strict=True)
        found = self.rows([(day, at, decision) for day, at, decision in places if day is not None])
        columns: dict[str, Sequence[Any]] = {}
        for place, name in enumerate((*LEAVES, "facts")):
            if hasattr(chunk, name):
                stored = getattr(chunk, name)
                rows = zip(chunk.id, stored, strict=True)
                columns[name] = [found[i][place] if i in found else value for i, value in rows]
        return replace(chunk, **columns)

    def lessons(self, keys: Sequence[Key]) -> dict[str, tuple[bytes | None, bytes | None]]:
        """By id what learning needs of these rows: facts and actions that came inline; raises as `records` does."""
        return {decision: (row[-1], row[-2]) for decision, row in self.rows(keys).items()}

    def rows(self, keys: Sequence[Key]) -> dict[str, tuple[Any, ...]]:
        """By id what the archive has of these rows: the columns `LEAVES`, then the facts, None where erased.

        Raises
        ------
        StoreError
            If it lacks one of them or is damaged.
        """
        found = self.found(keys)
        for day, _, decision in keys:
            if decision not in found:
                raise StoreError(
                    "lacks an archived decision",
                    where=str(self.folder / day),
                    got=decision,
                    hint="bring the archive back from a backup; it belongs to the store",
                )
        return found

    def found(self, keys: Sequence[Key]) -> dict[str, tuple[Any, ...]]:
        """The same without those that it lacks; a day must have been archived, though."""
        with self._lock:
            try:
                return self._found(keys)
            except StoreError:  # facts may have been erased between two looks: then there is a new file
                self._days.clear()
                self._groups.clear()
                return self._found(keys)

    def _found(self, keys: Sequence[Key]) -> dict[str, tuple[Any, ...]]:
        found: dict[str, tuple[Any, ...]] = {}
        for name in sorted({day for day, _, _ in keys}):
            day = self._day(name)
            wanted = {decision: at for of, at, decision in keys if of == name}
            facts: dict[str, Any] = {}
            for file in day.facts:
                facts |= {i: row[0] for i, row in self._in_file(day, file, wanted, ("facts",)).items()}
            for file in day.decisions:  # the later part counts
                rows = self._in_file(day, file, wanted, LEAVES)
                found |= {i: (*row, facts.get(i)) for i, row in rows.items()}
        return found

    def _in_file(
        self, day: "_Day", file: "_Indexed", wanted: Mapping[str, float], columns: Sequence[str]
    ) -> dict[str, tuple[Any, ...]]:
        found: dict[str, tuple[Any, ...]] = {}
        for group in file.groups_between(min(wanted.values()), max(wanted.values())):
            rows = self._group(day, file, group, columns)
            found |= {i: rows[i] for i in wanted.keys() & rows.keys()}
        return found

    def _group(
        self, day: "_Day", file: "_Indexed", group: int, columns: Sequence[str]
    ) -> Mapping[str, tuple[Any, ...]]:
        key = day.name, file.file.name, group
        if key in self._groups:
            self._groups.move_to_end(key)
            return self._groups[key]
        table = file.parquet.read_row_group(group, columns=["id", *columns]).to_pydict()
        rows = dict(zip(table["id"], zip(*(table[name] for name in columns), strict=True), strict=True))
        self._groups[key] = rows
        while len(self._groups) > _GROUPS:
            self._groups.popitem(last=False)
        return rows

    def _day(self, name: str) -> "_Day":
        """The day as its manifest is now: facts may have been erased since it was read last."""
        from bandit_nba.store.archive.day import MANIFEST, read_manifest  # loads pyarrow

        folder = self.folder / name
        try:
            stamp = (folder / MANIFEST).stat().st_mtime_ns
        except OSError:
            stamp = 0
        day = self._days.get(name)
        if day is None or day.stamp != stamp:
            manifest = read_manifest(folder)
            if manifest is None:
                raise StoreError(
                    "there is no such archived day", where=str(folder), hint="the archive belongs to the store"
                )
            self._groups = OrderedDict((k, rows) for k, rows in self._groups.items() if k[0] != name)
            day = self._days[name] = _Day.of(name, folder, manifest, stamp)
        return day


NO_ARCHIVE = Archive(Path("no archive was given"))
"""For stores of which nothing has been archived."""


@dataclass(frozen=True)
class _Indexed:
    """A file and between which times each of its row groups lies."""

    file: "File"
    parquet: Any
    first: Sequence[float]
    last: Sequence[float]

    def groups_between(self, low: float, high: float) -> Iterable[int]:
        return range(bisect_left(self.last, low), bisect_right(self.first, high))


@dataclass(frozen=True)
class _Day:
    name: str
    stamp: int
    decisions: Sequence[_Indexed]
    facts: Sequence[_Indexed]

    @classmethod
    def of(cls, name: str, folder: Path, manifest: "Manifest", stamp: int) -> "_Day":
        return cls(
            name=name,
            stamp=stamp,
            decisions=[_indexed(folder, part.decisions) for part in manifest.parts],
            facts=[_indexed(folder, part.facts) for part in manifest.parts],
        )


def _indexed(folder: Path, file: "File") -> _Indexed:
    from bandit_nba.store.archive.day import opened

    parquet = opened(folder, file)
    place = parquet.schema_arrow.names.index("decided_at")
    groups = [parquet.metadata.row_group(g).column(place).statistics for g in range(parquet.num_row_groups)]
    return _Indexed(file, parquet, [group.min for group in groups], [group.max for group in groups])


def _keys(records: Sequence[DecisionRecord]) -> list[Key]:
    return [(r.archived_on, r.decided_at, r.id) for r in records if r.archived_on is not None]
