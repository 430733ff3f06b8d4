"""The engine: eligible set -> scores -> arbitration -> exploration -> draw, for a batch of any size.

It works through a batch in chunks of rows that stay in the processor's cache. A row's decision depends on its own
request, the model and the salt alone: not on the batch around it, nor on where a chunk ends.
"""

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from bandit_nba.catalogue import Catalogue
from bandit_nba.catalogue.rules import CompiledRules
from bandit_nba.decide.arbitrate import RewardUnit, multipliers, priorities
from bandit_nba.decide.batch import Decisions, Eligibility, Floats, Removal, Requests
from bandit_nba.decide.eligibility import eligible
from bandit_nba.decide.explore import probabilities
from bandit_nba.decide.features import Featuriser
from bandit_nba.decide.policy import Policy
from bandit_nba.decide.record import Versions
from bandit_nba.decide.salt import Salt
from bandit_nba.decide.sample import ARM, draw, uniforms
from bandit_nba.decide.scoring import Scorer
from bandit_nba.errors import ModelError

CELLS_PER_CHUNK = 131_072  # rows x arms: one megabyte an array; smaller chunks pay more for each call (measured)


class Engine:
    """Decides by one catalogue, its compiled rules, one policy and one salt; what depends on these alone is made once.

    Raises
    ------
    SettingsError
        If policy, catalogue and the reward's unit do not fit together.
    """

    def __init__(
        self, catalogue: Catalogue, rules: CompiledRules, policy: Policy, salt: Salt, *, reward_unit: RewardUnit
    ) -> None:
        self.catalogue = catalogue
        self.rules = rules
        self.policy = policy
        self.salt = salt
        self.arms = catalogue.arms
        self.featuriser = Featuriser(policy.features, catalogue.facts)
        self.arm_features = self.featuriser.arms(self.arms)
        self.multipliers = multipliers(self.arms, policy.arbitration, reward_unit=reward_unit)
        self.chunk_rows = max(1, CELLS_PER_CHUNK // len(self.arms))

    def versions(self, scorer: Scorer, *, reward: str) -> Versions:
        """What the log names beside decisions by this engine and model; `reward` is the reward definition's version."""
        return Versions(
            catalogue=self.catalogue.version,
            policy=self.policy.version,
            features=self.policy.features.version,
            reward=reward,
            model=scorer.version,
            salt=self.salt.id,
        )

    def decide(self, requests: Requests, scorer: Scorer) -> Decisions:
        """Decide all requests with one model; arrays (N, K) over all arms of the catalogue.

        Raises
        ------
        ModelError
            If the model gives a score that is not finite; nothing is decided then.
        """
        if len(requests) <= self.chunk_rows:
            return self._decide_chunk(requests, scorer)
        return _joined(requests, self.stream(requests, scorer), arms=len(self.arms))

    def stream(self, requests: Requests, scorer: Scorer) -> Iterator[Decisions]:
        """The same decisions chunk by chunk, for batches whose arrays would not fit in memory."""
        for start in range(0, len(requests), self.chunk_rows):
            yield self._decide_chunk(requests.take(start, min(start + self.chunk_rows, len(requests))), scorer)

    def _decide_chunk(self, requests: Requests, scorer: Scorer) -> Decisions:
        eligibility = eligible(self.catalogue, self.rules, requests)
        mask = eligibility.mask
        expected = self._expected_rewards(requests, scorer, mask)
        priority = priorities(expected, self.multipliers)
        probability = probabilities(
            priority,
            mask,
            self.policy.exploration,
            n=scorer.examples_learned,
            priority_range=self.policy.arbitration.priority_range,
        )
        chosen = draw(probability, uniforms(self.salt, requests.ids, purpose=ARM))
        return Decisions(
            requests=requests,
            arms=self.arms,
            eligibility=eligibility,
            expected_reward=expected,
            priority=priority,
            probability=probability,
            chosen=chosen,
            propensity=probability[np.arange(len(chosen)), chosen],
        )

    def _expected_rewards(self, requests: Requests, scorer: Scorer, mask: npt.NDArray[np.bool_]) -> Floats:
        contexts = self.featuriser.contexts(requests.facts, requests.channels)
        scores = scorer.score(contexts, self.arm_features)
        if not np.isfinite(scores).all():
            raise ModelError("gives expected rewards that are not finite", where=f"model {scorer.version}")
        return np.where(mask, scores, np.nan)


def _joined(requests: Requests, parts: Iterator[Decisions], *, arms: int) -> Decisions:
    """One `Decisions` out of chunks, each copied to its place as soon as it is made."""
    rows = len(requests)
    expected, priority, probability = (np.empty((rows, arms)) for _ in range(3))
    chosen, propensity = np.empty(rows, dtype=np.int64), np.empty(rows)
    removed = np.empty((rows, arms), dtype=np.int16)
    removals: dict[Removal, int] = {}
    failures: dict[str, int] = {}
    start = 0
    for part in parts:
        at = slice(start, start + len(part))
        expected[at], priority[at], probability[at] = part.expected_reward, part.priority, part.probability
        chosen[at], propensity[at] = part.chosen, part.propensity
        codes = [removals.setdefault(removal, len(removals) + 1) for removal in part.eligibility.removals]
        removed[at] = np.array([0, *codes], dtype=np.int16)[part.eligibility.removed]
        for rule, count in part.eligibility.failures.items():
            failures[rule] = failures.get(rule, 0) + count
        start += len(part)
        decided_arms = part.arms
    return Decisions(
        requests=requests,
        arms=decided_arms,
        eligibility=Eligibility(removed=removed, removals=tuple(removals), failures=failures),
        expected_reward=expected,
        priority=priority,
        probability=probability,
        chosen=chosen,
        propensity=propensity,
    )
