"""Why a decision came out as it did: what was removed, what spoke for and against each arm, how chances came about.

Everything is made again from the request, the model and the policy; nothing is written and no state changes.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol, get_args, runtime_checkable

import numpy as np
import numpy.typing as npt

from bandit_nba.catalogue.facts import FactValue
from bandit_nba.decide.audit.recompute import Past, decide_again, maker
from bandit_nba.decide.batch import Decisions, Kind, Requests, Stage
from bandit_nba.decide.choice.arbitrate import Factors
from bandit_nba.decide.choice.explore import squarecb_gamma
from bandit_nba.decide.choice.mixture_log import LoggedCredit, credit_of
from bandit_nba.decide.choice.prior import shrinkage
from bandit_nba.decide.columns import Floats
from bandit_nba.decide.engine import Engine
from bandit_nba.decide.explain.effects import Apart, FactEffect, effects
from bandit_nba.decide.features.names import CHANNEL
from bandit_nba.decide.policy import Exploration
from bandit_nba.decide.record import LoggedDecision
from bandit_nba.decide.scoring import FeatureRows, NoModel, Scorer
from bandit_nba.errors import RefusedError


@dataclass(frozen=True)
class RemovedArm:
    """An arm that was not eligible: the first stage that took it out, and why."""

    arm: str
    stage: Stage
    reason: str


@dataclass(frozen=True)
class Contribution:
    """What one fact adds to an arm's expected reward, and how much more that is than for the average eligible arm.

    Over an arm's contributions `reward` adds up to its expected reward, up to rounding. What every arm gains alike
    decides nothing: `beside_others` is what speaks for (above 0) or against the arm (below 0).
    """

    term: str
    reward: float
    beside_others: float


@dataclass(frozen=True)
class ExplainedArm:
    """An eligible arm: from its score to its chance.

    gain: expected reward beyond that of "no action"; priority: the gain weighed by `factors`; see `arbitrate`.
    contributions: those that speak most for or against it first; effects: the same by fact, beside the average customer
    (see `effects`), which with `Explanation.average` add up to the expected reward. Both empty where no model scored.
    """

    arm: str
    expected_reward: float
    gain: float
    factors: Factors
    priority: float
    probability: float
    contributions: tuple[Contribution, ...]
    effects: tuple[FactEffect, ...]


@dataclass(frozen=True)
class Explanation:
    """One decision explained.

    removed: by stage in the order of asking, then in catalogue order. arms: eligible arms, most likely first.
    examples_learned: the n of exploration. gamma: SquareCB's, per unit of priority; None for other kinds and fallbacks.
    average: the expected reward of the average eligible arm. compared: whether the average customer is known. facts:
    what was known of the customer. mandatory: whether the arm was, and so came first. credit: the component of a
    mixture that it is credited to. support: whether every eligible arm could have been chosen.
    """

    id: str
    kind: Kind
    arm: str
    propensity: float
    model: str
    examples_learned: int
    exploration: Exploration
    gamma: float | None
    priority_range: float
    average: float
    compared: bool
    channel: str
    facts: Mapping[str, FactValue]
    mandatory: bool
    credit: LoggedCredit
    support: bool
    removed: tuple[RemovedArm, ...]
    arms: tuple[ExplainedArm, ...]


class Contributions(Protocol):
    """One row's scores taken apart: (T, K) beside T names."""

    @property
    def names(self) -> tuple[str, ...]:
        """What each row of `contributions` stands for."""

    @property
    def contributions(self) -> Floats:
        """float64 (T, K); columns add up to scores."""


@runtime_checkable
class Additive(Protocol):
    """A model whose scores are sums that can be taken apart."""

    def terms(self, contexts: FeatureRows, arms: FeatureRows, row: int) -> Contributions:
        """One row's scores apart."""


@runtime_checkable
class Averaged(Protocol):
    """A model that knows the average of what it has learned from."""

    @property
    def average(self) -> FeatureRows | None:
        """One row; None where it is not known."""


def explain(engine: Engine, requests: Requests, scorer: Scorer, *, row: int = 0) -> Explanation:
    """Explain how one of the requests is decided with this model now."""
    one = requests.take(row, row + 1)
    return _explained(engine.decide(one, scorer), engine, scorer)


def explain_logged(logged: LoggedDecision, past: Past) -> Explanation:
    """Explain a decision from the log under the versions that made it.

    Raises
    ------
    NbaError
        If a definition, the model or the salt is gone, or its facts are not those of its catalogue. `RefusedError` if
        the facts were erased.
    """
    if logged.facts is None:
        raise RefusedError(
            "what it was made from has been erased", where=f"decision {logged.id}", hint="only its chances are kept"
        )
    versions, made_by = logged.versions, maker(logged)
    scorer = past.scorer(versions) if made_by == "engine" else NoModel()
    actions = logged.inline_actions
    again = decide_again([logged], versions, made_by, past, inline_actions=actions)
    return _explained(again, past.engine(versions, inline_actions=actions), scorer)


def _explained(decisions: Decisions, engine: Engine, scorer: Scorer) -> Explanation:
    exploration, arbitration = engine.policy.exploration, engine.policy.arbitration
    eligible = np.flatnonzero(decisions.eligibility.mask[0])
    apart = _apart(decisions, engine, scorer, eligible)
    none = float(decisions.expected_reward[0, 0])
    requests = decisions.requests
    weighed = engine.arbiter.factors(facts=requests.facts, channels=requests.channels, decided_at=requests.decided_at)
    arms = [
        ExplainedArm(
            arm=engine.arms[k].id,
            expected_reward=float(decisions.expected_reward[0, k]),
            gain=float(decisions.expected_reward[0, k]) - none,
            factors=weighed[k],
            priority=float(decisions.priority[0, k]),
            probability=float(decisions.probability[0, k]),
            contributions=contributions,
            effects=by_fact,
        )
        for k, (contributions, by_fact) in zip(eligible.tolist(), apart, strict=True)
    ]
    gamma = squarecb_gamma(exploration, n=scorer.examples_learned) / arbitration.priority_range
    return Explanation(
        id=decisions.requests.ids[0],
        kind=decisions.kinds[0],
        arm=engine.arms[int(decisions.chosen[0])].id,
        propensity=float(decisions.propensity[0]),
        model=scorer.version,
        examples_learned=scorer.examples_learned,
        exploration=exploration,
        gamma=gamma if exploration.kind == "squarecb" and not decisions.fallback else None,
        priority_range=arbitration.priority_range,
        average=float(decisions.expected_reward[0, eligible].mean()),
        compared=isinstance(scorer, Averaged) and scorer.average is not None,
        channel=requests.channels.values[int(requests.channels.codes[0])],
        facts=requests.facts.row(0),
        mandatory=bool(engine.mandatory.arms[int(decisions.chosen[0])]),
        credit=credit_of(decisions, 0, eligible),
        support=bool(decisions.support[0]),
        removed=_removed(decisions),
        arms=tuple(sorted(arms, key=lambda arm: -arm.probability)),
    )


def _apart(
    decisions: Decisions, engine: Engine, scorer: Scorer, eligible: npt.NDArray[np.intp]
) -> list[tuple[tuple[Contribution, ...], tuple[FactEffect, ...]]]:
    """Contributions to each eligible arm, term by term and fact by fact."""
    if decisions.fallback or not isinstance(scorer, Additive):
        return [((), ())] * len(eligible)
    contexts = engine.featuriser.contexts(decisions.requests.facts, decisions.requests.channels)
    average = scorer.average if isinstance(scorer, Averaged) else None
    row = _parts(scorer, contexts, engine, eligible)
    usual = None if average is None else _parts(scorer, average, engine, eligible)
    by_fact = effects(row, usual, {*engine.catalogue.facts, CHANNEL})
    beside = row.contributions - row.contributions.mean(axis=1, keepdims=True)
    by_term = [
        tuple(
            Contribution(term=row.names[t], reward=float(row.contributions[t, k]), beside_others=float(beside[t, k]))
            for t in np.argsort(-np.abs(beside[:, k]), kind="stable").tolist()
        )
        for k in range(len(eligible))
    ]
    return list(zip(by_term, by_fact, strict=True))


def _parts(scorer: Additive, contexts: FeatureRows, engine: Engine, eligible: npt.NDArray[np.intp]) -> Apart:
    found = scorer.terms(contexts, engine.arm_features, 0)
    names, rewards = found.names, found.contributions
    prior = shrinkage(engine.arms, engine.policy.priors, scorer)
    if prior is not None:
        names, rewards = prior.apart(names, rewards)
    singles = 2 + int(contexts.indptr[1] - contexts.indptr[0])
    return Apart(names=names, contributions=rewards[:, eligible], singles=singles)


def _removed(decisions: Decisions) -> tuple[RemovedArm, ...]:
    removals = decisions.eligibility.removals
    found = [
        (arm.id, removals[code - 1])
        for arm, code in zip(decisions.arms, decisions.eligibility.removed[0].tolist(), strict=True)
        if code
    ]
    order = get_args(Stage)
    found.sort(key=lambda item: order.index(item[1].stage))
    return tuple(RemovedArm(arm=arm, stage=removal.stage, reason=removal.reason) for arm, removal in found)
