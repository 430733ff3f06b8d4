"""A cross-fitted model of the expected reward of every logged cell, for the doubly robust estimators.

For each fold of customers two ridge regressions are fitted on the others: the reward on the features over all arms, and
for each arm what is left. An arm with few decisions is thus pulled towards the mean of all arms, not towards zero.
No customer's decision is predicted by a model that saw that customer (cross-fitting: Chernozhukov et al. 2018).
"""

import numpy as np
import scipy.sparse as sp
from sklearn.linear_model import Ridge

from bandit_nba.decide.batch import Floats, Ints
from bandit_nba.decide.features import Featuriser
from bandit_nba.decide.policy import FeatureSettings
from bandit_nba.evaluate.log import LoggedDecisions

FOLDS = 5
PENALTY_SHARED = 10.0
PENALTY_ARM = 30.0
MIN_DECISIONS_OF_ARM = 20


def cross_fitted(
    log: LoggedDecisions,
    features: FeatureSettings,
    *,
    rng: np.random.Generator,
    folds: int = FOLDS,
    reward_range: tuple[float, float] = (0.0, 1.0),
) -> Floats:
    """Expected reward of every cell of the log, float64 (cells,), within `reward_range`."""
    x = _design(log, features)
    fold_of = rng.integers(folds, size=int(log.group.max()) + 1)[log.group]
    chosen = log.arm[log.chosen]
    predicted = np.empty((len(log), len(log.arms)))
    for fold in range(folds):
        out = fold_of == fold
        predicted[out] = _fitted(x[~out], chosen[~out], log.reward[~out], x[out], len(log.arms))
    return np.clip(predicted[log.row, log.arm], *reward_range)


def _fitted(x: sp.csr_array, arm: Ints, reward: Floats, ahead: sp.csr_array, arms: int) -> Floats:
    """Predictions for the rows of `ahead`, float64 (rows, arms)."""
    shared = Ridge(alpha=PENALTY_SHARED).fit(x, reward)
    rest = reward - shared.predict(x)
    base = shared.predict(ahead)
    predicted = np.repeat(base[:, None], arms, axis=1)
    for a in range(arms):
        rows = np.flatnonzero(arm == a)
        if len(rows) >= MIN_DECISIONS_OF_ARM:
            predicted[:, a] += Ridge(alpha=PENALTY_ARM).fit(x[rows], rest[rows]).predict(ahead)
    return predicted


def _design(log: LoggedDecisions, features: FeatureSettings) -> sp.csr_array:
    """The policy's own features of each decision, as a sparse matrix (N, V)."""
    rows = Featuriser(features, log.facts.schema).contexts(log.facts, log.channels)
    return sp.csr_array((rows.values, rows.terms, rows.indptr), shape=(len(rows), len(rows.names)))
