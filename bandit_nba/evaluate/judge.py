"""Judge policies on one log: importance weights, a cross-fitted reward model, and estimates with intervals."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from bandit_nba.catalogue import Arm
from bandit_nba.catalogue.action import NO_ACTION
from bandit_nba.decide.columns import Floats
from bandit_nba.decide.policy import FeatureSettings
from bandit_nba.errors import RefusedError
from bandit_nba.evaluate import estimate
from bandit_nba.evaluate.log import LoggedDecisions
from bandit_nba.evaluate.policies import Fixed, JudgedPolicy, refuse_seen
from bandit_nba.evaluate.result import Estimate
from bandit_nba.evaluate.reward_model import cross_fitted

ESTIMATORS = ("ips", "snips", "dr")


@dataclass(frozen=True)
class Judgement:
    """What a policy would have earned per decision, by estimator; `probability` is its replay, one per logged cell."""

    policy: str
    estimates: Mapping[str, Estimate]
    probability: Floats
    weights: Floats


def judge(
    log: LoggedDecisions,
    policies: Sequence[JudgedPolicy],
    *,
    features: FeatureSettings,
    estimators: Sequence[str] = ESTIMATORS,
    alpha: float = 0.05,
    reward_range: tuple[float, float] = (0.0, 1.0),
    rng: np.random.Generator,
) -> list[Judgement]:
    """Each policy by each estimator; `features` are what the reward model of the doubly robust estimators sees.

    Every estimate comes with an interval at level 1 - alpha that is robust to returning customers.

    Raises
    ------
    RefusedError
        If a policy's model may have learned from a decision of this log.
    """
    for policy in policies:
        refuse_seen(policy, log)
    needs_model = any(name in _WITH_MODEL for name in estimators)
    model = cross_fitted(log, features, rng=rng, reward_range=reward_range) if needs_model else None
    return [_judged(log, p, model, estimators, alpha, reward_range, rng) for p in policies]


_WITH_MODEL = frozenset({"dm", "dr", "sndr", "switch_dr", "dros"})


def best_fixed(
    early: LoggedDecisions,
    arms: Sequence[str],
    *,
    features: FeatureSettings,
    reward_range: tuple[float, float] = (0.0, 1.0),
    catalogue: Sequence[Arm] = (),
    rng: np.random.Generator,
) -> Fixed:
    """The one of `arms` that is best for everybody who may have it, by the doubly robust estimate on earlier decisions.

    It counts as having learned from all of `early`, so that only later decisions can judge it. catalogue: arms among
    which mandatory ones come first.
    """
    tried = [Fixed(arm, name=arm, arms=catalogue) for arm in arms if arm in early.arms and arm != NO_ACTION]
    if not tried:
        raise RefusedError("no arm was ever eligible", where="best fixed", allowed="arms that the log offers")
    values = judge(early, tried, features=features, estimators=("dr",), reward_range=reward_range, rng=rng)
    best = max(values, key=lambda judgement: judgement.estimates["dr"].value)
    return Fixed(best.policy, chosen_until=float(early.decided_at[-1]), name="best fixed", arms=catalogue)


def _judged(
    log: LoggedDecisions,
    policy: JudgedPolicy,
    model: Floats | None,
    estimators: Sequence[str],
    alpha: float,
    reward_range: tuple[float, float],
    rng: np.random.Generator,
) -> Judgement:
    probability = policy.replay(log)
    weights = probability[log.chosen] / log.propensity
    q_logged = q_policy = None
    if model is not None:
        q_logged = model[log.chosen]
        q_policy = np.add.reduceat(probability * model, log.indptr[:-1])
    estimates = {
        name: estimate(
            weights,
            log.reward,
            q_logged=q_logged if name in _WITH_MODEL else None,
            q_policy=q_policy if name in _WITH_MODEL else None,
            estimator=name,
            alpha=alpha,
            reward_range=reward_range,
            groups=log.group,
            rng=rng,
        )
        for name in estimators
    }
    return Judgement(policy=policy.name, estimates=estimates, probability=probability, weights=weights)
