"""The terms of one batch: those that every batch has, then the values that this batch brings."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from bandit_nba.decide.columns import Floats, Ints
from bandit_nba.decide.features.hashing import ValueHashes, feature_hash, namespace_hash
from bandit_nba.decide.scoring import FeatureRows


@dataclass(frozen=True)
class FixedTerms:
    """Terms that are known beforehand, numbered from 0."""

    hashes: npt.NDArray[np.uint32]
    names: tuple[str, ...]
    letters: str

    @classmethod
    def of(cls, texts: Sequence[tuple[str, str]]) -> "FixedTerms":
        """From (letter, text) pairs."""
        hashes = [feature_hash(text, seed=namespace_hash(letter)) for letter, text in texts]
        return cls(
            hashes=np.array(hashes, dtype=np.uint32),
            names=tuple(text for _, text in texts),
            letters="".join(letter for letter, _ in texts),
        )


class BatchTerms:
    """The fixed terms and, after them, the values added for one batch."""

    def __init__(self, fixed: FixedTerms) -> None:
        self._fixed = fixed
        self._first = len(fixed.names)
        self._added: list[tuple[int, str, str]] = []

    def add(self, hashes: ValueHashes, values: Iterable[str]) -> int:
        """The number of the first of `values`; the others follow it."""
        first = self._first + len(self._added)
        self._added.extend(map(hashes.of, values))
        return first

    def rows(self, indptr: Ints, terms: Ints, values: Floats) -> FeatureRows:
        """Rows over this vocabulary."""
        hashes, names, letters = zip(*self._added, strict=True) if self._added else ((), (), ())
        return FeatureRows(
            indptr=indptr,
            terms=terms,
            values=values,
            hashes=np.concatenate([self._fixed.hashes, np.array(hashes, dtype=np.uint32)]),
            namespaces=self._fixed.letters + "".join(letters),
            names=self._fixed.names + names,
        )
