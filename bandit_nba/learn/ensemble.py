"""A regressor and the members of its ensemble: the same examples, each member giving every one a random weight.

A member's weight of an example is Poisson(1), from a hash of the decision's id and the member: an online bootstrap
(Oza & Russell 2001), the same whenever the decision is learned again. Weight 0 leaves the example out; weight w is
given to VW as label probability 1 / w. What the members disagree about is what the data leave open.
"""

import hashlib
from collections.abc import Sequence

import numpy as np
from pandas.util import hash_array

from bandit_nba.decide.columns import Floats, Ints
from bandit_nba.decide.policy import FeatureSettings, Learning
from bandit_nba.decide.scoring import FeatureRows
from bandit_nba.learn.parts import joined, taken_apart
from bandit_nba.learn.sparse import SparseWeights
from bandit_nba.learn.vowpal import VowpalRegressor

_CHANCES = np.cumsum(np.exp(-1.0) / np.cumprod([1.0, *range(1, 18)]))  # P(Poisson(1) <= k); beyond 17 below 1e-16


class Ensemble:
    """One regressor that learns every example as it is, and `members` that learn it with random weights.

    Without members it is the regressor alone, stored in the same bytes.

    Raises
    ------
    SettingsError
        If an option is not allowed.
    ModelError
        If the stored model cannot be loaded or has another number of members.
    """

    def __init__(
        self, features: FeatureSettings, learning: Learning, *, members: int = 0, model: bytes | None = None
    ) -> None:
        stored = [None] * (members + 1) if model is None else taken_apart(model, members + 1)
        self._all = [VowpalRegressor(features, learning, model=one) for one in stored]

    def learn(
        self, contexts: FeatureRows, arms: FeatureRows, chosen: Ints, rewards: Floats, ids: Sequence[str]
    ) -> None:
        """Learn N examples in the order of their rows; ids: of the decisions. Raises as `VowpalRegressor.learn`."""
        self._all[0].learn(contexts, arms, chosen, rewards)
        for member, regressor in enumerate(self._all[1:]):
            regressor.learn(contexts, arms, chosen, rewards, weights=bootstrap_weights(ids, member))

    def predict(self, contexts: FeatureRows, arms: FeatureRows) -> Floats:
        """What Vowpal Wabbit itself expects by the regressor, float64 (N, K); raises as `VowpalRegressor.predict`."""
        return self._all[0].predict(contexts, arms)

    def weights(self) -> SparseWeights:
        """The regressor's own."""
        return self._all[0].weights()

    def member_weights(self) -> list[SparseWeights]:
        """The members', in their order."""
        return [member.weights() for member in self._all[1:]]

    def serialize(self) -> bytes:
        """All of VW's bytes in one."""
        return joined([one.serialize() for one in self._all])


def bootstrap_weights(ids: Sequence[str], member: int) -> Floats:
    """Poisson(1) per id, float64 (N,), independent between members, the same for ever."""
    key = hashlib.blake2b(f"ensemble member {member}".encode()).hexdigest()[:16]
    hashes = hash_array(np.array(ids, dtype=object), hash_key=key, categorize=False)
    u = (hashes >> np.uint64(11)).astype(np.float64) * 2.0**-53
    weights: Floats = np.searchsorted(_CHANCES, u, side="right").astype(np.float64)
    return weights
