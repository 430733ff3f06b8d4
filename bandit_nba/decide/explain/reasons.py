"""A few words on why an arm stands where it does: the terms that speak most for or against it beside the others."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from bandit_nba.decide.batch import Decisions, Requests
from bandit_nba.decide.choice.prior import shrinkage
from bandit_nba.decide.columns import Bools
from bandit_nba.decide.explain.why import Additive
from bandit_nba.decide.scoring import Scorer

if TYPE_CHECKING:
    from bandit_nba.decide.engine import Engine

MOST = 3
LEAST = 1e-9  # of an effect that is worth a word


@dataclass(frozen=True)
class Reason:
    """A term, such as "contract=One year", and by how much it raises the arm's expected reward above the average."""

    term: str
    effect: float


def reasons_of(decisions: Decisions, engine: "Engine", scorer: Scorer) -> dict[int, list[tuple[Reason, ...]]]:
    """The reasons for each place of each ranking, by row; nothing where the model cannot be taken apart."""
    if not decisions.slates or not isinstance(scorer, Additive):
        return {}
    rankings = {i: slate for i, slate in decisions.slates.items() if slate.kind == "ranking"}
    return {
        i: _reasons(engine, decisions.requests.take(i, i + 1), scorer, among=slate.eligible, arms=slate.chosen.tolist())
        for i, slate in rankings.items()
    }


def _reasons(
    engine: "Engine", one: Requests, scorer: Additive, *, among: Bools, arms: Sequence[int]
) -> list[tuple[Reason, ...]]:
    """The strongest reasons for each of `arms`, columns of the engine's, in a batch of one.

    among: bool (K,), the arms whose average counts: the eligible ones.
    """
    found = scorer.terms(engine.featuriser.contexts(one.facts, one.channels), engine.arm_features, 0)
    rewards, names = found.contributions, found.names
    prior = shrinkage(engine.arms, engine.policy.priors, scorer)
    if prior is not None:
        names, rewards = prior.apart(names, rewards)
    beside = rewards - rewards[:, among].mean(axis=1, keepdims=True)
    return [
        tuple(
            Reason(term=names[t], effect=float(beside[t, k]))
            for t in np.argsort(-np.abs(beside[:, k]), kind="stable")[:MOST].tolist()
            if abs(beside[t, k]) > LEAST
        )
        for k in arms
    ]
