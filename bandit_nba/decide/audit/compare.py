"""Logged decisions of the same versions beside the same decisions made again."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain

import numpy as np

from bandit_nba.catalogue import Arm
from bandit_nba.decide.audit.recompute import Maker, Past, decide_again, facts_of
from bandit_nba.decide.audit.slates import difference
from bandit_nba.decide.batch import Decisions
from bandit_nba.decide.choice.mixture_log import NO_CREDIT, credit_differs, credit_of, shadow_differs, shadow_of
from bandit_nba.decide.columns import Bools, Floats
from bandit_nba.decide.engine import Engine
from bandit_nba.decide.record import LoggedDecision, Versions
from bandit_nba.decide.slates.log import to_log
from bandit_nba.errors import InputError, NbaError

TOLERANCE = 1e-9


@dataclass
class Found:
    """What differs in a chunk of rows: by position, then by name, the detail in words."""

    ids: Sequence[str]
    what: dict[int, dict[str, str]] = field(default_factory=dict)
    max_difference: float = 0.0

    def add(self, positions: Iterable[int], name: str, detail: str) -> None:
        """Note the same difference for several rows."""
        for position in positions:
            self.what.setdefault(position, {})[name] = detail


@dataclass(frozen=True)
class _Cells:
    """What is compared, over all K arms of the catalogue: (N, K) each; 0 where an arm is not eligible."""

    mask: Bools
    probability: Floats
    expected_reward: Floats


def compare(
    group: Mapping[int, LoggedDecision],
    versions: Versions,
    made_by: Maker,
    past: Past,
    found: Found,
    *,
    inline_actions: bytes | None = None,
) -> None:
    """Make rows again that share versions, maker and inline actions, and note what differs."""
    try:
        engine = past.engine(versions, inline_actions=inline_actions)
        group = _with_known_arms(group, engine, found)
        try:
            again = decide_again(list(group.values()), versions, made_by, past, inline_actions=inline_actions)
        except InputError:
            group = _with_declared_facts(group, engine, found)
            again = decide_again(list(group.values()), versions, made_by, past, inline_actions=inline_actions)
    except NbaError as error:
        found.add(group, "definitions", str(error))
    else:
        _note(group, _logged_cells(list(group.values()), engine.arms), _cells(again), engine.arms, found)
        _note_mixture(group, again, found)
        _note_slates(group, again, found)


def beside(lists: Sequence[Sequence[float]]) -> Floats:
    """Lists of any length as rows of one array, float64 (N, longest), filled up with 0."""
    lengths = np.array([len(values) for values in lists])
    out = np.zeros((len(lists), int(lengths.max(initial=0))))
    out[np.arange(out.shape[1]) < lengths[:, None]] = list(chain.from_iterable(lists))
    return out


def _with_known_arms(group: Mapping[int, LoggedDecision], engine: Engine, found: Found) -> dict[int, LoggedDecision]:
    """The rows whose arms their catalogue has; the others are noted."""
    known = {arm.id for arm in engine.arms}
    left = dict(group)
    for position, row in group.items():
        if not known.issuperset(row.arms):
            unknown = ", ".join(arm for arm in row.arms if arm not in known)
            found.add([position], "eligible set", f"logged, but not in the catalogue: {unknown}")
            del left[position]
    return left


def _with_declared_facts(
    group: Mapping[int, LoggedDecision], engine: Engine, found: Found
) -> dict[int, LoggedDecision]:
    """The rows whose facts are as their catalogue declares them; the others are noted."""
    left = dict(group)
    for position, row in group.items():
        try:
            facts_of(row, engine.catalogue.facts)
        except InputError as error:
            found.add([position], "record", str(error))
            del left[position]
    return left


def _logged_cells(rows: Sequence[LoggedDecision], arms: Sequence[Arm]) -> _Cells:
    column = {arm.id: k for k, arm in enumerate(arms)}
    at = np.repeat(np.arange(len(rows)), np.array([len(row.arms) for row in rows], dtype=np.int64))
    of = np.array([column[arm] for row in rows for arm in row.arms], dtype=np.int64)
    shape = len(rows), len(arms)
    mask, probability, expected_reward = np.zeros(shape, dtype=np.bool_), np.zeros(shape), np.zeros(shape)
    mask[at, of] = True
    probability[at, of] = [p for row in rows for p in row.probabilities]
    expected_reward[at, of] = [q for row in rows for q in row.expected_rewards]
    return _Cells(mask=mask, probability=probability, expected_reward=expected_reward)


def _cells(decisions: Decisions) -> _Cells:
    mask = decisions.eligibility.mask
    expected_reward = np.where(mask, decisions.expected_reward, 0.0)
    return _Cells(mask=mask, probability=decisions.probability, expected_reward=expected_reward)


def _note(
    group: Mapping[int, LoggedDecision], logged: _Cells, again: _Cells, arms: Sequence[Arm], found: Found
) -> None:
    positions, names = list(group), [arm.id for arm in arms]
    other_set = (logged.mask != again.mask).any(axis=1)
    for i in np.flatnonzero(other_set).tolist():
        found.add([positions[i]], "eligible set", _sets_in_words(logged.mask[i], again.mask[i], names))
    gap = np.where(other_set[:, None], 0.0, np.abs(logged.probability - again.probability))
    found.max_difference = max(found.max_difference, float(gap.max(initial=0.0)))
    reward_gap = np.where(other_set[:, None], 0.0, np.abs(logged.expected_reward - again.expected_reward))
    reward_gap /= np.maximum(1.0, np.abs(again.expected_reward))
    for name, gaps, ours, theirs in (
        ("distribution", gap, logged.probability, again.probability),
        ("expected reward", reward_gap, logged.expected_reward, again.expected_reward),
    ):
        for i in np.flatnonzero(~(gaps <= TOLERANCE).all(axis=1)).tolist():
            k = int(gaps[i].argmax())
            detail = f"{names[k]} logged {float(ours[i, k])!r}, made again {float(theirs[i, k])!r}"
            found.add([positions[i]], name, detail)


def _note_mixture(group: Mapping[int, LoggedDecision], again: Decisions, found: Found) -> None:
    for i, (position, row) in enumerate(group.items()):
        if again.credit is None and row.credit == NO_CREDIT and row.shadow is None:
            continue
        at = np.flatnonzero(again.eligibility.mask[i])
        for name, detail in (
            ("component", credit_differs(row.credit, credit_of(again, i, at), tolerance=TOLERANCE)),
            ("shadow", shadow_differs(row.shadow, shadow_of(again, i, at), tolerance=TOLERANCE)),
        ):
            if detail:
                found.add([position], name, detail)


def _note_slates(group: Mapping[int, LoggedDecision], again: Decisions, found: Found) -> None:
    for i, (position, row) in enumerate(group.items()):
        made = again.slates.get(i)
        if row.slate is None and made is None:
            continue
        detail = difference(row.slate, None if made is None else to_log(made, again.arms))
        if detail:
            found.add([position], "slate", detail)


def _sets_in_words(logged: Bools, again: Bools, names: Sequence[str]) -> str:
    only_logged = [names[k] for k in np.flatnonzero(logged & ~again).tolist()]
    only_again = [names[k] for k in np.flatnonzero(again & ~logged).tolist()]
    words = []
    if only_logged:
        words.append(f"logged, but not eligible: {', '.join(only_logged)}")
    if only_again:
        words.append(f"eligible, but not logged: {', '.join(only_again)}")
    return "; ".join(words)
