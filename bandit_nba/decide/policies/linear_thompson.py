"""Linear Thompson sampling (Agrawal & Goyal 2013, one model per arm) with declared draws.

    theta_k,m ~ Normal(theta_k, scale^2 A_k^-1),  m = 1 ... M

Each arm's M draws come from its posterior by a seed of (salt, arm, examples of the arm): they stand still between two
updates and can be made again. A decision follows one of the M draws, all equally likely. So the probability of an arm
is exactly the share of draws in which it is the best, and that is what is logged and what is drawn from.
"""

import hashlib

import numpy as np

from bandit_nba.decide.acting import Distribution, Situation, shared_best, unscored
from bandit_nba.decide.choice.salt import Salt
from bandit_nba.decide.columns import Bools, Floats, Ints
from bandit_nba.decide.policies.ridge import EMPTY, RidgeArms


class LinearThompsonPolicy:
    """Learns a linear model per arm and follows one of `draws` draws from its posterior; see `ridge`.

    scale: of the posterior's standard deviation, in the reward's unit. A feature that no arm has learned is left out.
    """

    name = "linear_thompson"
    full_support = False  # an arm that is best in none of the draws has no chance

    def __init__(self, salt: Salt, *, draws: int = 100, scale: float = 0.3, ridge: float = 1.0) -> None:
        self._salt = salt
        self._draws = draws
        self._scale = scale
        self._arms = RidgeArms(ridge=ridge)
        self._drawn: dict[tuple[str, int, int], Floats] = {}

    def distribution(self, situation: Situation) -> Distribution:
        """The share of draws in which each eligible arm is the best, a draw's ties shared."""
        x = self._arms.space.seen(situation.contexts)
        theta = np.stack([self._drawn_for(arm.id) for arm in situation.arms], axis=2)

        def chances(rows: Ints, mask: Bools) -> Floats:
            p = np.zeros(mask.shape)
            for one in theta:
                p += shared_best(x[rows] @ one, mask)
            p /= len(theta)
            return p

        return unscored(chances, situation.mask)

    def update(self, situation: Situation, chosen: Ints, rewards: Floats) -> None:
        """Learn N decisions and draw anew for their arms; raises `InputError` for rewards that are not finite."""
        self._arms.update(situation, chosen, rewards)
        touched = {situation.arms[k].id for k in np.unique(chosen).tolist()}
        self._drawn = {key: drawn for key, drawn in self._drawn.items() if key[0] not in touched}

    def _drawn_for(self, arm: str) -> Floats:
        """The arm's draws, float64 (M, width), made once per state."""
        key = arm, self._arms.arms.get(arm, EMPTY).n, self._arms.space.width
        if key not in self._drawn:
            self._drawn[key] = self._draw(*key)
        return self._drawn[key]

    def _draw(self, arm: str, n: int, width: int) -> Floats:
        """A column's normals depend on the seed and the column alone, so they stay as more columns come."""
        seed = hashlib.blake2b(f"linear_thompson:{arm}:{n}".encode(), key=self._salt.key, digest_size=16).digest()
        normal = np.random.default_rng(int.from_bytes(seed)).standard_normal((width, self._draws)).T
        one = self._arms.arms.get(arm, EMPTY)
        d = len(one.theta)
        drawn: Floats = normal * (self._scale / np.sqrt(self._arms.ridge))
        if d:
            drawn[:, :d] = one.theta + self._scale * normal[:, :d] @ np.linalg.cholesky(one.covariance).T
        return drawn
