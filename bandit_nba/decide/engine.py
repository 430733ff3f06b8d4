"""The engine: eligible set -> acting policy -> draw, for a batch of any size.

It works through a batch in chunks of rows that stay in the processor's cache. A row's decision depends on its own
request, the model and the salt alone: not on the batch around it, nor on where a chunk ends.
"""

import copy
from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np

from bandit_nba.catalogue import Catalogue
from bandit_nba.catalogue.rules import CompiledRules
from bandit_nba.decide.acting import ActingPolicy, Distribution, Situation
from bandit_nba.decide.batch import Credit, Decisions, Eligibility, Removal, Requests, Shadow, Slate
from bandit_nba.decide.choice.arbitrate import Arbiter, RewardUnit
from bandit_nba.decide.choice.mandatory import Mandatory
from bandit_nba.decide.choice.mixture import Mixed, MixturePolicy, check_mixture
from bandit_nba.decide.choice.prior import shrinkage
from bandit_nba.decide.choice.safe import Safe, check_safe
from bandit_nba.decide.choice.salt import Salt
from bandit_nba.decide.choice.sample import ARM, draw, uniforms
from bandit_nba.decide.columns import Ints
from bandit_nba.decide.eligibility.exclusions import of_first_slot, without_excluded
from bandit_nba.decide.eligibility.stages import eligible, unasked
from bandit_nba.decide.fallback import fallback_decisions
from bandit_nba.decide.features.featuriser import Featuriser
from bandit_nba.decide.inline import InlineAction, arms_of, eligible_inline
from bandit_nba.decide.policies.declared import declared_baseline
from bandit_nba.decide.policies.first import FirstPolicy
from bandit_nba.decide.policies.learned import LearnedPolicy
from bandit_nba.decide.policy import Exploration, Explorer, Policy
from bandit_nba.decide.record import Versions
from bandit_nba.decide.scoring import Scorer
from bandit_nba.decide.slates.caps import Caps, caps_of
from bandit_nba.decide.slates.slate import slates

CELLS_PER_CHUNK = 262_144  # rows x arms: two megabytes an array; smaller chunks pay more for each call (measured)


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
        self.arbiter = Arbiter(self.arms, policy.arbitration, reward_unit=reward_unit)
        check_mixture(policy.mixture)
        check_safe(policy.safe, self.arms)
        self.mandatory = Mandatory(self.arms)
        self.baseline = declared_baseline(policy.baseline, self.arms, catalogue.facts)
        self.chunk_rows = max(1, CELLS_PER_CHUNK // len(self.arms))
        self._reward_unit: RewardUnit = reward_unit
        self._inline = False

    def over(self, actions: Sequence[InlineAction]) -> "Engine":
        """The same policy, features and salt over actions that a request brings; the first of them is the baseline.

        Raises
        ------
        InputError
            If a feature's name is taken or no name.
        SettingsError
            If an action's value cannot be weighed under this policy.
        """
        engine = copy.copy(self)
        engine.arms = arms_of(actions)
        engine.arm_features = self.featuriser.arms(engine.arms)
        engine.arbiter = Arbiter(engine.arms, self.policy.arbitration, reward_unit=self._reward_unit)
        engine.mandatory = Mandatory(engine.arms)
        engine.baseline = FirstPolicy()
        engine.chunk_rows = max(1, CELLS_PER_CHUNK // len(engine.arms))
        engine._inline = True
        return engine

    def eligible(self, requests: Requests) -> Eligibility:
        """What may stand in some place for each request: rules and contacts, then what the request itself excludes."""
        if self._inline:
            found = eligible_inline(len(self.arms), requests)
        else:
            found = eligible(self.catalogue, self.rules, requests)
        return found if requests.wanted is None else without_excluded(found, self.arms, requests.wanted)

    def unasked(self, requests: Requests) -> Eligibility:
        """What may be chosen where there is no time to ask rules: of inline actions the first."""
        if self._inline:
            found = eligible_inline(len(self.arms), replace(requests, readable=np.zeros(len(requests), dtype=np.bool_)))
        else:
            found = unasked(self.catalogue, self.rules, requests)
        return found if requests.wanted is None else without_excluded(found, self.arms, requests.wanted)

    def fall_back(self, requests: Requests, eligibility: Eligibility | None) -> Decisions:
        """What the safe policy decides; see `fallback`. Of inline actions the first is the safe one."""
        safe = Safe(kind="no_action") if self._inline else self.policy.safe
        caps = None if eligibility is None else self._caps(requests)
        return fallback_decisions(requests, self.arms, self.salt, eligibility=eligibility, safe=safe, caps=caps)

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

    def acting(self, scorer: Scorer) -> ActingPolicy:
        """What acts with this model: the learned policy, or the mixture that it is the champion of."""
        mixture, exploration = self.policy.mixture, self.policy.exploration
        learned = LearnedPolicy(
            scorer,
            _with_floor(exploration, 0.0) if mixture.mixes else exploration,
            arbiter=self.arbiter,
            priority_range=self.policy.arbitration.priority_range,
            prior=shrinkage(self.arms, self.policy.priors, scorer),
        )
        if not mixture.mixes:
            return learned
        return MixturePolicy(
            mixture,
            champion=learned,
            challengers=[
                learned.exploring(_with_floor(challenger.exploration, 0.0), name=challenger.name)
                for challenger in mixture.challengers
            ],
            baseline=self.baseline,
            floor=exploration.floor,
            salt=self.salt,
        )

    def decide(self, requests: Requests, scorer: Scorer) -> Decisions:
        """Decide all requests with one model; arrays (N, K) over all arms of the catalogue.

        Raises
        ------
        ModelError
            If the model gives a score that is not finite; nothing is decided then.
        """
        return self.act(requests, self.acting(scorer))

    def act(self, requests: Requests, acting: ActingPolicy) -> Decisions:
        """Decide all requests by any acting policy, as it is: what this engine's policy says is not asked."""
        if len(requests) <= self.chunk_rows:
            return self._act_chunk(requests, acting)
        return _joined(requests, self._chunks(requests, acting), arms=len(self.arms))

    def stream(self, requests: Requests, scorer: Scorer) -> Iterator[Decisions]:
        """The same decisions chunk by chunk, for batches whose arrays would not fit in memory."""
        return self._chunks(requests, self.acting(scorer))

    def situation(self, requests: Requests, eligibility: Eligibility) -> Situation:
        """What an acting policy is shown of these requests."""
        return Situation(
            requests=requests,
            mask=eligibility.mask,
            arms=self.arms,
            contexts=self.featuriser.contexts(requests.facts, requests.channels),
            arm_features=self.arm_features,
        )

    def _chunks(self, requests: Requests, acting: ActingPolicy) -> Iterator[Decisions]:
        for start in range(0, len(requests), self.chunk_rows):
            yield self._act_chunk(requests.take(start, min(start + self.chunk_rows, len(requests))), acting)

    def _act_chunk(self, requests: Requests, acting: ActingPolicy) -> Decisions:
        anywhere = self.eligible(requests)
        eligibility = anywhere if requests.wanted is None else of_first_slot(anywhere, self.arms, requests.wanted)
        made = self._distribution(acting, requests, eligibility)
        chosen = draw(made.probability, uniforms(self.salt, requests.ids, purpose=ARM))
        credit: Credit | None = None
        shadow: Shadow | None = None
        if isinstance(acting, MixturePolicy) and isinstance(made, Mixed):
            credit, shadow = acting.credit(made, requests.ids, chosen), acting.shadow(made, requests.ids)
        return Decisions(
            requests=requests,
            arms=self.arms,
            eligibility=eligibility,
            expected_reward=made.expected_reward,
            priority=made.priority,
            probability=made.probability,
            chosen=chosen,
            propensity=made.probability[np.arange(len(chosen)), chosen],
            credit=credit,
            shadow=shadow,
            slates=self._slates(requests, acting, made, chosen, first=eligibility, anywhere=anywhere),
        )

    def _distribution(self, acting: ActingPolicy, requests: Requests, eligibility: Eligibility) -> Distribution:
        """What the policy says of these requests, with mandatory actions first."""
        made = acting.distribution(self.situation(requests, eligibility))
        return self.mandatory.distribution(made, eligibility.mask)

    def _slates(
        self,
        requests: Requests,
        acting: ActingPolicy,
        made: Distribution,
        chosen: Ints,
        *,
        first: Eligibility,
        anywhere: Eligibility,
    ) -> dict[int, Slate]:
        """The places after the first, where any are wanted; `made` is over what the first place may hold."""
        if requests.wanted is None:
            return {}
        whole = made if first is anywhere else self._distribution(acting, requests, anywhere)
        return slates(
            requests.ids,
            requests.wanted,
            self.arms,
            self.salt,
            whole.again,
            eligible=anywhere.mask,
            expected_reward=whole.expected_reward,
            priority=whole.priority,
            probability=made.probability,
            chosen=chosen,
            caps=self._caps(requests),
        )

    def _caps(self, requests: Requests) -> Caps | None:
        """What contact rules take out of later slots because of those before."""
        wanted = requests.wanted is not None and any(w is not None and w.kind == "slots" for w in requests.wanted)
        return caps_of(self.catalogue, self.arms, requests) if wanted and not self._inline else None


def _with_floor(explorer: Explorer, floor: float) -> Exploration:
    """The explorer with this floor; in a mixture the floor comes after it."""
    fields = {name: getattr(explorer, name) for name in Explorer.__struct_fields__}
    return Exploration(**fields, floor=floor)


def _joined(requests: Requests, parts: Iterator[Decisions], *, arms: int) -> Decisions:
    """One `Decisions` out of chunks, each copied to its place as soon as it is made."""
    rows = len(requests)
    expected, priority, probability = (np.empty((rows, arms)) for _ in range(3))
    chosen, propensity = np.empty(rows, dtype=np.int64), np.empty(rows)
    removed = np.empty((rows, arms), dtype=np.int16)
    removals: dict[Removal, int] = {}
    failures: dict[str, int] = {}
    credited: list[Credit] = []
    shadows: list[Shadow] = []
    slates_of: dict[int, Slate] = {}
    start = 0
    for part in parts:
        at = slice(start, start + len(part))
        expected[at], priority[at], probability[at] = part.expected_reward, part.priority, part.probability
        chosen[at], propensity[at] = part.chosen, part.propensity
        codes = [0, *(removals.setdefault(removal, len(removals) + 1) for removal in part.eligibility.removals)]
        same = codes == list(range(len(codes)))
        removed[at] = part.eligibility.removed if same else np.array(codes, dtype=np.int16)[part.eligibility.removed]
        for rule, count in part.eligibility.failures.items():
            failures[rule] = failures.get(rule, 0) + count
        if part.credit:
            credited.append(part.credit)
        if part.shadow:
            shadows.append(part.shadow)
        slates_of |= {start + row: slate for row, slate in part.slates.items()}
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
        credit=_joined_credits(credited) if credited else None,
        shadow=_joined_shadows(shadows) if shadows else None,
        slates=slates_of,
    )


def _joined_credits(parts: Sequence[Credit]) -> Credit:
    return Credit(
        names=parts[0].names,
        component=np.concatenate([part.component for part in parts]),
        share=np.concatenate([part.share for part in parts]),
        probability=np.concatenate([part.probability for part in parts]),
        by_customer=np.concatenate([part.by_customer for part in parts]),
        experiment=parts[0].experiment,
    )


def _joined_shadows(parts: Sequence[Shadow]) -> Shadow:
    return Shadow(
        name=parts[0].name,
        probability=np.concatenate([part.probability for part in parts]),
        chosen=np.concatenate([part.chosen for part in parts]),
    )
