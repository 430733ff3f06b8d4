"""Why a decision from the log came out as it did, in words and in numbers. Reads only: nothing changes."""

from collections.abc import Mapping
from typing import Annotated

from msgspec import Meta

from bandit_nba.decide.audit.recompute import Past
from bandit_nba.decide.choice.salt import Salt
from bandit_nba.decide.explain.labels import Dictionary, Language
from bandit_nba.decide.explain.telling import Told, tell
from bandit_nba.decide.explain.why import ExplainedArm, Explanation, explain_logged
from bandit_nba.decide.policy import Exploration
from bandit_nba.decide.record import Versions, logged
from bandit_nba.errors import UnknownIdError
from bandit_nba.online.messages import DecisionKind, Message
from bandit_nba.store.archive.restore import NO_ARCHIVE, Archive
from bandit_nba.store.database import Database
from bandit_nba.store.log import decisions as decision_store
from bandit_nba.store.past import StoredPast


class Words(Message, frozen=True, kw_only=True):
    """Sentences for an employee."""

    headline: str
    why: Annotated[list[str], Meta(description="How the choice came about.")]
    speaks_for: list[str]
    speaks_against: list[str]
    weighing: Annotated[list[str], Meta(description="The arithmetic of what it is worth to the business.")]
    others: Annotated[list[str], Meta(description="What else was possible.")]
    excluded: Annotated[list[str], Meta(description="What was not possible, and why.")]


class RemovedFromChoice(Message, frozen=True, kw_only=True):
    """An arm that was not eligible: the first stage that took it out, and why."""

    arm: str
    stage: str
    reason: str


class WeighedBy(Message, frozen=True, kw_only=True):
    """priority = gain ^ strength x multiplier, for a negative gain divided by it."""

    context_weight: float
    value: float
    lever: float
    strength: Annotated[dict[str, float], Meta(description="The exponent of gain, contextWeight, value and lever.")]
    multiplier: float


class FactEffectGiven(Message, frozen=True, kw_only=True):
    """By how much a fact raises an arm's expected reward beside the average customer and the average eligible arm."""

    fact: Annotated[str, Meta(description='"" is the arm itself; "a x b" are two facts together.')]
    effect: float


class TermGiven(Message, frozen=True, kw_only=True):
    """What one term of the model adds to an arm's expected reward, and beside the average eligible arm."""

    term: str
    reward: float
    beside_others: float


class ArmExplained(Message, frozen=True, kw_only=True):
    """An arm that could have been chosen. Terms add up to `expectedReward`; effects do with `averageExpectedReward`."""

    arm: str
    expected_reward: float
    gain: Annotated[float, Meta(description="Expected reward beyond that of doing nothing.")]
    weighed_by: WeighedBy
    priority: float
    probability: float
    effects: list[FactEffectGiven]
    terms: list[TermGiven]


class ExplorationExplained(Message, frozen=True, kw_only=True):
    """How priorities became probabilities."""

    kind: str
    floor: float
    examples_learned: int
    priority_range: float
    gamma: float | None


class ComponentExplained(Message, frozen=True, kw_only=True):
    """Who decided, where several policies take turns."""

    name: str
    share: float | None
    assignment: str
    experiment: str


class ExplanationAnswer(Message, frozen=True, kw_only=True):
    """A decision explained: words for people, exact numbers for machines."""

    decision_id: str
    language: Language
    kind: DecisionKind
    arm: str
    probability: float
    words: Words
    removed: list[RemovedFromChoice]
    arms: list[ArmExplained]
    average_expected_reward: float
    compared_with_average_customer: bool
    mandatory: bool
    support: Annotated[bool, Meta(description="Whether every eligible arm could have been chosen.")]
    exploration: ExplorationExplained
    component: ComponentExplained | None
    model_version: str
    policy_version: str
    catalogue_version: str
    feature_version: str


class Explaining:
    """Explains the decisions of one workspace; safe to share between threads."""

    def __init__(
        self, database: Database, salts: Mapping[str, Salt], labels: Dictionary, *, archive: Archive = NO_ARCHIVE
    ) -> None:
        self._database = database
        self._archive = archive
        self._labels = labels
        self._past = Past(StoredPast(database, salts))

    def explain(self, decision: str, language: Language) -> ExplanationAnswer:
        """One decision, under the versions that made it.

        Raises
        ------
        UnknownIdError
            If there is no such decision, or something that it names is gone.
        RefusedError
            If the facts that it was made from have been erased.
        """
        with self._database.read() as connection:
            record = decision_store.get(connection, decision)
        if record is None:
            raise UnknownIdError("no such decision", where="decisionId", got=decision)
        row = logged(self._archive.records([record])[0])
        found = explain_logged(row, self._past)
        engine = self._past.engine(row.versions, inline_actions=row.inline_actions)
        arms = {arm.id: arm for arm in engine.arms}
        told = tell(found, arms, engine.catalogue.facts, self._labels.of(language), language)
        return _answer(found, _words(told), language, row.versions)


def _words(told: Told) -> Words:
    return Words(
        headline=told.headline,
        why=list(told.why),
        speaks_for=list(told.speaks_for),
        speaks_against=list(told.speaks_against),
        weighing=list(told.weighing),
        others=list(told.others),
        excluded=list(told.excluded),
    )


def _answer(found: Explanation, words: Words, language: Language, versions: Versions) -> ExplanationAnswer:
    credit = found.credit
    component = None
    if credit.component:
        component = ComponentExplained(
            name=credit.component, share=credit.share, assignment=credit.assignment, experiment=credit.experiment
        )
    return ExplanationAnswer(
        decision_id=found.id,
        language=language,
        kind=found.kind,
        arm=found.arm,
        probability=found.propensity,
        words=words,
        removed=[RemovedFromChoice(arm=one.arm, stage=one.stage, reason=one.reason) for one in found.removed],
        arms=[_arm(arm) for arm in found.arms],
        average_expected_reward=found.average,
        compared_with_average_customer=found.compared,
        mandatory=found.mandatory,
        support=found.support,
        exploration=_exploration(found, found.exploration),
        component=component,
        model_version=versions.model,
        policy_version=versions.policy,
        catalogue_version=versions.catalogue,
        feature_version=versions.features,
    )


def _exploration(found: Explanation, exploration: Exploration) -> ExplorationExplained:
    return ExplorationExplained(
        kind="safe policy" if found.kind == "fallback" else exploration.kind,
        floor=exploration.floor,
        examples_learned=found.examples_learned,
        priority_range=found.priority_range,
        gamma=found.gamma,
    )


def _arm(arm: ExplainedArm) -> ArmExplained:
    factors, strength = arm.factors, arm.factors.strength
    return ArmExplained(
        arm=arm.arm,
        expected_reward=arm.expected_reward,
        gain=arm.gain,
        weighed_by=WeighedBy(
            context_weight=factors.context_weight,
            value=factors.value,
            lever=factors.lever,
            strength={
                "gain": strength.gain,
                "contextWeight": strength.context_weight,
                "value": strength.value,
                "lever": strength.lever,
            },
            multiplier=factors.multiplier,
        ),
        priority=arm.priority,
        probability=arm.probability,
        effects=[FactEffectGiven(fact=one.fact, effect=one.effect) for one in arm.effects],
        terms=[
            TermGiven(term=one.term, reward=one.reward, beside_others=one.beside_others) for one in arm.contributions
        ],
    )
