"""A workspace with its store, deciders and a learner, without HTTP, to back up and restore."""

import time
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec
import numpy as np
import sqlalchemy as sa

from bandit_nba.decide.audit.run import audit
from bandit_nba.decide.record import DecisionRecord
from bandit_nba.learn.guard import Demands
from bandit_nba.online import definitions
from bandit_nba.online.answering import Answer
from bandit_nba.online.collector import Collector
from bandit_nba.online.decider import Decider
from bandit_nba.online.learning_loop import LearningLoop
from bandit_nba.online.messages import DecisionAnswer, DecisionRequest, Outcome
from bandit_nba.online.model_feed import ModelFeed, StoredModels
from bandit_nba.store.archive.close import archive_days
from bandit_nba.store.archive.restore import Archive
from bandit_nba.store.database import Database
from bandit_nba.store.past import StoredPast, past_records
from bandit_nba.store.registry import models
from bandit_nba.store.tables import decisions, metadata
from bandit_nba.workspace import Workspace, open_workspace
from tests.online.clock import Clock


class Shop:
    """A workspace with its store, deciders and a learner, without HTTP."""

    def __init__(self, workspace: Workspace, clock: Clock) -> None:
        self.workspace, self.clock = workspace, clock
        self.database = Database.open(workspace.database_url)
        definitions.register(workspace, self.database, clock=clock)

    def ask(self, ids: list[str], database: Database | None = None) -> None:
        """Decide, and let whoever sees the network's status accept it."""
        database = database or self.database
        demands = Demands.of(self.workspace.policy, self.workspace.catalogue)
        feed = ModelFeed(StoredModels(database, demands), poll_every_s=1.0, clock=self.clock)
        feed.poll()
        decider = Decider(self.workspace, database, feed, clock=self.clock)
        answers = decider.decide_batch([DecisionRequest(decision_id=one, channel="web") for one in ids])
        said = [msgspec.json.decode(a.body, type=DecisionAnswer) for a in answers if isinstance(a, Answer)]
        assert len(said) == len(ids)
        Collector(self.workspace, database, clock=self.clock).collect_batch(
            [
                Outcome(outcome_id=f"o-{a.decision_id}", decision_id=a.decision_id, type="accept")
                for a in said
                if a.arm == "network_status"
            ]
        )

    def learn(self) -> tuple[str, int]:
        """All that has matured; the newest model's weights and how much it has learned."""
        loop = LearningLoop.open(self.workspace, self.database, clock=self.clock)
        loop.start()
        assert loop.stop()
        with self.database.read() as connection:
            version = models.newest(connection)
            assert version is not None
            manifest = models.read(connection, version).manifest
        return manifest.weights_sha256, manifest.examples_learned

    def rows(self) -> dict[str, list[tuple[object, ...]]]:
        """Everything in the store, by table."""
        with self.database.read() as connection:
            return {
                name: sorted((tuple(row) for row in connection.execute(sa.select(table))), key=repr)
                for name, table in metadata.tables.items()
            }

    def ids(self) -> set[str]:
        with self.database.read() as connection:
            return set(connection.execute(sa.select(decisions.c.id)).scalars())

    def records(self) -> Iterator[DecisionRecord]:
        return past_records(self.database, archive=Archive(self.workspace.archive_folder))

    def audited(self) -> bool:
        source = StoredPast(self.database, self.workspace.salts)
        return audit(self.records(), source, rng=np.random.default_rng(0)).ok

    def close(self) -> None:
        self.database.close()


def shop_at(directory: Path, clock: Clock) -> Shop:
    return Shop(open_workspace(directory), clock)


def played(shop: Shop) -> None:
    shop.ask([f"a-{i}" for i in range(120)])
    shop.clock.now_s += 1_801.0
    shop.learn()
    shop.ask([f"b-{i}" for i in range(80)])


def wait(condition: Callable[[], bool]) -> None:
    give_up = time.monotonic() + 30.0
    while not condition():
        assert time.monotonic() < give_up
        time.sleep(0.01)


def archived(shop: Shop) -> tuple[Path, str]:
    """All of the shop's decisions learned, and their day closed: its folder, and one of its decisions."""
    shop.clock.now_s += 1_801.0
    shop.learn()
    shop.clock.now_s += 3 * 86_400.0
    (found,) = archive_days(shop.database, shop.workspace.archive_folder, before_s=shop.clock.now_s, clock=shop.clock)
    assert (found.rows, found.stays) == (200, "")
    return shop.workspace.archive_folder / found.day, "a-7"
