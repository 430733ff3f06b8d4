"""The features of a lone row, value by value: what `featuriser` makes of columns, in its order, to the bit.

A batch pays for some twenty array operations, whatever its size; one row is done before the first of them is.
"""

from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from bandit_nba.catalogue import FactKind
from bandit_nba.decide.features.hashing import ValueHashes
from bandit_nba.decide.features.vocabulary import FixedTerms
from bandit_nba.decide.features.words import words
from bandit_nba.decide.policy import Number
from bandit_nba.decide.scoring import FeatureRows

Row = Mapping[str, Any]
"""Values by name, None where unknown."""


@dataclass(frozen=True)
class Source:
    """One fact that the model sees; its fixed terms are numbered from `first`, that of "unknown" before all others."""

    name: str
    kind: FactKind
    letter: str
    first: int
    hashes: ValueHashes
    number: Number


class AloneFeaturiser:
    """Features of one row whose values are exactly of their declared kinds.

    sources: of facts, in the order of declaration. channel: that of the request's channel, None where it does not
    count. limit: size of a number after scaling.
    """

    def __init__(self, sources: Sequence[Source], fixed: FixedTerms, *, channel: Source | None, limit: float) -> None:
        self._fixed = list(zip(fixed.hashes.tolist(), fixed.names, fixed.letters, strict=True))
        entries = self._fixed
        of_kind = {kind: [s for s in sources if s.kind == kind] for kind in ("number", "boolean", "category", "set")}
        self._numbers = [(s.name, s.number.scale, entries[s.first], entries[s.first + 1]) for s in of_kind["number"]]
        self._bins = [
            (s.name, s.number.bins, entries[s.first + 2 : s.first + 3 + len(s.number.bins)])
            for s in of_kind["number"]
            if s.number.bins
        ]
        self._booleans = [(s.name, entries[s.first : s.first + 3]) for s in of_kind["boolean"]]
        self._categories = [(s.name, entries[s.first], s.hashes.of) for s in of_kind["category"]]
        self._sets = [(s.name, s.hashes.of) for s in of_kind["set"]]
        self._texts = [(s.name, entries[s.first], s.hashes.of) for s in sources if s.kind == "text"]
        self._channel = channel
        self._limit = limit

    def row(self, cells: Row, channel: str | None) -> FeatureRows:
        """Features of the row, asked for on `channel`; None where that is not known."""
        limit = self._limit
        terms: list[tuple[int, str, str]] = []
        values: list[float] = []
        for name, scale, unknown, known in self._numbers:
            number = cells.get(name)
            if number is None:
                terms.append(unknown)
                values.append(1.0)
            else:
                terms.append(known)
                value = number / scale
                values.append(limit if value > limit else -limit if value < -limit else value)
        terms += self._indicators(cells, channel)
        values += [1.0] * (len(terms) - len(values))
        hashes, names, letters = zip(*terms, strict=True) if terms else ((), (), ())
        return FeatureRows(
            indptr=np.array([0, len(terms)]),
            terms=np.arange(len(terms)),
            values=np.array(values, dtype=np.float32).astype(np.float64),  # single precision, as VW keeps them
            hashes=np.array(hashes, dtype=np.uint32),
            namespaces="".join(letters),
            names=names,
        )

    def _indicators(self, cells: Row, channel: str | None) -> list[tuple[int, str, str]]:
        """The terms behind the numbers; each counts 1."""
        terms: list[tuple[int, str, str]] = []
        for name, edges, bins in self._bins:
            number = cells.get(name)
            if number is not None:
                terms.append(bins[bisect_right(edges, number)])
        for name, (unknown, no, yes) in self._booleans:
            flag = cells.get(name)
            terms.append(unknown if flag is None else yes if flag else no)
        for name, unknown, of in self._categories:
            word = cells.get(name)
            terms.append(unknown if word is None else of(word))
        if self._channel is not None:
            terms.append(self._fixed[self._channel.first] if channel is None else self._channel.hashes.of(channel))
        for name, of in self._sets:
            terms += map(of, cells.get(name) or ())
        for name, unknown, of in self._texts:
            text = cells.get(name)
            terms += [unknown] if text is None else map(of, words(text))
        return terms
