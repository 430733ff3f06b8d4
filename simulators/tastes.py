"""What customers like: random, sparse, partly non-additive utilities of arms, drawn once per world seed."""

from typing import Annotated

import numpy as np
from msgspec import Meta

from bandit_nba.catalogue import Arm
from bandit_nba.decide.columns import Bools, Coded, CodedSets, Facts, Floats
from bandit_nba.errors import SettingsError
from bandit_nba.settings import Settings

Terms = Annotated[int, Meta(ge=0, le=1_000)]
GROUP_SHARE = 0.25  # of an arm's variance that it shares with the other arms of its group


class TasteKind(Settings, frozen=True, kw_only=True):
    """How many terms of each form a utility has; assumptions, not estimates.

    mains: traits that count by themselves. steps: numbers that count only above a random threshold. pairs: products of
    two traits, which no additive model can represent.
    """

    mains: Terms = 4
    steps: Terms = 1
    pairs: Terms = 1


def traits(facts: Facts) -> tuple[Floats, tuple[str, ...]]:
    """Standardised columns (N, M) for every number, flag, category and set member that varies, and their names.

    An unknown number counts as the mean of the known ones.

    Raises
    ------
    SettingsError
        If customers do not differ in any fact: nothing could be learned of them.
    """
    columns: list[Floats] = []
    names: list[str] = []
    for name, kind in facts.schema.items():
        column = facts.columns.get(name)
        if isinstance(column, Coded):
            columns += [np.equal(column.codes, c).astype(np.float64) for c in range(len(column.values))]
            names += [f"{name}={value}" for value in column.values]
        elif isinstance(column, CodedSets):
            rows = np.repeat(np.arange(facts.size), np.diff(column.indptr))
            held = np.zeros((facts.size, len(column.values)))
            held[rows, column.codes] = 1.0
            columns += list(held.T)
            names += [f"{name}={value}" for value in column.values]
        elif column is not None:
            known = np.where(np.isnan(column), np.nanmean(column), column)
            columns.append(known)
            names.append(name if kind == "number" else f"{name}=true")
    varies = [i for i, column in enumerate(columns) if np.ptp(column) > 0.0]  # sums of equal numbers round
    if not varies:
        got = ", ".join(facts.schema)
        raise SettingsError("no fact differs between customers", where="population", got=got, hint="spread > 0, shares")
    return np.column_stack([_standard(columns[i]) for i in varies]), tuple(names[i] for i in varies)


def utilities(
    rng: np.random.Generator, facts: Facts, arms: tuple[Arm, ...], eligible: Bools, *, kind: TasteKind
) -> Floats:
    """Utility u(x, a) for each customer and arm, float64 (N, K): mean 0 and variance 1 over those who may have the arm.

    A share `GROUP_SHARE` of the variance is common to a group's arms; the rest is the arm's own.
    """
    columns, names = traits(facts)
    numbers = [i for i, name in enumerate(names) if "=" not in name]
    shared = {group: _taste(rng, columns, numbers, kind) for group in dict.fromkeys(arm.action.group for arm in arms)}
    out = np.empty((facts.size, len(arms)))
    for k, arm in enumerate(arms):
        own = _taste(rng, columns, numbers, kind)
        mixed = np.sqrt(GROUP_SHARE) * shared[arm.action.group] + np.sqrt(1.0 - GROUP_SHARE) * own
        out[:, k] = _standard(mixed, over=eligible[:, k])
    return out


def _taste(rng: np.random.Generator, columns: Floats, numbers: list[int], kind: TasteKind) -> Floats:
    m = columns.shape[1]
    terms = [columns[:, i] for i in rng.choice(m, size=kind.mains, replace=False)]
    for i in rng.choice(numbers, size=kind.steps):
        threshold = np.quantile(columns[:, i], rng.uniform(0.2, 0.8))
        terms.append(_standard((columns[:, i] > threshold).astype(np.float64)))
    for _ in range(kind.pairs):
        i, j = rng.choice(m, size=2, replace=False)
        terms.append(_standard(columns[:, i] * columns[:, j]))
    weights = rng.choice([-1.0, 1.0], size=len(terms)) * rng.uniform(0.5, 1.5, size=len(terms))
    return _standard(np.column_stack(terms) @ weights)


def _standard(column: Floats, *, over: Bools | None = None) -> Floats:
    """Mean 0 and variance 1 over the rows named (all if none), limited to four deviations so that nobody is extreme."""
    rows = column if over is None else column[over]
    spread = rows.std() if rows.size else 0.0
    if spread == 0.0:
        return np.zeros_like(column)
    limited: Floats = np.clip((column - rows.mean()) / spread, -4.0, 4.0)
    return limited
