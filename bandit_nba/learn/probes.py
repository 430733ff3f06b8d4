"""Probes of a model: a few decisions with what Vowpal Wabbit itself expected of them, tried before the model serves.

They are chosen so that together they use as many weights as they can: each next one adds the most pairs of a context
term and an arm's term. A learner that publishes often has seen little since its last model, so the probes of that one
are asked again beside the recent decisions.
"""

from collections.abc import Callable, Sequence

import msgspec
import numpy as np

from bandit_nba.decide.columns import Floats
from bandit_nba.decide.scoring import FeatureRows
from bandit_nba.learn.examples import Examples
from bandit_nba.learn.manifest import Probe, Term

PROBES = 16
_LOOKED_AT = 128

Predict = Callable[[FeatureRows, FeatureRows], Floats]
"""Expected reward of every context under every arm, (N, K)."""


def probes(recent: Examples, earlier: Sequence[Probe], predict: Predict) -> tuple[Probe, ...]:
    """At most `PROBES` of the recent examples and the last model's probes, with what `predict` expects of each."""
    picked = _picked([*_of(recent), *earlier])
    if not picked:
        return ()
    expected = predict(contexts_of(picked), arms_of(picked)).diagonal().tolist()
    return tuple(
        msgspec.structs.replace(probe, expected_reward=value) for probe, value in zip(picked, expected, strict=True)
    )


def contexts_of(found: Sequence[Probe]) -> FeatureRows:
    """The contexts of probes, a row each."""
    return _rows([probe.context for probe in found])


def arms_of(found: Sequence[Probe]) -> FeatureRows:
    """The arms of probes, a row each."""
    return _rows([probe.arm for probe in found])


def _of(recent: Examples) -> list[Probe]:
    """Some of the examples, spread evenly, the last first; nothing is expected of them yet."""
    places = np.unique(np.linspace(0, len(recent) - 1, min(_LOOKED_AT, len(recent))).astype(np.int64))[::-1].tolist()
    return [
        Probe(context=_terms(recent.contexts, i), arm=_terms(recent.arms, int(recent.chosen[i])), expected_reward=0.0)
        for i in places
    ]


def _picked(found: Sequence[Probe]) -> list[Probe]:
    """Each next one with the most pairs of terms that none before it has; of equal ones the first."""
    left = [(probe, {(c.hash, a.hash) for c in probe.context for a in probe.arm}) for probe in found]
    picked: list[Probe] = []
    while left and len(picked) < PROBES:
        best, covered = max(left, key=lambda one: len(one[1]))
        if picked and not covered:
            break
        picked.append(best)
        covered = set(covered)
        left = [(probe, pairs - covered) for probe, pairs in left if probe is not best]
    return picked


def _terms(rows: FeatureRows, i: int) -> tuple[Term, ...]:
    part = slice(int(rows.indptr[i]), int(rows.indptr[i + 1]))
    return tuple(
        Term(namespace=rows.namespaces[term], hash=int(rows.hashes[term]), value=value)
        for term, value in zip(rows.terms[part].tolist(), rows.values[part].tolist(), strict=True)
    )


def _rows(rows: Sequence[Sequence[Term]]) -> FeatureRows:
    """Feature rows again, each term with a place of its own in the vocabulary."""
    terms = [term for row in rows for term in row]
    indptr = np.zeros(len(rows) + 1, dtype=np.int64)
    np.cumsum([len(row) for row in rows], out=indptr[1:])
    return FeatureRows(
        indptr=indptr,
        terms=np.arange(len(terms), dtype=np.int64),
        values=np.array([term.value for term in terms], dtype=np.float64),
        hashes=np.array([term.hash for term in terms], dtype=np.uint32),
        namespaces="".join(term.namespace for term in terms),
        names=("",) * len(terms),
    )
