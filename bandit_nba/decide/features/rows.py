"""Laying terms out row by row: what every row has once, followed by what rows have any number of times."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from bandit_nba.decide.columns import Floats, Ints

ABSENT = -1


@dataclass(frozen=True)
class Ragged:
    """Terms of N rows, any number per row: row i has `terms[indptr[i]:indptr[i+1]]`; each counts 1."""

    indptr: Ints
    terms: Ints


def laid_out(terms: Ints, values: Floats, ragged: Sequence[Ragged]) -> tuple[Ints, Ints, Floats]:
    """(indptr, terms, values) of N rows, from `terms` and `values` (C, N), one column of them per row, then `ragged`.

    A term of -1 is absent and leaves no trace. The order within a row is that of C, then that of `ragged`.
    """
    every, n = terms.shape
    if not ragged:
        return _without_absent(np.arange(n + 1) * every, terms.T.ravel(), values.T.ravel())
    counts = [np.diff(part.indptr) for part in ragged]
    indptr = np.zeros(n + 1, dtype=np.int64)
    np.cumsum(every + sum(counts), out=indptr[1:])
    flat, flat_values = np.empty(indptr[-1], dtype=np.int64), np.ones(indptr[-1])
    at = indptr[:-1, None] + np.arange(every)
    flat[at], flat_values[at] = terms.T, values.T
    free = indptr[:-1] + every
    for part, count in zip(ragged, counts, strict=True):
        first = part.indptr[0]
        flat[np.repeat(free - part.indptr[:-1] + first, count) + np.arange(part.indptr[-1] - first)] = part.terms
        free = free + count
    return _without_absent(indptr, flat, flat_values)


def gathered(lists: Ragged, picks: Ints) -> Ragged:
    """Row i gets the terms of list `picks[i]`."""
    counts = np.diff(lists.indptr)[picks]
    indptr = np.zeros(len(picks) + 1, dtype=np.int64)
    np.cumsum(counts, out=indptr[1:])
    at = np.repeat(lists.indptr[picks] - indptr[:-1], counts) + np.arange(indptr[-1])
    return Ragged(indptr=indptr, terms=lists.terms[at])


def _without_absent(indptr: Ints, terms: Ints, values: Floats) -> tuple[Ints, Ints, Floats]:
    present = terms != ABSENT
    if present.all():
        return indptr, terms, values
    kept = np.zeros(len(terms) + 1, dtype=np.int64)
    np.cumsum(present, out=kept[1:])
    return kept[indptr], terms[present], values[present]
