"""A linear VW model compiled for scoring: a sparse product of the context's terms with a table of terms by arms.

    score[k] = w(const) + sum_a v_a w(a) + sum_f v_f ( w(f) + sum_a v_a w(f x a) )

over the arm's terms a and the context's terms f, and likewise for crosses of two or three context terms. Everything is
summed in double precision in an order that the row alone fixes, so a row's score is the same to the bit in any batch.
VW learns costs; here every sign is turned once, when the weights are loaded.
"""

import importlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from scipy.sparse import csr_array

from bandit_nba.decide.columns import Floats, Ints
from bandit_nba.decide.policy import FeatureSettings, Learning
from bandit_nba.decide.scoring import FeatureRows
from bandit_nba.errors import ModelError
from bandit_nba.learn.options import linear_form
from bandit_nba.learn.sparse import SparseWeights
from bandit_nba.learn.table import ArmTable
from bandit_nba.learn.tuples import tuples
from bandit_nba.learn.typical import Mean, average_row

MOST_ARM_SETS = 8
ROWS_PER_BLOCK = 2_048
AVERAGED_IN_PAIRS = 64
"""Terms of the average row where pairs of terms count: 256 would make 33,000 pairs for every arm."""


@dataclass(frozen=True)
class Terms:
    """A row's scores apart: `contributions` float64 (T, K) of what `names` says, which add up to each arm's score.

    The first two are the constant and what the arm adds by itself; then the row's terms; then their pairs and triples.
    """

    names: tuple[str, ...]
    contributions: Floats


class CompiledScorer:
    """Expected rewards of a published model, without Vowpal Wabbit; a `decide.scoring.Scorer`.

    arm_examples: how many examples of each arm it has learned, by id, for priors. means: of context terms; `average` is
    the row that they make, None where they are not known.

    Raises
    ------
    ModelError
        If the weights have another width than the features.
    SettingsError
        If an option is not allowed.
    """

    def __init__(
        self,
        weights: SparseWeights,
        features: FeatureSettings,
        learning: Learning | None = None,
        *,
        version: str,
        examples_learned: int,
        arm_examples: Mapping[str, int] | None = None,
        means: Sequence[Mean] = (),
    ) -> None:
        if weights.bits != features.bits:
            raise ModelError(
                "has another width than the features",
                where=f"model {version}",
                got=weights.bits,
                allowed=str(features.bits),
            )
        self.version = version
        self.examples_learned = examples_learned
        self.arm_examples: Mapping[str, int] = arm_examples or {}
        self._form = linear_form(features, learning or Learning())
        known = means[:AVERAGED_IN_PAIRS] if self._form.patterns else means
        self.average = average_row(known) if known else None
        self._slots = np.negative(weights.slots())
        self._tables: dict[int, ArmTable] = {}

    def score(self, contexts: FeatureRows, arms: FeatureRows) -> Floats:
        """Expected reward, float64 (N, K), finite.

        The table of an arm set is kept for as long as this very object is passed again: make it once per catalogue.
        """
        table = self._table(arms)
        of_terms = table.of_terms(contexts)
        scores = _product(contexts.values, contexts.terms, contexts.indptr, of_terms)
        for pattern in self._form.patterns:
            self._add_tuples(scores, contexts, table, pattern)
        scores += table.own
        return scores

    def terms(self, contexts: FeatureRows, arms: FeatureRows, row: int) -> Terms:
        """One row's scores apart; they add up to `score` but for rounding, since that sums in another order."""
        table = self._table(arms)
        one = _row(contexts, row)
        names = ["constant", "arm", *one.names]
        parts = [np.full((1, len(arms)), table.constant), table.own[None, :] - table.constant]
        parts.append(one.values[:, None] * table.of_terms(one))
        for pattern in self._form.patterns:
            found = tuples(one, pattern)
            of_distinct = table.of_tuples(pattern, [one.hashes[member] for member in found.members])
            parts.append(found.values[:, None] * of_distinct[found.ids])
            members = [member[found.ids] for member in found.members]
            names += [" x ".join(one.names[term] for term in pair) for pair in zip(*members, strict=True)]
        return Terms(names=tuple(names), contributions=np.concatenate(parts))

    def _add_tuples(self, scores: Floats, contexts: FeatureRows, table: ArmTable, pattern: str) -> None:
        """Add the crosses of two or three context terms, a block of rows at a time: there are many more of them."""
        for start in range(0, len(contexts), ROWS_PER_BLOCK):
            block = _rows(contexts, start, min(start + ROWS_PER_BLOCK, len(contexts)))
            found = tuples(block, pattern)
            of_distinct = table.of_tuples(pattern, [block.hashes[member] for member in found.members])
            scores[start : start + len(block)] += _product(found.values, found.ids, found.indptr, of_distinct)

    def _table(self, arms: FeatureRows) -> ArmTable:
        tables, key = self._tables, id(arms)
        table = tables.get(key)
        if table is None or key != next(reversed(tables)):  # what was used last stays longest
            table = table or ArmTable(self._form, self._slots, arms)
            kept = [item for item in tables.items() if item[0] != key][1 - MOST_ARM_SETS :]
            self._tables = {**dict(kept), key: table}  # a new dictionary: other threads may still read the old one
        return table


class CompiledEnsemble(CompiledScorer):
    """A compiled model with the members of its ensemble; a `decide.scoring.EnsembleScorer`."""

    _members: Sequence[CompiledScorer] = ()

    def score_members(self, contexts: FeatureRows, arms: FeatureRows) -> Floats:
        """Each member's expected reward, float64 (M, N, K), finite."""
        return np.stack([member.score(contexts, arms) for member in self._members])


def compiled(
    weights: SparseWeights,
    members: Sequence[SparseWeights],
    features: FeatureSettings,
    learning: Learning | None = None,
    *,
    version: str,
    examples_learned: int,
    arm_examples: Mapping[str, int] | None = None,
    means: Sequence[Mean] = (),
) -> CompiledScorer:
    """A scorer of the model, and of its members where there are any; raises as `CompiledScorer`."""
    kind = CompiledEnsemble if members else CompiledScorer
    scorer = kind(
        weights,
        features,
        learning,
        version=version,
        examples_learned=examples_learned,
        arm_examples=arm_examples,
        means=means,
    )
    if isinstance(scorer, CompiledEnsemble):
        scorer._members = [
            CompiledScorer(one, features, learning, version=version, examples_learned=examples_learned)
            for one in members
        ]
    return scorer


def _product(values: Floats, ids: Ints, indptr: Ints, table: Floats) -> Floats:
    """Row i: the sum of `values` x rows `ids` of the table, from indptr[i] to indptr[i+1], term after term."""
    if len(indptr) == 2 and table.shape[1] > 1:  # a lone row adds up in the same order, at a third of the cost
        summed: Floats = np.add.reduce(values[:, None] * table[ids], axis=0, keepdims=True, initial=0.0)
        return summed
    if _csr_matvecs is not None and len(ids) <= _FEW and len(table):
        out, (terms, arms) = np.zeros((len(indptr) - 1, table.shape[1])), table.shape
        _csr_matvecs(len(out), terms, arms, indptr, ids, values, np.ascontiguousarray(table).ravel(), out.ravel())
        return out
    matrix = csr_array((values, ids, indptr), shape=(len(indptr) - 1, len(table)))
    return np.asarray(matrix @ table, dtype=np.float64)


_FEW = 10_000
_csr_matvecs: Any = getattr(importlib.import_module("scipy.sparse._sparsetools"), "csr_matvecs", None)
"""What multiplies in the end; for a few rows to build a checked matrix for it costs more (40 us) than to multiply."""


def _rows(contexts: FeatureRows, start: int, stop: int) -> FeatureRows:
    """Rows start..stop over the same vocabulary."""
    low, high = int(contexts.indptr[start]), int(contexts.indptr[stop])
    return replace(
        contexts,
        indptr=contexts.indptr[start : stop + 1] - low,
        terms=contexts.terms[low:high],
        values=contexts.values[low:high],
    )


def _row(contexts: FeatureRows, row: int) -> FeatureRows:
    """One row over a vocabulary of its own terms."""
    one = _rows(contexts, row, row + 1)
    return FeatureRows(
        indptr=one.indptr,
        terms=np.arange(len(one.terms)),
        values=one.values,
        hashes=one.hashes[one.terms],
        namespaces="".join(one.namespaces[term] for term in one.terms.tolist()),
        names=tuple(one.names[term] for term in one.terms.tolist()),
    )
