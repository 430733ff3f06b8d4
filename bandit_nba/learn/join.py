"""Which outcomes count for which decision: the fixed-horizon join.

A decision matures at `matures_at`, set when it was made: decided_at + the longest of its channel's wait and the waits
of single types of outcomes. All its eligible arms wait alike, otherwise arms that fail quickly would look worse than
arms that succeed slowly. An outcome counts iff it was received at or before that moment, also when the learner runs
late; later ones are kept for evaluation, which may have a longer horizon of its own. A type with a wait of its own
counts only until decided_at + that wait. An outcome counts

- for the decision it names, whatever its type's attribution and even if it came before the decision was stored;
- if it names only a customer and its type is attributed to "each": for every decision of that customer with
  decided_at <= received_at <= matures_at. Without this "no action" never earns anything and "always send" wins;
- otherwise for nothing.

A slate teaches by its first place, which was drawn from the decision's own distribution: an outcome that names another
place does not count here. One that names none counts, since it may follow from the first place as from any other: what
is learned then is what the first place brings while the others are filled as they are.

Only decisions of kind "normal" are learned, and of those with deferred activation only the ones activated in time.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from bandit_nba.decide.columns import Coded, Floats, Ints
from bandit_nba.learn.definition import RewardDefinition
from bandit_nba.learn.rewards import Counted


@dataclass(frozen=True)
class Windows:
    """N decisions that wait or have waited: `opens_at` <= `closes_at`, seconds since the epoch.

    customers: pseudonymous keys, "" for anonymous. For learning the window is [decided_at, matures_at]. first_slots:
    the id of each slate's first place, "" where there is no slate; empty where there is none at all.
    """

    ids: Sequence[str]
    customers: Sequence[str]
    opens_at: Floats
    closes_at: Floats
    first_slots: Sequence[str] = ()


@dataclass(frozen=True)
class Outcomes:
    """M stored outcomes with distinct ids. `decisions` and `customers` hold "" where none is named.

    An outcome that names a decision counts for that decision only, whatever customer it names beside it. slots: the
    place of a slate that each is about, "" where that is not said; empty where none says.
    """

    ids: Sequence[str]
    decisions: Sequence[str]
    customers: Sequence[str]
    types: Sequence[str]
    amounts: Floats
    received_at: Floats
    slots: Sequence[str] = ()


def matures_at(
    definition: RewardDefinition, channels: Coded, decided_at: Floats, *, activate_by: Floats | None = None
) -> Floats:
    """When each decision matures, float64 (N,): decided_at + its wait, not before its activation is decided.

    `activate_by`: NaN where a decision needs no activation. With it a decision is ripe once only, so that the order of
    learning, (matures_at, id), depends on the log alone.
    """
    if len(channels.values) == 1:
        ripe = decided_at + definition.wait_s(channels.values[0])
    else:
        waits = np.array([definition.wait_s(channel) for channel in channels.values], dtype=np.float64)
        ripe = decided_at + waits[channels.codes]
    return ripe if activate_by is None else np.fmax(ripe, activate_by)


def counted(definition: RewardDefinition, windows: Windows, outcomes: Outcomes) -> Counted:
    """The outcomes that count, each with its decision's row, in order of receipt (received_at, then id).

    `outcomes` may hold any others beside them. An outcome that names only a customer can count for several decisions.
    """
    rows_named, named = _naming_a_decision(windows, outcomes)
    rows_each, each = _naming_a_customer(definition, windows, outcomes)
    rows, index = np.concatenate([rows_named, rows_each]), np.concatenate([named, each])
    rows, index = _within_their_own_wait(definition, windows, outcomes, rows, index)
    ids = np.array([outcomes.ids[i] for i in index], dtype=np.str_)
    order = np.lexsort((ids, outcomes.received_at[index]))
    rows, index = rows[order], index[order]
    seen: dict[str, int] = {}
    codes = np.array([seen.setdefault(outcomes.types[i], len(seen)) for i in index], dtype=np.int64)
    return Counted(rows=rows, types=Coded(codes=codes, values=tuple(seen)), amounts=outcomes.amounts[index])


def _within_their_own_wait(
    definition: RewardDefinition, windows: Windows, outcomes: Outcomes, rows: Ints, index: Ints
) -> tuple[Ints, Ints]:
    """The pairs without those of types that count for a shorter time, where that was over."""
    waits_s = definition.type_waits_s
    if not waits_s or not len(index):
        return rows, index
    own_s = np.array([waits_s.get(outcomes.types[i], np.inf) for i in index.tolist()])
    kept = outcomes.received_at[index] <= windows.opens_at[rows] + own_s
    return rows[kept], index[kept]


def _naming_a_decision(windows: Windows, outcomes: Outcomes) -> tuple[Ints, Ints]:
    row_of = {decision: row for row, decision in enumerate(windows.ids)}
    rows = np.array([row_of.get(decision, -1) if decision else -1 for decision in outcomes.decisions], dtype=np.int64)
    index = np.flatnonzero(rows >= 0)
    in_time = outcomes.received_at[index] <= windows.closes_at[rows[index]]
    index = index[in_time]
    if any(outcomes.slots):
        firsts = windows.first_slots or [""] * len(windows.ids)
        index = index[[outcomes.slots[i] in ("", firsts[rows[i]]) for i in index.tolist()]]
    return rows[index], index


def _naming_a_customer(definition: RewardDefinition, windows: Windows, outcomes: Outcomes) -> tuple[Ints, Ints]:
    """Pairs (decision row, outcome) of attribution "each", by one sorted search per end of a window."""
    each = {kind for kind, declared in definition.outcomes.items() if declared.attribution == "each"}
    if each.isdisjoint(outcomes.types):
        return np.zeros(0, dtype=np.int64), np.zeros(0, dtype=np.int64)
    known: dict[str, int] = {}
    owner = np.array([known.setdefault(c, len(known)) if c else -1 for c in windows.customers], dtype=np.int64)
    named = zip(outcomes.decisions, outcomes.customers, outcomes.types, strict=True)
    of = np.array([known.get(c, -1) if c and not d and t in each else -1 for d, c, t in named], dtype=np.int64)
    index = np.flatnonzero(of >= 0)
    # One integer orders (customer, time): times become ranks among the distinct times of receipt.
    times, rank = np.unique(outcomes.received_at[index], return_inverse=True)
    span = len(times) + 1
    key = of[index] * span + rank
    by_key = np.argsort(key, kind="stable")
    index, key = index[by_key], key[by_key]
    first = np.searchsorted(key, owner * span + np.searchsorted(times, windows.opens_at, side="left"), side="left")
    last = np.searchsorted(key, owner * span + np.searchsorted(times, windows.closes_at, side="right"), side="left")
    count = np.where(owner >= 0, np.maximum(last - first, 0), 0)
    rows = np.repeat(np.arange(len(owner), dtype=np.int64), count)
    within = np.arange(len(rows), dtype=np.int64) - np.repeat(np.cumsum(count) - count, count)
    return rows, index[np.repeat(first, count) + within]
