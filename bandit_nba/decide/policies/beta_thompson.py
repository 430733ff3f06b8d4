"""Beta-Bernoulli Thompson sampling (Thompson 1933): each arm has a response rate, whoever the customer is.

A row's probabilities are those with which each eligible arm's rate, drawn from its Beta posterior, is the highest:

    p_k = integral of f_k(t) prod_{j != k} F_j(t) dt

integrated on a grid of the posteriors' own quantiles (within 1e-3 of the integral) and scaled to sum to 1. The choice
is drawn from the very numbers that are logged, so they are its true chances, whatever the grid.
"""

from dataclasses import dataclass

import numpy as np
from scipy.special import betainc, betaincinv

from bandit_nba.decide.acting import Distribution, Situation, unscored
from bandit_nba.decide.columns import Bools, Floats, Ints
from bandit_nba.errors import InputError

QUANTILES = 64  # per posterior on the grid
MOST_POSTERIORS = 64  # that give their quantiles to the grid: those that may win
SMALLEST = 1e-300


class BetaThompsonPolicy:
    """Learns each arm's rate from rewards within [0, 1]; a reward r counts as r successes and 1 - r failures.

    prior: successes and failures that every arm starts with.
    """

    name = "beta_thompson"
    full_support = False  # a hopeless arm's chance may be too small for float64

    def __init__(self, *, prior: tuple[float, float] = (1.0, 1.0)) -> None:
        self._prior = prior
        self._counts: dict[str, tuple[float, float]] = {}

    def distribution(self, situation: Situation) -> Distribution:
        """The chance of each eligible arm to be the best; arms with equal counts share exactly."""
        counts = np.array([self._counts.get(arm.id, self._prior) for arm in situation.arms])
        race = _Race.between(counts)
        return unscored(lambda _, mask: race.chances(mask), situation.mask)

    def update(self, situation: Situation, chosen: Ints, rewards: Floats) -> None:
        """Learn N decisions.

        Raises
        ------
        InputError
            If a reward is not within [0, 1]; nothing is learned then.
        """
        bad = np.flatnonzero(~((rewards >= 0.0) & (rewards <= 1.0)))
        if len(bad):
            got = float(rewards[bad[0]])
            raise InputError("is no response", where=f"rewards[{bad[0]}]", got=got, allowed="0 to 1")
        for k in np.unique(chosen).tolist():
            arm, here = situation.arms[k].id, rewards[chosen == k]
            successes, failures = self._counts.get(arm, self._prior)
            earned = float(here.sum())
            self._counts[arm] = successes + earned, failures + len(here) - earned


@dataclass(frozen=True)
class _Race:
    """G distinct posteriors over T cells. of_arm: int64 (K,), each arm's posterior. mass: (G, T), of each cell.

    log_below: (G, T), logarithm of the chance to lie below the middle of each cell.
    """

    of_arm: Ints
    mass: Floats
    log_below: Floats

    @classmethod
    def between(cls, counts: Floats) -> "_Race":
        distinct, of_arm = np.unique(counts, axis=0, return_inverse=True)
        a, b = distinct[:, 0], distinct[:, 1]
        mean = a / (a + b)
        reach = mean + 4.0 * np.sqrt(mean * (1.0 - mean) / (a + b + 1.0))
        leading = np.argsort(-reach, kind="stable")[:MOST_POSTERIORS]
        levels = np.concatenate([[1e-9, 1e-6, 1e-3], np.arange(1, QUANTILES) / QUANTILES, [1 - 1e-3, 1 - 1e-6]])
        quantiles = betaincinv(a[leading, None], b[leading, None], levels)
        edges = np.unique(np.concatenate([[0.0, 1.0], quantiles.ravel()]))
        below = betainc(a[:, None], b[:, None], edges)
        middle = (below[:, 1:] + below[:, :-1]) / 2.0
        return cls(
            of_arm=of_arm.reshape(-1), mass=np.diff(below, axis=1), log_below=np.log(np.maximum(middle, SMALLEST))
        )

    def chances(self, mask: Bools) -> Floats:
        """(N, K), worked out once per distinct set of arms."""
        packed = np.packbits(mask, axis=1)
        _, first, pattern = np.unique(packed, axis=0, return_index=True, return_inverse=True)
        found = np.array([self._chances_among(mask[i]) for i in first.tolist()])
        chances: Floats = found.reshape(-1, mask.shape[1])[pattern.reshape(-1)]
        return chances

    def _chances_among(self, arms: Bools) -> Floats:
        """(K,) for one set of arms, bool (K,)."""
        racing = np.bincount(self.of_arm[arms], minlength=len(self.mass))
        some = np.flatnonzero(racing)
        all_below = (racing[some, None] * self.log_below[some]).sum(axis=0)
        wins = np.zeros(len(self.mass))
        wins[some] = (self.mass[some] * np.exp(all_below - self.log_below[some])).sum(axis=1)
        p = np.where(arms, wins[self.of_arm], 0.0)
        scaled: Floats = p / p.sum()
        return scaled
