"""What the log says about each policy, beside what the simulator knows."""

import time
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import sqlalchemy as sa

from bandit_nba.decide.columns import Floats, Ints
from bandit_nba.evaluate.judge import Judgement, best_fixed
from bandit_nba.evaluate.judge import judge as judged_on
from bandit_nba.evaluate.log import LoggedDecisions
from bandit_nba.evaluate.policies import JudgedPolicy, Learned, LoggingPolicy, Uniform
from bandit_nba.evaluate.stored import read_log
from bandit_nba.learn.guard import verified
from bandit_nba.store import tables
from bandit_nba.store.database import Database
from bandit_nba.store.registry import models
from bandit_nba.workspace import Workspace
from simulators.drive import Played
from simulators.telco import TelcoWorld


@dataclass(frozen=True)
class Judged:
    """Estimates and truths of each policy on the judged part, and the counts that must agree.

    truth: by policy, and "oracle". closed: the share of the gap from uniform to oracle that the learned policy closes.
    """

    judgements: tuple[Judgement, ...]
    truth: Mapping[str, float]
    log: LoggedDecisions
    early: LoggedDecisions
    best_fixed: str
    frozen_model: str
    examples_learned: int
    counts: Mapping[str, int]

    @property
    def closed(self) -> float:
        """(learned - uniform) / (oracle - uniform), true values."""
        return (self.truth["learned"] - self.truth["uniform"]) / (self.truth["oracle"] - self.truth["uniform"])

    @property
    def lift(self) -> float:
        """learned / best fixed - 1, true values."""
        return self.truth["learned"] / self.truth["best fixed"] - 1.0


def judge(workspace: Workspace, world: TelcoWorld, played: Played, *, frozen_model: str, after_s: float) -> Judged:
    """Judge the frozen model's greedy policy and its rivals on the decisions made after `after_s`."""
    database = Database.open(workspace.database_url, create=False)
    try:
        log = read_log(database, workspace.rewards, workspace.catalogue.facts, now_s=time.time())
        with database.read() as connection:
            stored = models.read(connection, frozen_model)
        counts = _counts(database, played)
    finally:
        database.close()
    scorer, manifest = verified(stored), stored.manifest
    early, late = log.between(-np.inf, after_s), log.between(after_s)
    rng = np.random.default_rng(20_261_122)
    arms = [arm.id for arm in workspace.catalogue.arms]
    fixed = best_fixed(early, arms, features=workspace.policy.features, catalogue=workspace.catalogue.arms, rng=rng)
    policies: list[JudgedPolicy] = [
        LoggingPolicy(),
        Uniform(workspace.catalogue.arms),
        fixed,
        Learned(scorer, workspace.catalogue.arms, workspace.policy, learned_until=manifest.learned_until),
    ]
    judgements = judged_on(late, policies, features=workspace.policy.features, rng=rng)
    return Judged(
        judgements=tuple(judgements),
        truth=_truths(late, judgements, world, _customers(late, played)),
        log=late,
        early=early,
        best_fixed=fixed.arm,
        frozen_model=frozen_model,
        examples_learned=manifest.examples_learned,
        counts=counts,
    )


def _customers(log: LoggedDecisions, played: Played) -> Ints:
    """The world's customer of each logged decision; the driver numbers its decisions."""
    number = np.array([int(decision.rsplit("-", 1)[1]) for decision in log.ids], dtype=np.int64)
    return played.customer[number]


def _truths(
    log: LoggedDecisions, judgements: list[Judgement], world: TelcoWorld, customers: Ints
) -> Mapping[str, float]:
    """Mean over the judged rows of sum_a pi(a|x) q(x, a) on the logged eligible set, and that of the best arm."""
    q = cell_truth(log, world, customers)
    truth = {j.policy: float((j.probability * q).sum() / len(log)) for j in judgements}
    truth["oracle"] = float(np.maximum.reduceat(q, log.indptr[:-1]).mean())
    return truth


def cell_truth(log: LoggedDecisions, world: TelcoWorld, customers: Ints) -> Floats:
    """q(x, a) of every logged cell, float64 (cells,)."""
    column = {arm.id: k for k, arm in enumerate(world.catalogue.arms)}
    columns = np.array([column[name] for name in log.arms], dtype=np.int64)
    return world.q[customers[log.row], columns[log.arm]]


def _counts(database: Database, played: Played) -> Mapping[str, int]:
    """Ids by the client's account and by the log's; what was acknowledged must be exactly what is there."""
    with database.read() as connection:
        decisions = set(connection.execute(sa.select(tables.decisions.c.id)).scalars())
        outcomes = set(connection.execute(sa.select(tables.outcomes.c.id)).scalars())
    return {
        "decisionsAcknowledged": len(played.decisions_acknowledged),
        "decisionsFailed": len(played.decisions_failed),
        "decisionsInLog": len(decisions),
        "decisionsInLogWithoutError": len(decisions - played.decisions_failed),
        "decisionsLost": len(played.decisions_acknowledged - decisions),
        "outcomesAcknowledged": len(played.outcomes_acknowledged),
        "outcomesFailed": len(played.outcomes_failed),
        "outcomesInLog": len(outcomes),
        "outcomesInLogWithoutError": len(outcomes - played.outcomes_failed),
        "outcomesLost": len(played.outcomes_acknowledged - outcomes),
    }
