"""A ridge regression for each arm on the context's features: what LinUCB and linear Thompson sampling share.

    A_k = ridge I + sum x x'      b_k = sum r x      theta_k = A_k^-1 b_k
    mean_k(x) = x' theta_k        variance_k(x) = x' A_k^-1 x

A feature that an arm has never met has theta 0 and variance 1 / ridge, so state may grow with the features seen.
"""

from dataclasses import dataclass, field

import numpy as np

from bandit_nba.decide.acting import Situation
from bandit_nba.decide.columns import Floats, Ints
from bandit_nba.decide.policies.dense import DenseContexts
from bandit_nba.errors import InputError


@dataclass(frozen=True)
class ArmRidge:
    """One arm's regression over its first d columns: A^-1 (d, d), A (d, d), b (d,), theta (d,); n examples."""

    precision: Floats
    weighted: Floats
    covariance: Floats
    theta: Floats
    n: int

    def more(self, x: Floats, rewards: Floats, *, ridge: float) -> "ArmRidge":
        """With these examples, x (n, d') of at least as many columns."""
        width, d = x.shape[1], len(self.theta)
        precision, weighted = ridge * np.eye(width), np.zeros(width)
        precision[:d, :d], weighted[:d] = self.precision, self.weighted
        precision += x.T @ x
        weighted += x.T @ rewards
        covariance = np.linalg.inv(precision)
        covariance = (covariance + covariance.T) / 2.0
        return ArmRidge(precision, weighted, covariance, covariance @ weighted, self.n + len(rewards))


EMPTY = ArmRidge(np.zeros((0, 0)), np.zeros(0), np.zeros((0, 0)), np.zeros(0), 0)


@dataclass
class RidgeArms:
    """The regressions of all arms by arm id; they change in `update` alone."""

    ridge: float = 1.0
    space: DenseContexts = field(default_factory=DenseContexts)
    arms: dict[str, ArmRidge] = field(default_factory=dict)

    def update(self, situation: Situation, chosen: Ints, rewards: Floats) -> None:
        """Learn N decisions.

        Raises
        ------
        InputError
            If a reward is not finite, or there are too many distinct features; nothing is learned then.
        """
        bad = np.flatnonzero(~np.isfinite(rewards))
        if len(bad):
            raise InputError("is not finite", where=f"rewards[{bad[0]}]", got=float(rewards[bad[0]]))
        x = self.space.learn(situation.contexts)
        for k in np.unique(chosen).tolist():
            arm, rows = situation.arms[k].id, chosen == k
            self.arms[arm] = self.arms.get(arm, EMPTY).more(x[rows], rewards[rows], ridge=self.ridge)

    def moments(self, situation: Situation) -> tuple[Floats, Floats]:
        """Mean and standard deviation (up to the noise's) of each arm's expected reward, float64 (N, K) each."""
        x = self.space.seen(situation.contexts)
        squares = x**2
        unmet = self.space.unseen(situation.contexts)
        blank = np.sqrt((squares.sum(axis=1) + unmet) / self.ridge)
        shape = len(situation), len(situation.arms)
        mean, deviation = np.zeros(shape), np.tile(blank[:, None], (1, shape[1]))
        for k, arm in enumerate(situation.arms):
            one = self.arms.get(arm.id)
            if one is not None:
                d = len(one.theta)
                known = ((x[:, :d] @ one.covariance) * x[:, :d]).sum(axis=1)
                mean[:, k] = x[:, :d] @ one.theta
                deviation[:, k] = np.sqrt(known + (squares[:, d:].sum(axis=1) + unmet) / self.ridge)
        return mean, deviation
