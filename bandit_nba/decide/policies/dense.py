"""Context features as columns of a dense matrix, for policies that keep d x d matrices."""

import numpy as np

from bandit_nba.decide.columns import Bools, Floats, Ints
from bandit_nba.decide.scoring import FeatureRows
from bandit_nba.errors import InputError

MOST_COLUMNS = 2_000


class DenseContexts:
    """Gives each (namespace, hash) a column in the order of first sight, the constant 1 first.

    Raises
    ------
    InputError
        If more than `MOST_COLUMNS` distinct features are seen: such data is no matter for dense matrices.
    """

    def __init__(self) -> None:
        self._column: dict[tuple[str, int], int] = {}

    @property
    def width(self) -> int:
        """Columns so far, the constant included."""
        return 1 + len(self._column)

    def learn(self, contexts: FeatureRows) -> Floats:
        """The rows, float64 (N, width), with a column for each feature that they have."""
        used = np.unique(contexts.terms)
        for term in used.tolist():
            self._column.setdefault(_key(contexts, term), self.width)
        if self.width > MOST_COLUMNS:
            raise InputError("too many distinct features", got=self.width, allowed=f"at most {MOST_COLUMNS}")
        return self.seen(contexts)

    def seen(self, contexts: FeatureRows) -> Floats:
        """The rows, float64 (N, width); features never learned are left out, see `unseen`."""
        known, column, row = self._places(contexts)
        x = np.zeros((len(contexts), self.width))
        x[:, 0] = 1.0
        np.add.at(x, (row[known], column[known]), contexts.values[known])
        return x

    def unseen(self, contexts: FeatureRows) -> Floats:
        """Per row the sum of squares of features never learned, float64 (N,)."""
        known, _, row = self._places(contexts)
        squares = np.zeros(len(contexts))
        np.add.at(squares, row[~known], contexts.values[~known] ** 2)
        return squares

    def _places(self, contexts: FeatureRows) -> tuple[Bools, Ints, Ints]:
        """For each value whether its feature is known, the feature's column and the value's row."""
        keys = [self._column.get(_key(contexts, term), -1) for term in range(len(contexts.hashes))]
        column = np.array(keys, dtype=np.int64)[contexts.terms]
        row = np.repeat(np.arange(len(contexts)), np.diff(contexts.indptr))
        return column >= 0, column, row


def _key(contexts: FeatureRows, term: int) -> tuple[str, int]:
    return contexts.namespaces[term], int(contexts.hashes[term])
