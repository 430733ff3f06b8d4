"""From the outcomes that count for a decision to its reward: one finite number within the declared range."""

import math
from dataclasses import dataclass

import numpy as np

from bandit_nba.decide.columns import Coded, Floats, Ints
from bandit_nba.errors import InputError
from bandit_nba.learn.definition import OutcomeReward, RewardDefinition
from bandit_nba.settings import nearest

MAX_AMOUNT = 1e12
RECORDED = "recorded_reward"
"""The outcome of a decision from a log that was imported: its amount is the reward, whatever the definition."""


@dataclass(frozen=True)
class Counted:
    """M outcomes that count, each for one decision, in order of receipt.

    rows: int64 (M,), the decision's row. types: outcome types. amounts: float64 (M,), NaN where the outcome has none.
    """

    rows: Ints
    types: Coded
    amounts: Floats


def checked_outcome(definition: RewardDefinition, kind: str, amount: object, *, where: str = "outcome") -> float | None:
    """The amount as a number, if the definition knows outcomes of type `kind` and the amount is usable.

    Raises
    ------
    InputError
        If the type is not declared, or the amount is neither absent nor a finite number of at most 1e12 in size.
    """
    if kind not in definition.outcomes:
        raise InputError(
            "unknown outcome type", where=f"{where}.type", got=kind, hint=nearest(kind, definition.outcomes)
        )
    if amount is None:
        return None
    if isinstance(amount, bool) or not isinstance(amount, int | float) or not -MAX_AMOUNT <= amount <= MAX_AMOUNT:
        raise InputError(
            "unusable amount",
            where=f"{where}.amount",
            got=amount,
            allowed="null, or a finite number up to 1e12 in size",
        )
    return float(amount)


def rewards(definition: RewardDefinition, counted: Counted, *, size: int) -> Floats:
    """The reward of each of `size` decisions, float64 (size,), finite and within `definition.range`.

    Types that the definition does not know earn nothing and are not a response either (a log may hold older types).

    Raises
    ------
    InputError
        If a stored amount is infinite; the gates let none in, so the row is damaged.
    """
    if np.isinf(counted.amounts).any():
        raise InputError("stored amount is not finite", where="outcomes", got=math.inf, allowed="finite numbers")
    outcomes = {**definition.outcomes, RECORDED: OutcomeReward(amount_weight=1.0)}
    known = np.array([kind in outcomes for kind in counted.types.values], dtype=np.bool_)
    declared = [outcomes.get(kind) for kind in counted.types.values]
    fixed = np.array([d.reward if d else 0.0 for d in declared], dtype=np.float64)
    weight = np.array([d.amount_weight if d else 0.0 for d in declared], dtype=np.float64)
    keep = known[counted.types.codes] if len(known) else np.zeros(0, dtype=np.bool_)
    rows, codes = counted.rows[keep], counted.types.codes[keep]
    earned = fixed[codes] + weight[codes] * np.nan_to_num(counted.amounts[keep], nan=0.0)
    responded = np.zeros(size, dtype=np.bool_)
    responded[rows] = True
    total = np.where(responded, _aggregated(definition.aggregation, rows, earned, size), definition.default)
    low, high = definition.range
    return np.clip(total, low, high)


def _aggregated(how: str, rows: Ints, earned: Floats, size: int) -> Floats:
    """`earned`, which stands in order of receipt, as one number per row; rows without any hold anything finite."""
    if how == "sum":
        return np.bincount(rows, weights=earned, minlength=size).astype(np.float64, copy=False)
    if how == "max":
        best = np.full(size, -np.finfo(np.float64).max)
        np.maximum.at(best, rows, earned)
        return best
    one = np.zeros(size)
    if how == "first":
        rows, earned = rows[::-1], earned[::-1]
    one[rows] = earned  # of repeated rows numpy keeps the last
    return one
