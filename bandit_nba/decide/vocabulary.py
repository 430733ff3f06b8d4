"""The terms of one batch: those that every batch has, then the values that this batch brings."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from bandit_nba.decide.batch import Floats, Ints
from bandit_nba.decide.hashing import ValueHashes, feature_hash, namespace_hash
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


@dataclass
class BatchTerms:
    """The fixed terms and, after them, the values added for one batch."""

    fixed: FixedTerms
    _added: list[tuple[int, str]] = field(default_factory=list)
    _letters: list[str] = field(default_factory=list)

    def add(self, hashes: ValueHashes, values: Iterable[str]) -> int:
        """The number of the first of `values`; the others follow it."""
        first = len(self._added)
        self._added.extend(map(hashes.of, values))
        self._letters.append(hashes.letter * (len(self._added) - first))
        return len(self.fixed.names) + first

    def rows(self, indptr: Ints, terms: Ints, values: Floats) -> FeatureRows:
        """Rows over this vocabulary."""
        hashes, names = zip(*self._added, strict=True) if self._added else ((), ())
        return FeatureRows(
            indptr=indptr,
            terms=terms,
            values=values,
            hashes=np.concatenate([self.fixed.hashes, np.array(hashes, dtype=np.uint32)]),
            namespaces=self.fixed.letters + "".join(self._letters),
            names=self.fixed.names + names,
        )
