"""Policies to be judged, replayed on the eligible sets of the log.

A judged policy gives a probability for every cell of the log (see `LoggedDecisions`); each row sums to one.
"""

import math
from collections.abc import Sequence
from typing import Protocol

import numpy as np

from bandit_nba.catalogue import Arm
from bandit_nba.decide.acting import Situation
from bandit_nba.decide.batch import Requests
from bandit_nba.decide.choice.arbitrate import Arbiter, RewardUnit
from bandit_nba.decide.choice.mandatory import Mandatory
from bandit_nba.decide.choice.prior import shrinkage
from bandit_nba.decide.columns import Bools, Floats, Ints, gathered_cells
from bandit_nba.decide.features.featuriser import Featuriser
from bandit_nba.decide.inline import arms_of, decoded
from bandit_nba.decide.policies.learned import LearnedPolicy
from bandit_nba.decide.policy import Exploration, Policy
from bandit_nba.decide.scoring import Scorer
from bandit_nba.errors import RefusedError
from bandit_nba.evaluate.log import LoggedDecisions


class JudgedPolicy(Protocol):
    """What can be judged on a log. `learned_until` is the time of the last decision it learned from (-inf: none)."""

    @property
    def name(self) -> str:
        """What the table calls it."""

    @property
    def learned_until(self) -> float:
        """Seconds since the epoch; only later decisions can judge it."""

    def replay(self, log: LoggedDecisions) -> Floats:
        """Probability of every cell, float64 (cells,)."""


def refuse_seen(policy: JudgedPolicy, log: LoggedDecisions) -> None:
    """Refuse to judge a policy on decisions it may have learned from.

    Trained and judged on the same 4,000 decisions of pure noise, a policy with true value .05 was estimated at .26.
    """
    first = float(log.decided_at.min())
    if policy.learned_until >= first:
        seen = int((log.decided_at <= policy.learned_until).sum())
        raise RefusedError(
            f'"{policy.name}" cannot be judged on decisions it may have learned from',
            got=f"{seen} of {len(log)} decisions up to {policy.learned_until:.3f}",
            allowed=f"decisions made after {policy.learned_until:.3f}",
            hint="judge an older model, or wait for newer decisions",
        )


class LoggingPolicy:
    """The policy that made the log: its own probabilities, so that every weight is exactly 1."""

    name = "logging"
    learned_until = -math.inf

    def replay(self, log: LoggedDecisions) -> Floats:
        """The logged probabilities."""
        return log.probability


class Uniform:
    """Every eligible arm alike; with the catalogue's `arms` given, mandatory actions come first."""

    name = "uniform"
    learned_until = -math.inf

    def __init__(self, arms: Sequence[Arm] = ()) -> None:
        self._arms = arms

    def replay(self, log: LoggedDecisions) -> Floats:
        """1 / (number of eligible arms)."""
        even = np.repeat(1.0 / np.diff(log.indptr), np.diff(log.indptr))
        return mandatory_first(log, even, self._arms)


class Fixed:
    """One arm for everybody who may have it, for the others "no action", or the first of actions that came inline.

    `chosen_until` is the last decision that was looked at to choose the arm. With the catalogue's `arms` given,
    mandatory actions come first.
    """

    def __init__(self, arm: str, *, chosen_until: float = -math.inf, name: str = "", arms: Sequence[Arm] = ()) -> None:
        self.arm = arm
        self.name = name or f"always {arm}"
        self.learned_until = chosen_until
        self._arms = arms

    def replay(self, log: LoggedDecisions) -> Floats:
        """1 at the arm where it is eligible, otherwise 1 at the first: "no action", or the baseline."""
        is_arm: Bools = log.arm == _code(log, self.arm)
        has_arm = np.logical_or.reduceat(is_arm, log.indptr[:-1])
        is_first = np.zeros(len(log.arm), dtype=np.bool_)
        is_first[log.indptr[:-1]] = True
        certain = np.where(is_arm | (is_first & ~has_arm[log.row]), 1.0, 0.0)
        return mandatory_first(log, certain, self._arms)


def mandatory_first(log: LoggedDecisions, probability: Floats, arms: Sequence[Arm]) -> Floats:
    """A distribution over the log's cells with mandatory ones among `arms` first, as when a policy acts.

    Rows with actions of their own have none.
    """
    mandatory = {arm.id for arm in arms if arm.action.mandatory}.intersection(log.arms)
    if not mandatory:
        return probability
    is_mandatory: Bools = np.array([name in mandatory for name in log.arms], dtype=np.bool_)[log.arm]
    touched = np.logical_or.reduceat(is_mandatory, log.indptr[:-1])
    if log.brought is not None:
        touched &= log.brought < 0
    rows = np.flatnonzero(touched)
    part, (_, cells) = log.at(rows), gathered_cells(log.indptr, rows)
    mask, column = _mask(part, arms)
    dense = np.zeros(mask.shape)
    known = column[part.arm] >= 0
    dense[part.row[known], column[part.arm[known]]] = probability[cells][known]
    first = Mandatory(arms).first(dense, mask)
    found = probability.copy()
    found[cells] = np.where(known, first[part.row, column[part.arm]], 0.0)
    return found


class Learned:
    """A frozen model under a policy's features and arbitration; greedy unless an exploration is given.

    The distribution is the acting policy's own (`decide.policies.learned`), that of an ensemble's members under
    Thompson sampling included. Mandatory actions come first, as they do when the policy acts.
    """

    def __init__(
        self,
        scorer: Scorer,
        arms: tuple[Arm, ...],
        policy: Policy,
        *,
        learned_until: float,
        exploration: Exploration | None = None,
        name: str = "learned",
        reward_unit: RewardUnit = "response",
    ) -> None:
        self.name = name
        self.learned_until = learned_until
        self._scorer = scorer
        self._arms = arms
        self._policy = policy
        self._exploration = exploration or Exploration(kind="greedy", floor=0.0)
        self._reward_unit = reward_unit

    def replay(self, log: LoggedDecisions) -> Floats:
        """The distribution over each row's logged eligible set; arms that are gone from the catalogue get nothing."""
        if log.brought is None:
            return self._replay(log, self._arms)
        replayed = np.empty(len(log.arm))
        order = np.argsort(log.brought, kind="stable")
        for rows in np.split(order, np.flatnonzero(np.diff(log.brought[order])) + 1):
            brought = int(log.brought[rows[0]])
            arms = self._arms if brought < 0 else arms_of(decoded(log.actions[brought]))
            replayed[gathered_cells(log.indptr, rows)[1]] = self._replay(log.at(rows), arms)
        return replayed

    def _replay(self, log: LoggedDecisions, arms: tuple[Arm, ...]) -> Floats:
        """The same where all rows choose among these arms."""
        mask, column = _mask(log, arms)
        featuriser = Featuriser(self._policy.features, log.facts.schema)
        situation = Situation(
            requests=_requests(log),
            mask=mask,
            arms=arms,
            contexts=featuriser.contexts(log.facts, log.channels),
            arm_features=featuriser.arms(arms),
        )
        acting = LearnedPolicy(
            self._scorer,
            self._exploration,
            arbiter=Arbiter(arms, self._policy.arbitration, reward_unit=self._reward_unit),
            priority_range=self._policy.arbitration.priority_range,
            prior=shrinkage(arms, self._policy.priors, self._scorer),
        )
        made = Mandatory(arms).distribution(acting.distribution(situation), mask)
        cells = column[log.arm]
        replayed: Floats = np.where(cells >= 0, made.probability[log.row, cells], 0.0)
        return replayed


def _requests(log: LoggedDecisions) -> Requests:
    """Logged decisions as requests of nobody in particular."""
    return Requests(
        ids=log.ids,
        customers=[""] * len(log),
        channels=log.channels,
        decided_at=log.decided_at,
        facts=log.facts,
        readable=np.ones(len(log), dtype=np.bool_),
    )


def _mask(log: LoggedDecisions, arms: Sequence[Arm]) -> tuple[Bools, Ints]:
    """Eligible cells over these arms, bool (N, K), and the column of each logged arm, -1 for gone."""
    position = {arm.id: k for k, arm in enumerate(arms)}
    column = np.array([position.get(name, -1) for name in log.arms], dtype=np.int64)
    mask = np.zeros((len(log), len(arms)), dtype=np.bool_)
    known = column[log.arm] >= 0
    mask[log.row[known], column[log.arm[known]]] = True
    return mask, column


def _code(log: LoggedDecisions, arm: str) -> int:
    return log.arms.index(arm) if arm in log.arms else -1
