"""Drift: the tastes of some arms turn into other tastes, slowly or at once, their variance unchanged."""

import numpy as np

from bandit_nba.decide.columns import Bools, Floats
from simulators.journey.settings import Drift


def drifting(drift: Drift | None, rng: np.random.Generator, arms: int) -> Bools:
    """Which arms drift, bool (arms,); "no action" never."""
    chosen = np.zeros(arms, dtype=np.bool_)
    if drift is not None and drift.kind != "none":
        count = round(drift.share * (arms - 1))
        chosen[1 + rng.permutation(arms - 1)[:count]] = True
    return chosen


def angle(drift: Drift | None, t: int) -> float:
    """How far tastes have turned at step t: 0 for the old ones, pi / 2 for the new ones."""
    if drift is None or drift.kind == "none" or t < drift.at_step:
        return 0.0
    if drift.kind == "abrupt":
        return float(np.pi / 2)
    return float(np.pi / 2 * min(1.0, (t - drift.at_step) / drift.over_steps))


def turned(old: Floats, new: Floats, by: float) -> Floats:
    """cos(angle) old + sin(angle) new."""
    found: Floats = np.cos(by) * old + np.sin(by) * new
    return found
