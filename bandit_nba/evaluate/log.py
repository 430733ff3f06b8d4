"""The decision log as flat arrays: what every estimator and every replayed policy reads."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from bandit_nba.decide.columns import Coded, Facts, Floats, Ints, gathered_cells
from bandit_nba.evaluate.ids import Ids


@dataclass(frozen=True)
class LoggedDecisions:
    """N matured decisions of kind "normal", in (decided_at, id) order.

    Cells are ragged: row i's eligible arms are `arm[indptr[i]:indptr[i+1]]`, codes into `arms`, with `probability`
    beside them. `chosen` is the flat index of the arm that was chosen; `reward` what was received within the wait.
    `group` codes the customer (each anonymous decision is its own). `left_out` counts the rows not among the N, by why.
    `actions` are JSON of the distinct sets of actions that requests brought, `brought` int64 (N,) the row's set, -1 for
    the catalogue's; None where no request brought any. `origin` says where each row was made: "" here, otherwise the
    name under which a log from elsewhere was imported; None where all were made here.
    """

    ids: Sequence[str]
    group: Ints
    decided_at: Floats
    channels: Coded
    facts: Facts
    arms: tuple[str, ...]
    indptr: Ints
    arm: Ints
    probability: Floats
    chosen: Ints
    reward: Floats
    left_out: Mapping[str, int] = field(default_factory=dict)
    actions: tuple[bytes, ...] = ()
    brought: Ints | None = None
    origin: Coded | None = None

    def __len__(self) -> int:
        return len(self.ids)

    @property
    def propensity(self) -> Floats:
        """The probability with which the chosen arm was drawn, float64 (N,), above zero."""
        return self.probability[self.chosen]

    @property
    def row(self) -> Ints:
        """The row of every cell, int64 (cells,)."""
        return np.repeat(np.arange(len(self), dtype=np.int64), np.diff(self.indptr))

    def mask(self) -> npt.NDArray[np.bool_]:
        """Eligible arms, bool (N, A) over all `arms`."""
        dense = np.zeros((len(self), len(self.arms)), dtype=np.bool_)
        dense[self.row, self.arm] = True
        return dense

    def between(self, start_s: float, stop_s: float = np.inf) -> "LoggedDecisions":
        """Decisions with start_s < decided_at <= stop_s."""
        first, last = np.searchsorted(self.decided_at, [start_s, stop_s], side="right")
        lo, hi = int(self.indptr[first]), int(self.indptr[last])
        return LoggedDecisions(
            ids=self.ids[first:last],
            group=self.group[first:last],
            decided_at=self.decided_at[first:last],
            channels=Coded(codes=self.channels.codes[first:last], values=self.channels.values),
            facts=self.facts.take(int(first), int(last)),
            arms=self.arms,
            indptr=self.indptr[first : last + 1] - lo,
            arm=self.arm[lo:hi],
            probability=self.probability[lo:hi],
            chosen=self.chosen[first:last] - lo,
            reward=self.reward[first:last],
            left_out=self.left_out,
            actions=self.actions,
            brought=None if self.brought is None else self.brought[first:last],
            origin=None if self.origin is None else Coded(self.origin.codes[first:last], self.origin.values),
        )

    def at(self, rows: Ints) -> "LoggedDecisions":
        """The decisions named, in that order."""
        indptr, cells = gathered_cells(self.indptr, rows)
        return LoggedDecisions(
            ids=self.ids.at(rows) if isinstance(self.ids, Ids) else [self.ids[i] for i in rows.tolist()],
            group=self.group[rows],
            decided_at=self.decided_at[rows],
            channels=Coded(codes=self.channels.codes[rows], values=self.channels.values),
            facts=self.facts.at(rows),
            arms=self.arms,
            indptr=indptr,
            arm=self.arm[cells],
            probability=self.probability[cells],
            chosen=self.chosen[rows] - self.indptr[rows] + indptr[:-1],
            reward=self.reward[rows],
            left_out=self.left_out,
            actions=self.actions,
            brought=None if self.brought is None else self.brought[rows],
            origin=None if self.origin is None else Coded(self.origin.codes[rows], self.origin.values),
        )
