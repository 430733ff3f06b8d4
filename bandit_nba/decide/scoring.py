"""What the pipeline asks of a model: an expected reward for every row and arm."""

from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np
import numpy.typing as npt

from bandit_nba.decide.columns import Floats, Ints


@dataclass(frozen=True)
class FeatureRows:
    """Sparse features of N rows, each a term of a vocabulary of V distinct (namespace, name) pairs.

    Row i has terms `terms[indptr[i]:indptr[i+1]]` with `values` alongside (float32 precision, as VW keeps them).
    hashes: uint32 (V,), VW's feature hash before masking. namespaces: the letter of each term, one character.
    names: the term in words ("contract=One year"), for explanations.
    """

    indptr: Ints
    terms: Ints
    values: Floats
    hashes: npt.NDArray[np.uint32]
    namespaces: str
    names: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.indptr) - 1


class Scorer(Protocol):
    """A model that gives expected rewards; it never sees which arms are eligible."""

    @property
    def version(self) -> str:
        """The published model's version; "none" before the first."""

    @property
    def examples_learned(self) -> int:
        """The manifest's count, the n of exploration."""

    def score(self, contexts: FeatureRows, arms: FeatureRows) -> Floats:
        """Expected reward, float64 (N, K), finite."""


@runtime_checkable
class EnsembleScorer(Scorer, Protocol):
    """A model of M members that learned the same examples under different random weights."""

    def score_members(self, contexts: FeatureRows, arms: FeatureRows) -> Floats:
        """Each member's expected reward, float64 (M, N, K), finite."""


class NoModel:
    """Before anything is learned every arm is expected to earn the same: nothing."""

    version = "none"
    examples_learned = 0

    def score(self, contexts: FeatureRows, arms: FeatureRows) -> Floats:
        """Zeros, float64 (N, K)."""
        return np.zeros((len(contexts), len(arms)))
