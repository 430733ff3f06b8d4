"""The decision log as flat arrays: what every estimator and every replayed policy reads."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt

from bandit_nba.catalogue import FactSchema
from bandit_nba.decide.batch import Coded, Facts, Floats, Ints, gathered_cells
from bandit_nba.decide.record import DecisionRecord
from bandit_nba.errors import InputError, RefusedError
from bandit_nba.store.tables import OVERRIDDEN


@dataclass(frozen=True)
class LoggedDecisions:
    """N matured decisions of kind "normal", in (decided_at, id) order.

    Cells are ragged: row i's eligible arms are `arm[indptr[i]:indptr[i+1]]`, codes into `arms`, with `probability`
    beside them. `chosen` is the flat index of the arm that was chosen; `reward` what was received within the wait.
    `group` codes the customer (each anonymous decision is its own). `left_out` counts the rows not among the N, by why.
    `actions` are JSON of the distinct sets of actions that requests brought, `brought` int64 (N,) the row's set, -1 for
    the catalogue's; None where no request brought any.
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
        )

    def at(self, rows: Ints) -> "LoggedDecisions":
        """The decisions named, in that order."""
        indptr, cells = gathered_cells(self.indptr, rows)
        return LoggedDecisions(
            ids=[self.ids[i] for i in rows.tolist()],
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
        )


def from_records(
    records: Iterable[DecisionRecord], rewards: Mapping[str, float], schema: FactSchema, *, now_s: float
) -> LoggedDecisions:
    """Arrays from stored records and each decision's reward by id.

    Immature rows, rows whose activation is missing, overridden rows and special rows (fallback, unreadable) are left
    out and counted.

    Raises
    ------
    InputError
        If a kept row is not a distribution over its arms, or its chosen arm has no probability; the row is named.
    RefusedError
        If nothing is left.
    """
    builder = _Builder()
    left_out: dict[str, int] = {}
    for record in records:
        why = why_left_out(record, now_s=now_s)
        if why:
            left_out[why] = left_out.get(why, 0) + 1
        else:
            _add(builder, record, rewards[record.id])
    if not builder.ids:
        raise RefusedError(
            "no matured decision to judge", got=left_out or None, hint="wait until decisions have matured"
        )
    return builder.build(schema, left_out)


def why_left_out(record: DecisionRecord, *, now_s: float) -> str:
    """Why a record cannot be judged, in a word or two; empty where it can."""
    if record.kind != "normal":
        return record.kind
    if record.learned_in == OVERRIDDEN:
        return OVERRIDDEN
    if record.activate_by is not None and record.activated_at is None:
        return "not activated"
    if record.picked is not None:
        return "picked by a person"
    return "immature" if record.matures_at >= now_s else ""


def _add(builder: "_Builder", record: DecisionRecord, reward: float) -> None:
    try:
        builder.add(record, reward)
    except msgspec.DecodeError as error:
        where, hint = f"decision {record.id}", "`nba audit DIR` finds every damaged row"
        raise InputError(f"cannot be read ({error})", where=where, hint=hint) from None


class _Builder:
    def __init__(self) -> None:
        self.ids: list[str] = []
        self.customers: list[str] = []
        self.decided_at: list[float] = []
        self.channels: list[str] = []
        self.facts: list[dict[str, Any]] = []
        self.cells: list[Ints] = []
        self.probability: list[list[float]] = []
        self.chosen: list[int] = []
        self.reward: list[float] = []
        self.codes: dict[str, int] = {}
        self.actions: dict[bytes, int] = {}
        self.brought: list[int] = []
        self.parsed: dict[bytes, tuple[list[str], Ints]] = {}  # eligible sets repeat: each is read once

    def add(self, record: DecisionRecord, reward: float) -> None:
        if record.arms not in self.parsed:
            names = msgspec.json.decode(record.arms, type=list[str])
            codes = [self.codes.setdefault(name, len(self.codes)) for name in names]
            self.parsed[record.arms] = names, np.array(codes, dtype=np.int64)
        names, codes_of = self.parsed[record.arms]
        probability = msgspec.json.decode(record.probabilities, type=list[float])
        if len(probability) != len(names) or abs(sum(probability) - 1.0) > 1e-9 or min(probability) < 0.0:
            raise InputError("is not a distribution over its arms", where=f"decision {record.id}", got=probability)
        chosen = names.index(record.arm) if record.arm in names else -1
        if chosen < 0 or probability[chosen] <= 0.0:
            raise InputError("chosen arm has no probability", where=f"decision {record.id}", got=record.arm)
        self.ids.append(record.id)
        self.customers.append(record.customer or record.id)
        self.decided_at.append(record.decided_at)
        self.channels.append(record.channel)
        self.facts.append(msgspec.json.decode(record.facts) if record.facts else {})
        self.cells.append(codes_of)
        self.probability.append(probability)
        self.chosen.append(chosen)
        self.reward.append(reward)
        inline = record.inline_actions
        self.brought.append(-1 if inline is None else self.actions.setdefault(inline, len(self.actions)))

    def build(self, schema: FactSchema, left_out: Mapping[str, int]) -> LoggedDecisions:
        order = np.lexsort((np.array(self.ids, dtype=object), np.array(self.decided_at)))
        indptr = np.zeros(len(order) + 1, dtype=np.int64)
        np.cumsum([len(self.cells[i]) for i in order], out=indptr[1:])
        names: dict[str, int] = {}
        channel = np.array([names.setdefault(self.channels[i], len(names)) for i in order], dtype=np.int64)
        customers: dict[str, int] = {}
        known = [{k: v for k, v in self.facts[i].items() if k in schema} for i in order]
        return LoggedDecisions(
            ids=[self.ids[i] for i in order],
            group=np.array([customers.setdefault(self.customers[i], len(customers)) for i in order], dtype=np.int64),
            decided_at=np.array([self.decided_at[i] for i in order]),
            channels=Coded(codes=channel, values=tuple(names)),
            facts=Facts.from_rows(known, schema),
            arms=tuple(self.codes),
            indptr=indptr,
            arm=np.concatenate([self.cells[i] for i in order]),
            probability=np.concatenate([np.array(self.probability[i]) for i in order]),
            chosen=indptr[:-1] + np.array([self.chosen[i] for i in order], dtype=np.int64),
            reward=np.array([self.reward[i] for i in order]),
            left_out=left_out,
            actions=tuple(self.actions),
            brought=np.array([self.brought[i] for i in order], dtype=np.int64) if self.actions else None,
        )
