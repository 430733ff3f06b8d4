"""A journey lived through by the product itself, in memory of its own clock: engine, log, outcomes and learner.

Everything that reads real logs reads these: `nba evaluate`, `nba report`, `nba audit`, `nba search`.
"""

import hashlib
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import sqlalchemy as sa

from bandit_nba.customers.pseudonym import pseudonym
from bandit_nba.decide.batch import Decisions, Requests
from bandit_nba.decide.columns import Bools, Floats
from bandit_nba.decide.engine import Engine
from bandit_nba.decide.record import DecisionRecord, Versions, records
from bandit_nba.decide.scoring import NoModel, Scorer
from bandit_nba.errors import SettingsError
from bandit_nba.learn.fates import fate
from bandit_nba.learn.join import matures_at
from bandit_nba.learn.learner import Learner
from bandit_nba.online.answering import Deadlines, bodies
from bandit_nba.online.definitions import register
from bandit_nba.store import tables
from bandit_nba.store.database import Database
from bandit_nba.store.driver.bulk import execute_many
from bandit_nba.store.learner.learning import LearningStore
from bandit_nba.store.log import decisions, outcome_counts, outcomes
from bandit_nba.store.registry import models
from bandit_nba.workspace import Workspace, open_workspace
from simulators.journey.state import State
from simulators.journey.world import JourneyWorld
from simulators.world import Outcome

_OUTCOMES = sa.insert(tables.outcomes)
_NOTHING_HEARD_S = 1.0


@dataclass(frozen=True)
class Lived:
    """What went into the store, and the state at the end."""

    decisions: int
    outcomes: int
    models: int
    state: State


def live(
    workspace_path: Path,
    world: JourneyWorld,
    *,
    n: int,
    steps: int,
    replication: int = 0,
    learn: bool = True,
    on_step: Callable[[State, Outcome], None] = lambda state, outcome: None,  # noqa: ARG005 (nobody is told)
) -> Lived:
    """Let the workspace's policy decide for customers 0 .. n - 1, and log it as the service would.

    Steps follow each other by the world's calendar; what has matured is learned before each step. Outcomes bear the
    time at which they would have been received, also those that come too late to count.

    Raises
    ------
    SettingsError
        If the workspace is not this world's.
    """
    workspace = open_workspace(workspace_path)
    if workspace.catalogue.version != world.catalogue.version:
        raise SettingsError("the workspace is of another world", where=str(workspace_path), got=world.name)
    database = Database.open(workspace.database_url)
    try:
        return _Life(workspace, database, world, n, replication, learn).live(steps, on_step)
    finally:
        database.close()


class _Life:
    def __init__(
        self, workspace: Workspace, database: Database, world: JourneyWorld, n: int, replication: int, learn: bool
    ) -> None:
        self.now_s = world.start_s
        self.workspace = register(workspace, database, clock=lambda: self.now_s)
        self.database, self.world, self.learn = database, world, learn
        self.state = world.start(n, replication=replication)
        self.prefix = f"{world.name}-{world.seed}-{replication}-"
        self.keys = [pseudonym(workspace.pseudonym_key, f"c{i}") for i in self.state.customer.tolist()]
        rewards = workspace.rewards
        self.engine = Engine(
            workspace.catalogue, workspace.rules, workspace.policy, workspace.salt, reward_unit=rewards.unit
        )
        store = LearningStore(database, clock=lambda: self.now_s, holder="simulation")
        self.learner = Learner(
            store,
            policy=workspace.policy,
            rewards=rewards,
            schema=workspace.catalogue.facts,
            clock=lambda: self.now_s,
            publish_every_s=_NOTHING_HEARD_S,
            enough_pending=1_000_000,
            most_pending=1_000_000,
        )
        self.scorer: Scorer = NoModel()
        self.published = 0

    def live(self, steps: int, on_step: Callable[[State, Outcome], None]) -> Lived:
        made = heard = 0
        for _ in range(steps):
            self.now_s = self.world.start_s + self.state.t * self.world.step_s
            if self.learn and made:
                self._learn()
            requests = self._requests()
            decided = self.engine.decide(requests, self.scorer)
            outcome = self.world.step(self.state, decided.chosen)
            carried_out = outcome.arm == decided.chosen
            rows = self._records(decided, carried_out=carried_out)
            late = self._outcomes(requests, outcome, carried_out)
            with self.database.write() as connection:
                decisions.insert(connection, rows)
                execute_many(connection, _OUTCOMES, [tuple(row.values()) for row in late])
                outcome_counts.add(connection, self._fates(connection, late), shard=0)
            made, heard = made + len(rows), heard + len(late)
            on_step(self.state, outcome)
        return Lived(decisions=made, outcomes=heard, models=self.published, state=self.state)

    def _learn(self) -> None:
        while self.learner.step().examples:
            pass
        self.learner.finish()
        with self.database.read() as connection:
            newest = models.newest(connection)
        if newest is not None and newest != self.scorer.version:
            self.scorer = models.load_scorer(self.database, newest)
            self.published += 1

    def _requests(self) -> Requests:
        plain = self.world.requests(self.state, prefix=self.prefix)
        return Requests(
            ids=plain.ids,
            customers=self.keys,
            channels=plain.channels,
            decided_at=plain.decided_at,
            facts=plain.facts,
            readable=plain.readable,
        )

    def _records(self, decided: Decisions, *, carried_out: Bools) -> list[DecisionRecord]:
        """What the budget did not pay for was never activated: it is logged, but neither learned nor judged."""
        workspace, requests = self.workspace, decided.requests
        versions = Versions(
            catalogue=workspace.catalogue.version,
            policy=workspace.policy.version,
            features=workspace.policy.features.version,
            reward=workspace.rewards.version,
            model=self.scorer.version,
            salt=workspace.salt.id,
        )
        activate_by: Floats = np.where(carried_out, np.nan, requests.decided_at)
        deadlines = Deadlines(
            valid_until=requests.decided_at + self.world.step_s,
            matures_at=matures_at(workspace.rewards, requests.channels, requests.decided_at, activate_by=activate_by),
            activate_by=activate_by,
        )
        return records(
            decided,
            versions=versions,
            valid_until=deadlines.valid_until,
            matures_at=deadlines.matures_at,
            activate_by=activate_by,
            payload_sha256=[_sha256(decision) for decision in requests.ids],
            answers=bodies(decided, deadlines, versions),
        )

    def _outcomes(self, requests: Requests, outcome: Outcome, carried_out: Bools) -> list[dict[str, Any]]:
        """Rows of the table `outcomes`: one acceptance for each response, when it is received."""
        rows: list[dict[str, Any]] = []
        for i in (outcome.responded & carried_out).nonzero()[0].tolist():
            decision = requests.ids[i]
            at = float(requests.decided_at[i] + outcome.delay_s[i])
            row = {
                "id": f"o-{decision}",
                "decision": decision,
                "customer": None,
                "type": "accept",
                "amount": None,
                "occurred_at": at,
                "received_at": at,
                "payload_sha256": _sha256(f"o-{decision}"),
                "slot": None,
            }
            rows.append({name: row.get(name) for name in tables.outcomes.c.keys()})  # noqa: SIM118 (no dict)
        return rows

    def _fates(self, connection: sa.Connection, rows: Sequence[Mapping[str, Any]]) -> Counter[str]:
        """What becomes of these outcomes, as if each had been received at its time; the service counts them so."""
        named = outcomes.named(connection, {row["decision"] for row in rows})
        rewards = self.workspace.rewards
        return Counter(
            fate(rewards, row["type"], "", received_at=row["received_at"], named=named.get(row["decision"]))
            for row in rows
        )


def _sha256(text: str) -> bytes:
    return hashlib.sha256(text.encode()).digest()
