"""Cross-fitted reward models: no decision's expected reward comes from a model that saw that decision's customer.

A model that has seen a reward predicts it too well, and the doubly robust correction shrinks with it. So customers are
dealt into folds, and each fold is predicted by a model fitted on the others (Chernozhukov et al. 2018).
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import ArrayLike
from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from threadpoolctl import threadpool_limits

from bandit_nba.errors import InputError, ModelError
from bandit_nba.evaluate.sample import FloatArray, IntArray, Range, finite_vector


class RewardModel(Protocol):
    """Any regression of the reward on context and arm."""

    def fit(self, features: FloatArray, arms: IntArray, rewards: FloatArray, weights: FloatArray) -> Any:
        """Learn from (n, d) features, (n,) arms and rewards, with non-negative weights (n,)."""

    def predict(self, features: FloatArray, arms: IntArray) -> FloatArray:
        """Expected reward of each row's arm, shape (n,)."""


@dataclass(frozen=True, slots=True)
class CrossFit:
    """Expected reward of every arm for every decision, shape (n, K), each from a model blind to its customer."""

    by_arm: FloatArray
    arms: IntArray

    @property
    def q_logged(self) -> FloatArray:
        """q(x, a) of the logged arm, shape (n,)."""
        return self.by_arm[np.arange(len(self.arms)), self.arms]

    def under(self, policy: ArrayLike) -> FloatArray:
        """q(x, pi) = sum_a pi(a|x) q(x, a), shape (n,), for probabilities (n, K); 0 for arms that are not eligible."""
        pi = np.asarray(policy, dtype=np.float64)
        if pi.shape != self.by_arm.shape:
            raise InputError(
                "not one probability per arm", where="policy", got=pi.shape, allowed=str(self.by_arm.shape)
            )
        wrong = ~(np.isfinite(pi) & (pi >= 0)).all(axis=1) | (np.abs(pi.sum(axis=1) - 1) > 1e-6)
        if wrong.any():
            row = int(np.argmax(wrong))
            raise InputError("not a distribution", where=f"policy[{row}]", got=pi[row].tolist(), allowed="sum 1")
        expected: FloatArray = np.einsum("nk,nk->n", pi, self.by_arm)
        return expected


def cross_fit(
    features: ArrayLike,
    arms: ArrayLike,
    rewards: ArrayLike,
    *,
    n_arms: int,
    model: str | Callable[[], RewardModel] = "ridge",
    folds: int = 5,
    groups: ArrayLike | Sequence[object] | None = None,
    sample_weights: ArrayLike | None = None,
    reward_range: Range = (0.0, 1.0),
    rng: np.random.Generator,
) -> CrossFit:
    """Fit a reward model on all folds but one, and predict every arm on the one left out.

    Parameters
    ----------
    features
        Context, shape (n, d), finite.
    arms
        Logged arm of each decision, 0 .. n_arms - 1, shape (n,).
    model
        "ridge", "logistic" (rewards 0 or 1), "gradient_boosting", or a function that makes a fresh `RewardModel`.
    folds
        2 up to the number of customers.
    groups
        Customer of each decision; one customer never spans two folds.
    sample_weights
        Weights of the regression, shape (n,), at least 0: `mrdr_weights` makes MRDR of dr.
    reward_range
        Predictions are cut to it.
    """
    x = _table(features)
    n = len(x)
    a = _arms(arms, n, n_arms)
    r = finite_vector(rewards, "rewards", n)
    weights = np.ones(n) if sample_weights is None else finite_vector(sample_weights, "sample_weights", n)
    if (weights < 0).any():
        row = int(np.argmax(weights < 0))
        raise InputError("a weight is negative", where=f"sample_weights[{row}]", got=float(weights[row]))
    fold = assign_folds(n, folds, groups=groups, rng=rng)
    make = _maker(model, r, n_arms)
    by_arm = np.empty((n, n_arms))
    with threadpool_limits(
        1
    ):  # the threads of small fits wait for each other on busy cores: 40 s against 1 s, measured
        for k in range(folds):
            train, test = (fold != k) & (weights > 0), fold == k
            fitted = make()
            fitted.fit(x[train], a[train], r[train], weights[train])
            for arm in range(n_arms):
                by_arm[test, arm] = fitted.predict(x[test], np.full(int(test.sum()), arm, dtype=np.intp))
    if not np.isfinite(by_arm).all():
        raise ModelError("the reward model predicts numbers that are not finite", where="model", got=str(model))
    return CrossFit(np.clip(by_arm, *reward_range), a)


def assign_folds(
    n: int, folds: int, *, groups: ArrayLike | Sequence[object] | None = None, rng: np.random.Generator
) -> IntArray:
    """Fold 0 .. folds - 1 of each of n decisions, shape (n,): whole customers, evenly by number of customers."""
    codes = np.arange(n) if groups is None else np.unique(np.asarray(groups), return_inverse=True)[1]
    if codes.shape != (n,):
        raise InputError("groups have another length than the rewards", where="groups", got=codes.shape)
    units = int(codes.max()) + 1 if n else 0
    if not 2 <= folds <= units:
        raise InputError("so many folds cannot be made", where="folds", got=folds, allowed=f"2 to {units} (customers)")
    dealt = np.empty(units, dtype=np.intp)
    dealt[rng.permutation(units)] = np.arange(units) % folds
    return dealt[codes]


def mrdr_weights(policy: ArrayLike, propensities: ArrayLike) -> FloatArray:
    """pi(a|x) (1 - p) / p^2: fitted under these, q minimises the variance of dr (Farajtabar et al. 2018).

    `policy` is the judged policy's probability of the logged arm, `propensities` the logged one, both of shape (n,).
    """
    pi = finite_vector(policy, "policy")
    p = finite_vector(propensities, "propensities", len(pi))
    wrong = (p <= 0) | (p > 1)
    if wrong.any():
        row = int(np.argmax(wrong))
        raise InputError(
            "not a propensity", where=f"propensities[{row}]", got=float(p[row]), allowed="above 0, up to 1"
        )
    return pi * (1 - p) / p**2


class _PerArm:
    """A pooled linear model, and for every arm one on top of it that sees the pooled prediction as a feature.

    An arm with few decisions stays close to the pooled model; one that was never logged is the pooled model.
    """

    least_rows = 10

    def __init__(self, make: Callable[[], Any], step: str, method: str) -> None:
        self._make, self._step, self._method = make, step, method
        self._pooled: Any = None
        self._by_arm: dict[int, Any] = {}
        self._constant = 0.0

    def fit(self, features: FloatArray, arms: IntArray, rewards: FloatArray, weights: FloatArray) -> "_PerArm":
        self._constant = float(np.average(rewards, weights=weights)) if len(rewards) else 0.0
        if self._unlearnable(rewards):
            return self
        self._pooled = self._fitted(features, rewards, weights)
        stacked = self._stacked(features)
        for arm in np.unique(arms):
            rows = arms == arm
            if not self._unlearnable(rewards[rows]):
                self._by_arm[int(arm)] = self._fitted(stacked[rows], rewards[rows], weights[rows])
        return self

    def predict(self, features: FloatArray, arms: IntArray) -> FloatArray:
        if self._pooled is None:
            return np.full(len(features), self._constant)
        stacked = self._stacked(features)
        expected = stacked[:, -1].copy()
        if self._method == "predict_proba":
            expected = 1 / (1 + np.exp(-expected))
        for arm in np.unique(arms):
            if int(arm) in self._by_arm:
                rows = arms == arm
                expected[rows] = self._expected(self._by_arm[int(arm)], stacked[rows])
        return expected

    def _unlearnable(self, rewards: FloatArray) -> bool:
        return len(rewards) < self.least_rows or (self._method == "predict_proba" and len(np.unique(rewards)) < 2)

    def _fitted(self, features: FloatArray, rewards: FloatArray, weights: FloatArray) -> Any:
        target = rewards if self._method == "predict" else rewards.astype(np.int64)
        scale = weights / weights.mean()
        return self._make().fit(features, target, **{f"{self._step}__sample_weight": scale})

    def _stacked(self, features: FloatArray) -> FloatArray:
        link = self._pooled.predict if self._method == "predict" else self._pooled.decision_function
        return np.column_stack([features, link(features)])

    def _expected(self, model: Any, features: FloatArray) -> FloatArray:
        found = model.predict(features) if self._method == "predict" else model.predict_proba(features)[:, 1]
        return np.asarray(found, dtype=np.float64)


class _Boosted:
    """Gradient-boosted trees on the context with the arm as a category."""

    def __init__(self, n_arms: int, kind: str) -> None:
        self._n_arms, self._kind = n_arms, kind
        self._model: Any = None
        self._constant = 0.0

    def fit(self, features: FloatArray, arms: IntArray, rewards: FloatArray, weights: FloatArray) -> "_Boosted":
        self._constant = float(np.average(rewards, weights=weights)) if len(rewards) else 0.0
        if len(np.unique(rewards)) < 2:
            return self
        binary = self._kind == "binary"
        make = HistGradientBoostingClassifier if binary else HistGradientBoostingRegressor
        # Small, slow trees: at response rates of a few percent the defaults learn noise.
        model = make(max_iter=100, learning_rate=0.05, max_leaf_nodes=15, categorical_features=[features.shape[1]])
        target = rewards.astype(np.int64) if binary else rewards
        self._model = model.fit(np.column_stack([features, arms]), target, sample_weight=weights / weights.mean())
        return self

    def predict(self, features: FloatArray, arms: IntArray) -> FloatArray:
        if self._model is None:
            return np.full(len(features), self._constant)
        table = np.column_stack([features, arms])
        found = self._model.predict_proba(table)[:, 1] if self._kind == "binary" else self._model.predict(table)
        return np.asarray(found, dtype=np.float64)


def _maker(model: str | Callable[[], RewardModel], rewards: FloatArray, n_arms: int) -> Callable[[], RewardModel]:
    if callable(model):
        return model
    binary = bool(np.isin(rewards, (0.0, 1.0)).all())
    if model == "ridge":
        return lambda: _PerArm(lambda: make_pipeline(StandardScaler(), Ridge(alpha=10.0)), "ridge", "predict")
    if model == "logistic":
        if not binary:
            raise InputError(
                "a logistic model needs rewards of 0 and 1", where="model", got=model, allowed="ridge, ..."
            )

        def logistic() -> Any:
            return make_pipeline(StandardScaler(), LogisticRegression(C=0.1, max_iter=1000))

        return lambda: _PerArm(logistic, "logisticregression", "predict_proba")
    if model == "gradient_boosting":
        if n_arms > 255:
            raise InputError("the trees take at most 255 arms", where="n_arms", got=n_arms, allowed="up to 255")
        return lambda: _Boosted(n_arms, "binary" if binary else "real")
    allowed = "ridge, logistic, gradient_boosting, or a function that makes a model"
    raise InputError("no such reward model", where="model", got=model, allowed=allowed)


def _table(features: ArrayLike) -> FloatArray:
    x = np.asarray(features, dtype=np.float64)
    if x.ndim != 2 or len(x) == 0:
        raise InputError(
            "this is not one row of features per decision", where="features", got=x.shape, allowed="(n, d)"
        )
    finite = np.isfinite(x).all(axis=1)
    if not finite.all():
        raise InputError(
            "a feature is not finite", where=f"features[{int(np.argmin(finite))}]", allowed="finite numbers"
        )
    return x


def _arms(arms: ArrayLike, n: int, n_arms: int) -> IntArray:
    a = np.asarray(arms)
    if a.shape != (n,) or not np.issubdtype(a.dtype, np.integer):
        raise InputError("not one arm per decision", where="arms", got=a.shape, allowed=f"integers, shape ({n},)")
    wrong = (a < 0) | (a >= n_arms)
    if wrong.any():
        row = int(np.argmax(wrong))
        raise InputError("no such arm", where=f"arms[{row}]", got=int(a[row]), allowed=f"0 to {n_arms - 1}")
    return a.astype(np.intp)
