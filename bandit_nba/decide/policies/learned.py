"""The learned policy: expected rewards -> priorities -> exploration."""

from dataclasses import dataclass

import numpy as np

from bandit_nba.decide.acting import Distribution, Situation
from bandit_nba.decide.cells import known
from bandit_nba.decide.choice.arbitrate import Arbiter
from bandit_nba.decide.choice.explore import full_support, probabilities
from bandit_nba.decide.choice.prior import Shrinkage
from bandit_nba.decide.columns import Bools, Floats, Ints
from bandit_nba.decide.policy import Exploration
from bandit_nba.decide.scoring import EnsembleScorer, Scorer
from bandit_nba.errors import ModelError


@dataclass(frozen=True)
class _Scored:
    expected_reward: Floats
    priority: Floats


class LearnedPolicy:
    """A model's scores under one arbitration and one exploration, floor included.

    priority_range: what exploration divides gaps by. prior: what scores are drawn towards, None for nothing.
    """

    def __init__(
        self,
        scorer: Scorer,
        exploration: Exploration,
        *,
        arbiter: Arbiter,
        priority_range: float,
        prior: Shrinkage | None = None,
        name: str = "learned",
    ) -> None:
        self.name = name
        self.exploration = exploration
        self._scorer = scorer
        self._arbiter = arbiter
        self._priority_range = priority_range
        self._prior = prior

    @property
    def full_support(self) -> bool:
        """As its exploration."""
        return full_support(self.exploration)

    def exploring(self, exploration: Exploration, *, name: str) -> "LearnedPolicy":
        """The same model under another exploration; in one situation both score once."""
        return LearnedPolicy(
            self._scorer,
            exploration,
            arbiter=self._arbiter,
            priority_range=self._priority_range,
            prior=self._prior,
            name=name,
        )

    def distribution(self, situation: Situation) -> Distribution:
        """See `arbitrate` and `explore`.

        Raises
        ------
        ModelError
            If the model gives a score that is not finite.
        """
        scored = situation.once(("scored", id(self._scorer)), lambda: self._scored(situation))
        members = self._members(situation)

        def again(rows: Ints, mask: Bools) -> Floats:
            priority = np.where(mask, scored.priority[rows], np.nan)
            return self._explored(priority, mask, None if members is None else np.where(mask, members[:, rows], np.nan))

        return Distribution(
            probability=self._explored(scored.priority, situation.mask, members),
            expected_reward=scored.expected_reward,
            priority=scored.priority,
            again=again,
        )

    def _explored(self, priority: Floats, mask: Bools, members: Floats | None) -> Floats:
        return probabilities(
            priority,
            mask,
            self.exploration,
            n=self._scorer.examples_learned,
            priority_range=self._priority_range,
            members=members,
        )

    def _scored(self, situation: Situation) -> _Scored:
        scores = self._sound(self._scorer.score(situation.contexts, situation.arm_features))
        expected = known(scores, situation.mask)
        priority = self._priorities(expected, situation)
        return _Scored(expected_reward=expected, priority=priority)

    def _members(self, situation: Situation) -> Floats | None:
        """The priorities of each member of an ensemble, (M, N, K), where the exploration asks for them."""
        if self.exploration.kind != "thompson" or not isinstance(self._scorer, EnsembleScorer):
            return None
        members = self._scorer.score_members(situation.contexts, situation.arm_features)
        scores = self._sound(members[: self.exploration.members])
        return np.stack([self._priorities(np.where(situation.mask, one, np.nan), situation) for one in scores])

    def _priorities(self, expected: Floats, situation: Situation) -> Floats:
        asked = situation.requests
        return self._arbiter.priorities(
            expected, facts=asked.facts, channels=asked.channels, decided_at=asked.decided_at
        )

    def _sound(self, scores: Floats) -> Floats:
        if not np.logical_and.reduce(np.isfinite(scores), axis=None):
            raise ModelError("gives expected rewards that are not finite", where=f"model {self._scorer.version}")
        return scores if self._prior is None else self._prior.of(scores)
