"""Mandatory actions: where one is eligible it comes first, with probability 1, whatever it is expected to earn.

Of several that are eligible the first in the catalogue comes first (in a slate the others follow it); the treatments of
one share its probability as the policy would have shared it, evenly where it would have chosen none; in a mixture
each component shares so, and they are mixed after that. Rules, consent and contact rules hold for them as for all
others, and before a policy is asked at all.

The other arms stay in the logged eligible set with probability 0: such a row has no support for them, says so
(`support`), and cannot tell what they would have earned.
"""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from bandit_nba.catalogue import Arm
from bandit_nba.decide.acting import Distribution
from bandit_nba.decide.choice.mixture import Mixed, mixed_of
from bandit_nba.decide.columns import Bools, Floats, Ints


class Mandatory:
    """The mandatory arms of one set."""

    def __init__(self, arms: Sequence[Arm]) -> None:
        self.arms: Bools = np.array([arm.action.mandatory for arm in arms], dtype=np.bool_)
        self._any = bool(self.arms.any())
        numbers: dict[str, int] = {}
        self._action = np.array([numbers.setdefault(arm.action.id, len(numbers)) for arm in arms], dtype=np.int64)

    def first(self, probability: Floats, mask: Bools) -> Floats:
        """The probabilities (N, K) with mandatory actions first; rows in which none is eligible stay as they are."""
        if not self._any:
            return probability
        left = mask & self.arms
        some = left.any(axis=1, keepdims=True)
        if not some.any():
            return probability
        left &= self._action == self._action[left.argmax(axis=1)][:, None]
        wanted = np.where(left, probability, 0.0)
        total = wanted.sum(axis=1, keepdims=True)
        wanted = np.where(total > 0.0, wanted, left)
        return np.where(some, wanted / np.where(some, wanted.sum(axis=1, keepdims=True), 1.0), probability)

    def distribution(self, made: Distribution, mask: Bools) -> Distribution:
        """What a policy says, with mandatory actions first in all of it, each component of a mixture included."""
        if not self._any:
            return made

        def again(rows: Ints, left: Bools) -> Floats:
            return self.first(made.again(rows, left), left)

        if not isinstance(made, Mixed):
            return replace(made, probability=self.first(made.probability, mask), again=again)
        parts = tuple(self.first(part, mask) for part in made.parts)
        shadow = None if made.shadow is None else self.first(made.shadow, mask)
        # Mixed after each component has shared among the treatments: what is drawn from is what components are
        # credited with. The mixture's own distribution, cut to the mandatory arms, would be another one.
        return replace(made, probability=mixed_of(made.shares, parts), again=again, parts=parts, shadow=shadow)
