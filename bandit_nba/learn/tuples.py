"""The single terms, pairs and triples that crosses take from each row."""

from dataclasses import dataclass

import numpy as np

from bandit_nba.decide.columns import Floats, Ints
from bandit_nba.decide.scoring import FeatureRows

_DENSE = 8  # up to so many conceivable tuples for each that is there, they are ticked off in a table, not sorted


@dataclass(frozen=True)
class Tuples:
    """What a pattern of letters takes from N rows: row i has tuples `ids[indptr[i]:indptr[i+1]]`, `values` alongside.

    members: for each letter the term of each distinct tuple, int64 (M,). values: products of the terms' values.
    """

    members: tuple[Ints, ...]
    indptr: Ints
    ids: Ints
    values: Floats


def tuples(rows: FeatureRows, letters: str) -> Tuples:
    """All tuples of a row's terms whose namespaces are `letters`, in order.

    Where a letter stands twice in a row, its terms come in the row's order and a term is crossed with itself as well:
    that is VW's `--interactions` without `--permutations`.
    """
    places = _places(rows, letters)
    columns = [rows.terms[place] for place in places]
    values = np.prod([rows.values[place] for place in places], axis=0)
    ids, members = _distinct(columns, size=len(rows.names))
    return Tuples(members=members, indptr=np.searchsorted(places[0], rows.indptr), ids=ids, values=values)


def _places(rows: FeatureRows, letters: str) -> list[Ints]:
    """For each letter the places, in the flat list of terms, of each tuple's member; sorted by row."""
    letter_of = np.frombuffer(rows.namespaces.encode("ascii"), dtype=np.uint8)[rows.terms]
    row_of = np.repeat(np.arange(len(rows)), np.diff(rows.indptr))
    columns: list[Ints] = []
    row, previous = np.zeros(0, dtype=np.int64), ""
    for letter in letters:
        here = np.flatnonzero(letter_of == ord(letter))
        if not columns:
            columns, row = [here], row_of[here]
        else:
            first = np.searchsorted(here, columns[-1]) if letter == previous else np.searchsorted(row_of[here], row)
            count = np.searchsorted(row_of[here], row, side="right") - first
            kept = np.repeat(np.arange(len(row)), count)
            nth = np.arange(len(kept)) - np.repeat(np.cumsum(count) - count, count)
            columns = [*(column[kept] for column in columns), here[np.repeat(first, count) + nth]]
            row = row[kept]
        previous = letter
    return columns


def _distinct(columns: list[Ints], *, size: int) -> tuple[Ints, tuple[Ints, ...]]:
    """Number each distinct tuple; returns each row's numbers and the members of each number."""
    keys = columns[0]
    for column in columns[1:]:
        keys = keys * size + column
    if size ** len(columns) <= _DENSE * len(keys):
        used = np.zeros(size ** len(columns), dtype=np.bool_)
        used[keys] = True
        distinct = np.flatnonzero(used)
        ids = (np.cumsum(used) - 1)[keys]
    else:
        distinct, ids = np.unique(keys, return_inverse=True)
    members: list[Ints] = []
    for _ in columns:
        distinct, member = np.divmod(distinct, max(size, 1))
        members.insert(0, member)
    return ids, tuple(members)
