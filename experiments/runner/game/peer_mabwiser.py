"""The peer: MABWiser's LinUCB and linear Thompson sampling on the same features, as dense columns."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import msgspec
import numpy as np
from mabwiser.mab import MAB, LearningPolicy

from bandit_nba.decide.columns import Floats, Ints
from bandit_nba.decide.policies.dense import DenseContexts
from bandit_nba.decide.policy import Number
from experiments.runner.game.rounds import Game


class MabwiserLinear:
    """kind "linucb" or "lints" with `alpha`; told `batch` rewards at a time.

    It sees the game's features as dense columns. Each update inverts a matrix per arm, which is what makes this peer
    slow, so a table of more than `columns` (96) columns comes without the indicators of its numbers' bins, and where
    that is still wider, along 96 random directions (Gaussian, fixed by the seed).
    """

    def __init__(self, game: Game, options: Mapping[str, Any], *, batch: int, seed: int) -> None:
        self.batch = batch
        self._game = game
        self._x = _dense(game, most=int(options.get("columns", 96)), seed=seed)
        kinds = {"linucb": LearningPolicy.LinUCB, "lints": LearningPolicy.LinTS}
        policy = kinds[str(options["kind"])](alpha=float(options.get("alpha", 1.0)), l2_lambda=1.0)
        self._arms = list(range(game.q.shape[1]))
        self._bandit: Any = MAB(arms=self._arms, learning_policy=policy, seed=seed)
        self._begun = False
        self._rng = np.random.default_rng([0x3AB, seed])

    def decide(self, rows: slice) -> tuple[Ints, Floats]:
        """The possible arm with the highest bound or draw; before anything is known, any of them."""
        mask = self._game.mask[rows]
        if self._begun:
            found = self._bandit.predict_expectations(self._x[rows])
            each = found if isinstance(found, list) else [found]
            score = np.array([[one[arm] for arm in self._arms] for one in each])
        else:
            score = self._rng.random(mask.shape)
        return np.where(mask, score, -np.inf).argmax(axis=1), np.ones(len(mask))

    def learn(self, rows: slice, chosen: Ints, rewards: Floats, propensities: Floats) -> None:  # noqa: ARG002
        """Tell the rewards."""
        tell = self._bandit.partial_fit if self._begun else self._bandit.fit
        tell(decisions=chosen, rewards=rewards, contexts=self._x[rows])
        self._begun = True


def _dense(game: Game, *, most: int, seed: int) -> Floats:
    x = DenseContexts().learn(game.situation.contexts)
    if x.shape[1] <= most:
        return x
    numbers = {name: Number(scale=number.scale) for name, number in game.features.numbers.items()}
    plain = replace(game, features=msgspec.structs.replace(game.features, numbers=numbers))
    x = DenseContexts().learn(plain.situation.contexts)
    if x.shape[1] <= most:
        return x
    rng = np.random.default_rng([0xD0, seed])
    projected: Floats = x @ rng.normal(scale=most**-0.5, size=(x.shape[1], most))
    projected[:, 0] = 1.0
    return projected
