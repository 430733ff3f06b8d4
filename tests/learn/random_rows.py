"""Random rows of features, for scores of models that nobody trained."""

from dataclasses import replace

import numpy as np

from bandit_nba.decide.features.hashing import feature_hash, namespace_hash
from bandit_nba.decide.scoring import FeatureRows


def random_rows(
    rng: np.random.Generator, size: int, letters: str, *, most: int, vocabulary: int, numeric: float
) -> FeatureRows:
    """Rows of up to `most` distinct terms, namespaces mixed; a share `numeric` has values other than 1, also 0."""
    namespaces = "".join(rng.choice(list(letters), vocabulary))
    names = tuple(f"{rng.choice(['x', 'né', 'a b|c:'])}{i}" for i in range(vocabulary))
    counts = rng.integers(0, most + 1, size)
    terms = [rng.choice(vocabulary, count, replace=False) for count in counts]
    flat = np.concatenate([*terms, np.zeros(0, dtype=np.int64)]).astype(np.int64)
    values = np.where(rng.random(len(flat)) < numeric, rng.normal(size=len(flat)) * 3, 1.0)
    values[rng.random(len(flat)) < 0.05] = 0.0
    return FeatureRows(
        indptr=np.concatenate([[0], np.cumsum(counts)]),
        terms=flat,
        values=values.astype(np.float32).astype(np.float64),
        hashes=np.array(
            [feature_hash(t, seed=namespace_hash(n)) for t, n in zip(names, namespaces, strict=True)], dtype=np.uint32
        ),
        namespaces=namespaces,
        names=names,
    )


def part(rows: FeatureRows, picks: list[int]) -> FeatureRows:
    """The picked rows, in their order, over the same vocabulary."""
    places = [np.arange(rows.indptr[i], rows.indptr[i + 1]) for i in picks]
    flat = np.concatenate([*places, np.zeros(0, dtype=np.int64)]).astype(np.int64)
    return replace(
        rows,
        indptr=np.concatenate([[0], np.cumsum([len(p) for p in places])]).astype(np.int64),
        terms=rows.terms[flat],
        values=rows.values[flat],
    )
