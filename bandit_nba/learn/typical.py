"""The average of each context term over all that a model has learned: what its explanations are measured against.

Kept in the manifest, so that an old decision can be explained as it was, however the log has been erased since.
"""

from collections.abc import Mapping, Sequence

import msgspec
import numpy as np

from bandit_nba.decide.scoring import FeatureRows

Sums = Mapping[tuple[str, str], tuple[int, float]]

MOST = 256
"""Terms that are kept, the most common: rarer ones, such as single words of texts, have an average of nearly zero."""


class Mean(msgspec.Struct, frozen=True, array_like=True):
    """One context term: the letter of its namespace, its name, VW's hash of it before masking, and its average."""

    namespace: str
    name: str
    hash: int
    mean: float


class RunningMeans:
    """Averages over the examples seen so far, 0 where an example has no such term."""

    def __init__(self, means: Sequence[Mean] = (), *, examples: int = 0) -> None:
        self._examples = examples
        self._sums: Sums = {(m.namespace, m.name): (m.hash, m.mean * examples) for m in means}

    def more(self, contexts: FeatureRows) -> "RunningMeans":
        """With these rows on top; this one stays as it is."""
        made = RunningMeans(examples=self._examples + len(contexts))
        made._sums = _most(_added(self._sums, contexts), 2 * MOST)
        return made

    def means(self) -> tuple[Mean, ...]:
        """The most common terms and their averages, the most common first."""
        return tuple(
            Mean(namespace=letter, name=name, hash=hashed, mean=total / self._examples)
            for (letter, name), (hashed, total) in _most(self._sums, MOST).items()
        )


def average_row(means: Sequence[Mean]) -> FeatureRows:
    """The average context as one row, each of its terms with the average for its value."""
    return FeatureRows(
        indptr=np.array([0, len(means)], dtype=np.int64),
        terms=np.arange(len(means), dtype=np.int64),
        values=np.array([m.mean for m in means], dtype=np.float64),
        hashes=np.array([m.hash for m in means], dtype=np.uint32),
        namespaces="".join(m.namespace for m in means),
        names=tuple(m.name for m in means),
    )


def _added(sums: Sums, contexts: FeatureRows) -> Sums:
    totals = np.bincount(contexts.terms, weights=contexts.values, minlength=len(contexts.names))
    out = dict(sums)
    for term in np.flatnonzero(totals).tolist():
        key = contexts.namespaces[term], contexts.names[term]
        out[key] = int(contexts.hashes[term]), out.get(key, (0, 0.0))[1] + float(totals[term])
    return out


def _most(sums: Sums, most: int) -> Sums:
    """The terms with the largest sums; equal ones by name, so that the same log gives the same manifest."""
    order = sorted(sums, key=lambda key: (-abs(sums[key][1]), key))
    return {key: sums[key] for key in order[:most]}
