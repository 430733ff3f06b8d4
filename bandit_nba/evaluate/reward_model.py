"""The reward model of the doubly robust estimators: a ridge regression per arm, pooled towards all arms.

The reward is regressed on the features over all arms, and then, for each arm, what is left. An arm with few decisions
is thus pulled towards the mean of all arms, not towards zero.
"""

from typing import Self

import numpy as np
import scipy.sparse as sp
from sklearn.linear_model import Ridge

from bandit_nba.decide.columns import Floats
from bandit_nba.decide.features.featuriser import Featuriser
from bandit_nba.decide.policy import FeatureSettings
from bandit_nba.errors import RefusedError
from bandit_nba.evaluate.cross_fit import cross_fit
from bandit_nba.evaluate.log import LoggedDecisions
from bandit_nba.evaluate.sample import FloatArray, IntArray

PENALTY_SHARED = 10.0
PENALTY_ARM = 30.0
MIN_DECISIONS_OF_ARM = 20
FOLDS = 5


def cross_fitted(
    log: LoggedDecisions,
    features: FeatureSettings,
    *,
    rng: np.random.Generator,
    reward_range: tuple[float, float] = (0.0, 1.0),
) -> Floats:
    """Expected reward of every cell of the log, float64 (cells,), each from a model blind to the cell's customer.

    Raises
    ------
    RefusedError
        If there are fewer customers than `FOLDS`.
    """
    units = len(np.unique(log.group))
    if units < FOLDS:
        raise RefusedError(
            "too few customers to judge policies on",
            where="the log",
            got=f"{units:,} in {len(log):,} decisions",
            allowed=f"at least {FOLDS}; a verdict needs about a hundred rewarded decisions",
            hint="log more decisions first",
        )
    found = cross_fit(
        _design(log, features),
        log.arm[log.chosen],
        log.reward,
        n_arms=len(log.arms),
        model=PooledRidge,
        groups=log.group,
        reward_range=reward_range,
        folds=FOLDS,
        rng=rng,
    )
    by_cell: Floats = found.by_arm[log.row, log.arm]
    return by_cell


class PooledRidge:
    """One ridge regression over all arms, and one per arm on its residuals where the arm has 20 decisions or more."""

    def fit(self, features: FloatArray, arms: IntArray, rewards: FloatArray, weights: FloatArray) -> Self:
        """Learn from (n, d) features, (n,) arms and rewards, with non-negative weights (n,)."""
        self._shared = Ridge(alpha=PENALTY_SHARED).fit(features, rewards, sample_weight=weights)
        rest = rewards - self._shared.predict(features)
        self._of_arm: dict[int, Ridge] = {}
        for arm in np.unique(arms).tolist():
            mine = arms == arm
            if np.count_nonzero(mine) >= MIN_DECISIONS_OF_ARM:
                ridge = Ridge(alpha=PENALTY_ARM)
                self._of_arm[arm] = ridge.fit(features[mine], rest[mine], sample_weight=weights[mine])
        return self

    def predict(self, features: FloatArray, arms: IntArray) -> FloatArray:
        """Expected reward of each row's arm, float64 (n,)."""
        predicted: FloatArray = self._shared.predict(features)
        for arm in np.unique(arms).tolist():
            if arm in self._of_arm:
                mine = arms == arm
                predicted[mine] += self._of_arm[arm].predict(features[mine])
        return predicted


def _design(log: LoggedDecisions, features: FeatureSettings) -> FloatArray:
    """The policy's own features of each decision, float64 (N, V); where there is none, a column that says nothing."""
    rows = Featuriser(features, log.facts.schema).contexts(log.facts, log.channels)
    table = sp.csr_array((rows.values, rows.terms, rows.indptr), shape=(len(rows), max(1, len(rows.names))))
    return np.asarray(table.toarray(), dtype=np.float64)
