"""Facts column by column: numbers as arrays, words as codes into their distinct values, sets as ragged codes."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from bandit_nba.catalogue import FactSchema
from bandit_nba.catalogue.facts import FactValue

Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]
Ints = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Coded:
    """A column of strings as codes into its distinct values, so that work is done once per distinct value.

    `codes` int64 (N,), -1 where unknown; `values` the distinct strings.
    """

    codes: Ints
    values: tuple[str, ...]


@dataclass(frozen=True)
class CodedSets:
    """A column of sets of strings: row i holds `values[codes[indptr[i]:indptr[i+1]]]`, sorted; unknown: empty."""

    indptr: Ints
    codes: Ints
    values: tuple[str, ...]


Column = Floats | Coded | CodedSets


@dataclass(frozen=True)
class Facts:
    """Facts of N customers at the moment of their request: stored profile, overridden by the request.

    Columns by declared name: number and boolean as float64 with NaN for unknown, category and text as `Coded`,
    set as `CodedSets`. A declared fact without a column is unknown in every row.
    """

    size: int
    schema: FactSchema
    columns: Mapping[str, Column]

    @classmethod
    def from_rows(cls, rows: Sequence[Mapping[str, FactValue | None]], schema: FactSchema) -> "Facts":
        """Columns from dictionaries whose values are already `checked` against the schema."""
        if len(rows) == 1:
            (row,) = rows
            plain = {name: row[name] for name in schema if name in row}
            if all(cell is None or type(cell) is _PLAIN[schema[name]] for name, cell in plain.items()):
                return cls(size=1, schema=schema, columns=LoneRow(plain, schema))
            return cls(size=1, schema=schema, columns={n: _one_cell(cell, schema[n]) for n, cell in plain.items()})
        names = {name for row in rows for name in row}
        columns = {name: _column([row.get(name) for row in rows], schema[name]) for name in schema if name in names}
        return cls(size=len(rows), schema=schema, columns=columns)

    @classmethod
    def from_cells(cls, cells: Mapping[str, Sequence[FactValue | None]], schema: FactSchema, *, size: int) -> "Facts":
        """Columns from lists of `size` values that are `checked` already; None is unknown."""
        columns = {name: _column(list(column), schema[name]) for name, column in cells.items()}
        return cls(size=size, schema=schema, columns=columns)

    @property
    def alone(self) -> "Mapping[str, FactValue | None] | None":
        """Of a lone row its values by name, in the order of the schema; None where there are only columns."""
        return self.columns.cells if isinstance(self.columns, LoneRow) else None

    def rows(self) -> list[dict[str, FactValue]]:
        """Each row as a dictionary of the known facts, alone as in any batch: an empty set is an unknown one."""
        if isinstance(self.columns, LoneRow):
            return [self.columns.known()]
        cells = [_cells(column, self.schema[name]) for name, column in self.columns.items()]
        if not cells:
            return [{} for _ in range(self.size)]
        names = tuple(self.columns)
        return [
            {name: cell for name, cell in zip(names, row, strict=True) if cell is not None}
            for row in zip(*cells, strict=True)
        ]

    def row(self, i: int) -> dict[str, FactValue]:
        """Row i as a dictionary of the known facts."""
        return self.take(i, i + 1).rows()[0]

    def take(self, start: int, stop: int) -> "Facts":
        """Rows start..stop as views; distinct values that outnumber these rows are cut to the ones in use.

        Work per distinct value then grows with the rows taken, not with the batch they come from.
        """
        columns = {name: _slice(c, start, stop) for name, c in self.columns.items()}
        return Facts(size=stop - start, schema=self.schema, columns=columns)

    def at(self, rows: Ints) -> "Facts":
        """The rows named, in that order."""
        return Facts(size=len(rows), schema=self.schema, columns={n: _picked(c, rows) for n, c in self.columns.items()})


_PLAIN: Mapping[str, type] = {"number": float, "boolean": bool, "category": str, "text": str, "set": tuple}


class LoneRow(Mapping[str, Column]):
    """The columns of a batch of one, each made when it is first asked for: most work on one row needs its values only.

    cells: by name, in the order of the schema, each exactly of its declared kind.
    """

    __slots__ = ("_made", "_schema", "cells")

    def __init__(self, cells: Mapping[str, FactValue | None], schema: FactSchema) -> None:
        self.cells = cells
        self._schema = schema
        self._made: dict[str, Column] = {}

    def __getitem__(self, name: str) -> Column:
        found = self._made.get(name)
        if found is None:
            found = self._made[name] = _one_cell(self.cells[name], self._schema[name])
        return found

    def __iter__(self) -> Iterator[str]:
        return iter(self.cells)

    def __len__(self) -> int:
        return len(self.cells)

    def known(self) -> dict[str, FactValue]:
        """As `Facts.rows` tells it."""
        return {name: cell for name, cell in self.cells.items() if cell is not None and cell != ()}


def _one_cell(cell: FactValue | None, kind: str) -> Column:
    if kind in ("category", "text"):
        return Coded(codes=_UNKNOWN, values=()) if cell is None else Coded(codes=_KNOWN, values=(str(cell),))
    return _column([cell], kind)


def _fixed(code: int) -> Ints:
    codes = np.array([code], dtype=np.int64)
    codes.flags.writeable = False  # many requests share it
    return codes


_KNOWN, _UNKNOWN = _fixed(0), _fixed(-1)


def _column(cells: list[FactValue | None], kind: str) -> Column:
    if kind in ("number", "boolean"):
        return np.array(cells, dtype=np.float64)  # numpy reads None as NaN
    seen: dict[str, int] = {}
    if kind == "set":
        codes = [[seen.setdefault(v, len(seen)) for v in (c or ())] for c in cells]  # type: ignore[union-attr]
        indptr = np.zeros(len(cells) + 1, dtype=np.int64)
        np.cumsum([len(c) for c in codes], out=indptr[1:])
        flat = np.array([x for c in codes for x in c], dtype=np.int64)
        return CodedSets(indptr=indptr, codes=flat, values=tuple(seen))
    known = [cell for cell in dict.fromkeys(cells) if cell is not None]
    code_of: dict[FactValue | None, int] = {cell: code for code, cell in enumerate(known)}
    code_of[None] = -1
    ids = np.fromiter(map(code_of.__getitem__, cells), dtype=np.int64, count=len(cells))
    return Coded(codes=ids, values=tuple(map(str, known)))


def _cells(column: Column, kind: str) -> list[FactValue | None]:
    """A column as values, None where unknown; an empty set is an unknown one."""
    if isinstance(column, Coded):
        value_of = (*column.values, None)  # code -1 is the last
        return [value_of[code] for code in column.codes.tolist()]
    if isinstance(column, CodedSets):
        members = [column.values[code] for code in column.codes.tolist()]
        return [tuple(members[lo:hi]) or None for lo, hi in pairwise(column.indptr.tolist())]
    if kind == "boolean":
        return [None if number != number else bool(number) for number in column.tolist()]
    return [None if number != number else number for number in column.tolist()]


def _slice(column: Column, start: int, stop: int) -> Column:
    if isinstance(column, Coded):
        codes, values = _in_use(column.codes[start:stop], column.values)
        return Coded(codes=codes, values=values)
    if isinstance(column, CodedSets):
        lo, hi = int(column.indptr[start]), int(column.indptr[stop])
        codes, values = _in_use(column.codes[lo:hi], column.values)
        return CodedSets(indptr=column.indptr[start : stop + 1] - lo, codes=codes, values=values)
    return column[start:stop]


def _picked(column: Column, rows: Ints) -> Column:
    if isinstance(column, Coded):
        return Coded(codes=column.codes[rows], values=column.values)
    if isinstance(column, CodedSets):
        indptr, at = gathered_cells(column.indptr, rows)
        return CodedSets(indptr=indptr, codes=column.codes[at], values=column.values)
    return column[rows]


def gathered_cells(indptr: Ints, rows: Ints) -> tuple[Ints, Ints]:
    """Of ragged rows: the offsets of those named, and where their cells were."""
    counts = np.diff(indptr)[rows]
    fresh = np.zeros(len(rows) + 1, dtype=np.int64)
    np.cumsum(counts, out=fresh[1:])
    return fresh, np.repeat(indptr[rows] - fresh[:-1], counts) + np.arange(fresh[-1])


def _in_use(codes: Ints, values: tuple[str, ...]) -> tuple[Ints, tuple[str, ...]]:
    if len(values) <= max(len(codes), 1):
        return codes, values
    used, recoded = np.unique(codes[codes >= 0], return_inverse=True)
    fresh = np.full(len(codes), -1, dtype=np.int64)
    fresh[codes >= 0] = recoded
    return fresh, tuple(values[int(i)] for i in used)
