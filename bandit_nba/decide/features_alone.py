"""The features of a lone row, value by value: what `features` makes of columns, in the same order and to the same bit.

A batch pays for some twenty array operations, whatever its size; one row is done before the first of them is.
"""

from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from bandit_nba.catalogue import FactKind
from bandit_nba.decide.hashing import ValueHashes
from bandit_nba.decide.policy import Number
from bandit_nba.decide.scoring import FeatureRows
from bandit_nba.decide.vocabulary import FixedTerms
from bandit_nba.decide.words import words

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
        self._of_kind = {
            kind: [source for source in sources if source.kind == kind]
            for kind in ("number", "boolean", "category", "set", "text")
        }
        self._channel = channel
        self._limit = limit

    def row(self, cells: Row, channel: str | None) -> FeatureRows:
        """Features of the row, asked for on `channel`; None where that is not known."""
        fixed, limit = self._fixed, self._limit
        terms: list[tuple[int, str, str]] = []
        values: list[float] = []
        for source in self._of_kind["number"]:
            number = cells.get(source.name)
            if number is None:
                terms.append(fixed[source.first])
                values.append(1.0)
            else:
                terms.append(fixed[source.first + 1])
                values.append(min(max(number / source.number.scale, -limit), limit))
        terms += self._indicators(cells, channel)
        hashes, names, letters = zip(*terms, strict=True) if terms else ((), (), ())
        numbers = np.ones(len(terms))
        numbers[: len(values)] = np.array(values, dtype=np.float32)  # single precision, as VW keeps them
        return FeatureRows(
            indptr=np.array([0, len(terms)]),
            terms=np.arange(len(terms)),
            values=numbers,
            hashes=np.array(hashes, dtype=np.uint32),
            namespaces="".join(letters),
            names=names,
        )

    def _indicators(self, cells: Row, channel: str | None) -> list[tuple[int, str, str]]:
        """The terms behind the numbers; each counts 1."""
        fixed, of_kind = self._fixed, self._of_kind
        terms: list[tuple[int, str, str]] = []
        for source in of_kind["number"]:
            number = cells.get(source.name)
            if source.number.bins and number is not None:
                terms.append(fixed[source.first + 2 + bisect_right(source.number.bins, number)])
        for source in of_kind["boolean"]:
            flag = cells.get(source.name)
            terms.append(fixed[source.first if flag is None else source.first + 1 + (flag is True)])
        for source in of_kind["category"]:
            word = cells.get(source.name)
            terms.append(fixed[source.first] if word is None else source.hashes.of(word))
        if self._channel is not None:
            terms.append(fixed[self._channel.first] if channel is None else self._channel.hashes.of(channel))
        for source in of_kind["set"]:
            terms += map(source.hashes.of, cells.get(source.name) or ())
        for source in of_kind["text"]:
            text = cells.get(source.name)
            terms += [fixed[source.first]] if text is None else map(source.hashes.of, words(text))
        return terms
