"""Expected rewards to come, fitted backwards on other customers' journeys (fitted Q evaluation, Le et al. 2019).

Q_t(s, a) = E[r_t + g V_{t+1}(s')],  V_t(s) = sum_a pi(a | s) Q_t(s, a),  V_h = 0

one ridge regression per step and arm on what an observer sees; two folds of customers, each judged by the other's fit.
"""

import numpy as np

from bandit_nba.decide.columns import Bools, Floats
from experiments.journey_ope.log import Journeys

RIDGE = 10.0


def expected(journeys: Journeys) -> tuple[Floats, Floats]:
    """Q of the logged arm and V of the judged policy, (n, T, T) each: by step t, and by horizon h at place h - 1.

    Zero where the step is beyond the horizon.
    """
    n, steps = journeys.arm.shape
    q_logged, q_policy = np.zeros((n, steps, steps)), np.zeros((n, steps, steps))
    for fold in (0, 1):
        judged = np.arange(n) % 2 == fold
        _backwards(journeys, ~judged, judged, q_logged, q_policy)
    return q_logged, q_policy


def _backwards(journeys: Journeys, fit: Bools, judged: Bools, q_logged: Floats, q_policy: Floats) -> None:
    """All horizons at once: they share the regressors of a step, not its targets."""
    n, steps = journeys.arm.shape
    following = np.zeros((n, steps))
    for t in reversed(range(steps)):
        x = np.column_stack([np.ones(n), journeys.seen[:, t].astype(np.float64)])
        target = journeys.rewards[:, t, None] + journeys.discount * following[:, t:]
        following = np.zeros((n, steps))
        for a in range(journeys.probabilities.shape[2]):
            here = journeys.arm[:, t] == a
            q = x @ _ridge(x, target, fit & here)
            following[:, t:] += journeys.probabilities[:, t, a, None] * q
            q_logged[judged & here, t, t:] = q[judged & here]
        q_policy[judged, t] = following[judged]


def _ridge(x: Floats, target: Floats, rows: Bools) -> Floats:
    """Coefficients, one column per target, the mean unpenalised; zeros where there is no row."""
    here = x[rows]
    penalty = np.full(x.shape[1], RIDGE)
    penalty[0] = 0.0 if len(here) else 1.0
    found = np.linalg.solve(here.T @ here + np.diag(penalty), here.T @ target[rows])
    return np.asarray(found, dtype=np.float64)
