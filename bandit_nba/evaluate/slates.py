"""Policies that choose several arms at once: K slots, each with its own probabilities.

| estimator | formula | assumes | source |
|---|---|---|---|
| ips | E_n[prod_k w_k r] | nothing | Horvitz-Thompson |
| pseudo_inverse | E_n[(1 - K + sum_k w_k) r] | reward is a sum over slots, drawn independently | arXiv 1605.04812 |
| independent | E_n[sum_k w_k r_k] | a slot's reward depends on its own arm only | Li et al. 2018 |
| cascade | E_n[sum_k w_{1:k} r_k] | a slot's reward depends on the slots above it | McInerney et al. 2020 |
| cascade_dr | E_n[sum_k (w_{1:k}(r_k - q_k) + w_{1:k-1} v_k)] | the same | Kiyohara et al. 2022 |

w_k = pi_k / mu_k of slot k (for cascades given the slots above), w_{1:k} their product.
"""

from collections.abc import Sequence
from math import inf

import numpy as np
from numpy.typing import ArrayLike

from bandit_nba.errors import InputError
from bandit_nba.evaluate.api import bounded_estimate
from bandit_nba.evaluate.estimators.precomputed import average
from bandit_nba.evaluate.result import ESS_FLOOR, Estimate
from bandit_nba.evaluate.sample import FloatArray, checked_sample

WHOLE = ("ips", "pseudo_inverse")
PER_SLOT = ("independent", "cascade", "cascade_dr")


def estimate_slates(
    weights: ArrayLike,
    rewards: ArrayLike,
    *,
    q_logged: ArrayLike | None = None,
    q_policy: ArrayLike | None = None,
    estimator: str = "pseudo_inverse",
    interval: str = "gaussian",
    alpha: float = 0.05,
    groups: ArrayLike | Sequence[object] | None = None,
    rng: np.random.Generator | None = None,
) -> Estimate:
    """Value of a slate policy.

    Parameters
    ----------
    weights
        pi_k / mu_k for each slot, shape (n, K), >= 0.
    rewards
        One per slate, shape (n,), for ips and pseudo_inverse; one per slot, shape (n, K), for the others.
    q_logged, q_policy
        For cascade_dr, shape (n, K): the expected sum of the rewards of slots k..K given the logged arms 1..k, and the
        same with slot k drawn from the policy.
    interval
        gaussian, student_t or bootstrap: the pseudo-inverse weight can be negative, so that no range-based bound fits.

    Returns
    -------
    Estimate
        `ess` is that of the weights of the whole slate that the estimator uses.
    """
    w = _slots(weights, "weights", None)
    if (w < 0).any():
        row = int(np.argmax((w < 0).any(axis=1)))
        raise InputError("a weight is negative", where=f"weights[{row}]", got=w[row].tolist(), allowed="at least 0")
    if interval not in ("gaussian", "student_t", "bootstrap"):
        allowed = "gaussian, student_t, bootstrap"
        raise InputError("no such interval for slates", where="interval", got=interval, allowed=allowed)
    terms, used = _terms(w, rewards, q_logged, q_policy, estimator)
    sample = checked_sample(np.ones(len(w)), terms, groups=groups, reward_range=(-inf, inf))
    found = bounded_estimate(sample, average(estimator, terms), interval=interval, alpha=alpha, rng=rng)
    ess = float(used.sum() ** 2 / (used @ used)) if used.any() else 0.0
    few = f"the log is worth only {ess:,.0f} slates of this policy: too few for a verdict ({ESS_FLOOR:.0f})"
    warnings = (*found.warnings, few) if ess < ESS_FLOOR else found.warnings
    return Estimate(found.value, found.low, found.high, len(w), ess, warnings)


def _terms(
    w: FloatArray, rewards: ArrayLike, q_logged: ArrayLike | None, q_policy: ArrayLike | None, estimator: str
) -> tuple[FloatArray, FloatArray]:
    """Contributions (n,) and the weights (n,) whose spread they have."""
    if estimator in WHOLE:
        r = np.asarray(rewards, dtype=np.float64)
        if r.shape != (len(w),):
            raise InputError(
                f"{estimator} needs one reward per slate", where="rewards", got=r.shape, allowed=f"({len(w)},)"
            )
        used = w.prod(axis=1) if estimator == "ips" else 1 - w.shape[1] + w.sum(axis=1)
        return np.asarray(used * r, dtype=np.float64), used
    if estimator not in PER_SLOT:
        allowed = ", ".join(WHOLE + PER_SLOT)
        raise InputError("no such estimator for slates", where="estimator", got=estimator, allowed=allowed)
    r = _slots(rewards, "rewards", w.shape)
    prefix = np.cumprod(w, axis=1, dtype=np.float64)
    if estimator == "independent":
        return (w * r).sum(axis=1), w.mean(axis=1, dtype=np.float64)
    if estimator == "cascade":
        return (prefix * r).sum(axis=1), prefix[:, -1]
    if q_logged is None or q_policy is None:
        raise InputError("cascade_dr needs expected rewards", where="q_logged, q_policy", allowed="shape (n, K)")
    q, v = _slots(q_logged, "q_logged", w.shape), _slots(q_policy, "q_policy", w.shape)
    before = np.concatenate([np.ones((len(w), 1)), prefix[:, :-1]], axis=1)
    # The mean of w_{1:k-1} v_k is that of w_{1:k} q_k, whatever q is: the model moves the variance, not the mean.
    return (prefix * (r - q) + before * v).sum(axis=1), prefix[:, -1]


def _slots(values: ArrayLike, where: str, shape: tuple[int, ...] | None) -> FloatArray:
    table = np.asarray(values, dtype=np.float64)
    if table.ndim != 2 or (shape is not None and table.shape != shape):
        allowed = "shape (n, K)" if shape is None else str(shape)
        raise InputError("this is not one number per slot", where=where, got=table.shape, allowed=allowed)
    if not np.isfinite(table).all():
        row = int(np.argmax(~np.isfinite(table).all(axis=1)))
        raise InputError(
            "a number is not finite", where=f"{where}[{row}]", got=table[row].tolist(), allowed="finite numbers"
        )
    return table
