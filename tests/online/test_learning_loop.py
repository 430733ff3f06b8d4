"""Decide, tell, learn, serve: the loop without HTTP, on the real store and the real learner."""

import itertools
from collections.abc import Iterator

import msgspec
import pytest

from bandit_nba.learn.guard import Demands
from bandit_nba.online import definitions, status
from bandit_nba.online.answering import Answer
from bandit_nba.online.collector import Collector
from bandit_nba.online.decider import Decider
from bandit_nba.online.learning_loop import LearningLoop
from bandit_nba.online.messages import DecisionAnswer, DecisionRequest, Outcome
from bandit_nba.online.model_feed import ModelFeed, StoredModels
from bandit_nba.store.database import Database
from bandit_nba.workspace import Workspace
from tests.online.clock import Clock

pytestmark = pytest.mark.parametrize("store", ["sqlite", "postgresql"], indirect=True)

N = 300


@pytest.fixture
def feed(workspace: Workspace, database: Database, clock: Clock) -> ModelFeed:
    demands = Demands.of(workspace.policy, workspace.catalogue)
    return ModelFeed(StoredModels(database, demands), poll_every_s=1.0, clock=clock)


@pytest.fixture
def decider(workspace: Workspace, database: Database, feed: ModelFeed, clock: Clock) -> Decider:
    definitions.register(workspace, database, clock=clock)
    return Decider(workspace, database, feed, clock=clock)


@pytest.fixture
def loop(workspace: Workspace, database: Database, clock: Clock) -> Iterator[LearningLoop]:
    loop = LearningLoop.open(workspace, database, clock=clock)
    yield loop
    loop.stop()


def play(decider: Decider, collector: Collector, names: Iterator[int]) -> dict[str, int]:
    """Ask N times; whoever sees the network's status accepts. How often each arm was chosen."""
    requests = [DecisionRequest(decision_id=f"d-{next(names)}", channel="web") for _ in range(N)]
    chosen: dict[str, int] = {}
    outcomes = []
    for answer in decider.decide_batch(requests):
        assert isinstance(answer, Answer)
        said = msgspec.json.decode(answer.body, type=DecisionAnswer)
        chosen[said.arm] = chosen.get(said.arm, 0) + 1
        if said.arm == "network_status":
            outcomes.append(Outcome(outcome_id=f"o-{said.decision_id}", decision_id=said.decision_id, type="accept"))
    assert all(c.receipt == "created" for c in collector.collect_batch(outcomes))
    return chosen


def test_it_learns_what_customers_accept(
    workspace: Workspace, database: Database, decider: Decider, feed: ModelFeed, loop: LearningLoop, clock: Clock
) -> None:
    collector = Collector(workspace, database, clock=clock)
    names = itertools.count()
    before = play(decider, collector, names)
    clock.now_s += 1.0
    loop.step()
    assert not feed.poll()  # nothing has matured

    clock.now_s += 1_801.0  # web waits PT30M
    loop.step()
    assert feed.poll()
    after = play(decider, collector, names)

    assert feed.current().examples_learned == N
    assert loop.status().examples == N
    assert abs(before["network_status"] - N / 2) < 52  # 6 standard deviations of a fair coin
    # gap 1, gamma = 10 sqrt(300): "no action" keeps hardly more than the floor, 0.05 / 2
    assert after["network_status"] > 0.9 * N
    assert collector.counts["orphan"] == 0


def test_stopping_publishes_what_was_learned(
    workspace: Workspace, database: Database, decider: Decider, clock: Clock
) -> None:
    play(decider, Collector(workspace, database, clock=clock), itertools.count())
    clock.now_s += 1_801.0
    loop = LearningLoop.open(workspace, database, clock=clock)
    loop.start()
    assert loop.stop()

    found = status.look(database, now_s=clock.now_s)
    assert found.newest is not None
    assert found.newest.examples_learned == N
    assert found.counts.learned == N
    assert not found.learner_alive  # the lease is given back


def test_status_says_in_words_what_goes_on(
    workspace: Workspace, database: Database, decider: Decider, loop: LearningLoop, clock: Clock
) -> None:
    def words() -> str:
        return status.in_words(status.look(database, now_s=clock.now_s), now_s=clock.now_s)

    assert words() == "Not learning: no learner is running."
    loop.step()
    assert words() == "Not learning yet: no decision has been made."
    play(decider, Collector(workspace, database, clock=clock), itertools.count())
    assert words() == "Not learning yet: 300 decisions were made and none has matured. The first matures in 30 minutes."
    clock.now_s += 1_801.0
    assert words() == "Not learning: no learner is running. 300 matured decisions wait for one."  # its lease ran out
    loop.step()
    assert words() == (
        "Learning: the newest model was published 0 s ago and has learned 300 decisions; "
        "0 matured ones wait and 0 have not matured yet."
    )
    found = status.look(database, now_s=clock.now_s)
    assert status.is_learning(found, now_s=clock.now_s)
