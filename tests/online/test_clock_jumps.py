"""Whatever the clocks say: nothing that comes after a decision was learned counts for it, and the order stays."""

import pytest

from bandit_nba.online.answering import Answer
from bandit_nba.online.collector import Collector
from bandit_nba.online.decider import Decider
from bandit_nba.online.learning_loop import LearningLoop
from bandit_nba.online.messages import DecisionRequest, Outcome
from bandit_nba.online.model_feed import ModelFeed, StoredModels
from bandit_nba.store.database import Database
from bandit_nba.store.learner.learning import stamp
from bandit_nba.store.log import decisions as decision_store
from bandit_nba.store.tables import decisions, outcomes
from bandit_nba.workspace import Workspace
from tests.online.clock import START_S, Clock

WAIT_S = 1_800.0  # of the channel "web" in the template
SLACK_S = 5.0  # a clock that was put back goes on, at half speed


@pytest.fixture
def decider(workspace: Workspace, database: Database, clock: Clock) -> Decider:
    feed = ModelFeed(StoredModels(database), poll_every_s=1.0, clock=clock)
    return Decider(workspace, database, feed, clock=clock)


def decided(decider: Decider, *ids: str) -> None:
    answers = decider.decide_batch([DecisionRequest(decision_id=decision, channel="web") for decision in ids])
    assert all(isinstance(answer, Answer) for answer in answers)


def learned_until_now(workspace: Workspace, database: Database, clock: Clock) -> int:
    """A learner of its own, as after a crash; the examples that it learned."""
    loop = LearningLoop.open(workspace, database, clock=clock)
    loop.step()
    examples = loop.status().examples
    loop.stop()
    return examples


def test_an_outcome_of_a_learned_decision_never_counts_though_the_clock_was_put_back(
    workspace: Workspace, database: Database, clock: Clock, decider: Decider
) -> None:
    decided(decider, "d1")
    clock.now_s += WAIT_S + 1.0
    assert learned_until_now(workspace, database, clock) == 1

    clock.now_s = START_S + 10.0  # by this clock d1 has not matured
    said = [Outcome(outcome_id="o1", decision_id="d1", type="accept")]
    Collector(workspace, database, clock=clock).collect_batch(said)

    with database.read() as connection:
        received_at = connection.execute(outcomes.select()).one().received_at
        matures_at = connection.execute(decisions.select()).one().matures_at
    assert matures_at == START_S + WAIT_S
    assert START_S + WAIT_S + 1.0 <= received_at < START_S + WAIT_S + 1.0 + SLACK_S


def test_a_decision_never_matures_before_what_was_learned(
    workspace: Workspace, database: Database, clock: Clock, decider: Decider
) -> None:
    decided(decider, "d1")
    clock.now_s += 10 * WAIT_S
    assert learned_until_now(workspace, database, clock) == 1

    clock.now_s = START_S  # another replica whose clock is wrong, or a reboot of this machine
    feed = ModelFeed(StoredModels(database), poll_every_s=1.0, clock=clock)
    decided(Decider(workspace, database, feed, clock=clock), "d2", "d3")

    with database.read() as connection:
        d2 = decision_store.get(connection, "d2")
    assert d2 is not None
    assert 0.0 <= d2.decided_at - (START_S + 10 * WAIT_S) < SLACK_S
    assert d2.matures_at == d2.decided_at + WAIT_S

    assert learned_until_now(workspace, database, clock) == 0
    clock.now_s += 12 * WAIT_S
    assert learned_until_now(workspace, database, clock) == 2


def test_an_expired_decision_cannot_be_activated_by_a_clock_that_was_put_back(
    workspace: Workspace, database: Database, clock: Clock, decider: Decider
) -> None:
    """The template's call centre activates its decisions within 15 minutes."""
    decider.decide_batch([DecisionRequest(decision_id="d1", channel="call_center")])
    clock.now_s += 901.0
    learned_until_now(workspace, database, clock)  # marks what was not activated in time

    clock.now_s = START_S
    with database.write() as connection:
        found = decision_store.activate(connection, "d1", now_s=stamp(connection, clock))

    assert found == "expired"
