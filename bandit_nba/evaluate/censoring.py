"""Inverse-probability-of-censoring weights: churn and retention before everyone has been watched long enough.

A customer whose watch ended before the horizon, without churn, is censored. Those whose status at the horizon is known
stand for the censored ones: they get 1 / G(u), G the chance of still being watched (Kaplan-Meier of the censoring
times, just before u = min(time, horizon)). Robins and Rotnitzky 1992; with no other weight the estimate of churn equals
1 - Kaplan-Meier of churn exactly.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from bandit_nba.errors import InputError, RefusedError
from bandit_nba.evaluate.sample import BoolArray, FloatArray, finite_vector

LEAST_WATCHED = 0.05
"""Below this chance of still being watched at the horizon no verdict is given: a few customers would carry it all."""


@dataclass(frozen=True, slots=True)
class Watched:
    """Weights and outcomes at the horizon: multiply `weights` into the policy's weights and `estimate` on `churned`.

    Attributes
    ----------
    weights
        1 / G for customers with known status, 0 for censored ones, shape (n,).
    churned
        1 where the churn by the horizon is known, else 0; `1 - churned` is retention only where `known`.
    known
        Whether the status at the horizon is known, shape (n,).
    censored_share
        Share of customers with unknown status.
    """

    weights: FloatArray
    churned: FloatArray
    known: BoolArray
    censored_share: float


def watched(
    times: ArrayLike,
    churn_seen: ArrayLike,
    horizon: float,
    *,
    strata: ArrayLike | None = None,
) -> Watched:
    """Turn watch times into weights.

    Parameters
    ----------
    times
        Time from the decision to churn or to the end of the watch, >= 0, shape (n,), any unit.
    churn_seen
        Whether churn ended it, shape (n,).
    horizon
        By when churn counts, in the same unit, above 0.
    strata
        Groups within which censoring does not depend on churn (say the month of the decision); each gets its own G.

    Raises
    ------
    RefusedError
        In some stratum fewer than 5 % would still be watched at the horizon.
    """
    t = finite_vector(times, "times")
    seen = np.asarray(churn_seen).astype(np.bool_)
    if seen.shape != t.shape:
        raise InputError("churn_seen has another length than times", where="churn_seen", got=seen.shape)
    if (t < 0).any():
        row = int(np.argmax(t < 0))
        raise InputError("a time is negative", where=f"times[{row}]", got=float(t[row]), allowed="at least 0")
    if not (np.isfinite(horizon) and horizon > 0):
        raise InputError("the horizon is not a duration", where="horizon", got=horizon, allowed="above 0")
    labels = np.zeros(len(t), dtype=np.intp) if strata is None else np.unique(strata, return_inverse=True)[1]
    if labels.shape != t.shape:
        raise InputError("strata have another length than times", where="strata", got=labels.shape)
    churned = seen & (t <= horizon)
    known = churned | (t >= horizon)
    weights = np.zeros(len(t))
    for stratum in range(int(labels.max()) + 1):
        rows = labels == stratum
        chance = _still_watched(t[rows], seen[rows], np.minimum(t[rows], horizon), stratum)
        weights[rows] = np.where(known[rows], 1.0 / chance, 0.0)
    return Watched(weights, churned.astype(np.float64), known, float(1 - known.mean()))


def _still_watched(times: FloatArray, churn_seen: BoolArray, at: FloatArray, stratum: int) -> FloatArray:
    """Kaplan-Meier of the censoring times just before each of `at`, shape (n,); churn at a tie comes first."""
    order = np.argsort(times, kind="stable")
    t, censored = times[order], ~churn_seen[order]
    moments, first = np.unique(t, return_index=True)
    ends = np.append(first[1:], len(t))
    at_risk = len(t) - first
    churns = np.add.reduceat((~censored).astype(np.int64), first)
    leaving = (ends - first) - churns
    # Those who churn at a moment are no longer at risk of being censored at it.
    exposed = np.maximum(at_risk - churns, 1)
    survival = np.cumprod(1.0 - leaving / exposed)
    before = np.searchsorted(moments, at, side="left")
    chance = np.concatenate([[1.0], survival])[before]
    if float(chance.min()) < LEAST_WATCHED:
        raise RefusedError(
            "too few customers are watched up to the horizon",
            where="horizon" if stratum == 0 else f"horizon, stratum {stratum}",
            got=round(float(chance.min()), 4),
            allowed=f"at least {LEAST_WATCHED:.0%} still watched",
            hint="shorten the horizon or wait",
        )
    return chance
