"""Questions for rankings, slots and brought actions, and deciders that answer them."""

import msgspec
import numpy as np

from bandit_nba.decide.audit.run import audit
from bandit_nba.decide.record import DecisionRecord
from bandit_nba.decide.scoring import NoModel, Scorer
from bandit_nba.learn.guard import Demands
from bandit_nba.online import definitions
from bandit_nba.online.answering import Answer
from bandit_nba.online.collector import Collector
from bandit_nba.online.decider import Decider
from bandit_nba.online.learning_loop import LearningLoop
from bandit_nba.online.messages import DecisionAnswer, DecisionRequest, Outcome
from bandit_nba.online.model_feed import ModelFeed, StoredModels
from bandit_nba.store.database import Database
from bandit_nba.store.log import decisions as decision_store
from bandit_nba.store.past import StoredPast, past_records
from bandit_nba.workspace import Workspace
from tests.online.clock import Clock
from tests.online.customer import KNOWN

TWO = [{"id": "x", "features": {"topic": "tv", "price": 9.9}}, {"id": "y", "features": {"topic": "phone", "price": 1}}]


HOSTILE = (
    *("a|b", "|U age:1", "a:1000", "a b", "a=b", "a?", 'a"b', "a'b", "a\\b", "a,b", "a/b"),
    *("%s%n", "017", " ", "ü€𐍈", "{}", "../x"),
)


WITH_CONTROLS = ("a\nb", "a\r\nb", "a\tb", "a\x00b", "\x1b[31m")


LONG = "x" * 1_000_000


class Unlearned:
    def current(self) -> Scorer:
        return NoModel()


def ask(decision: str = "d-1", **more: object) -> DecisionRequest:
    return msgspec.convert({"decisionId": decision, "channel": "web", "facts": KNOWN, **more}, DecisionRequest)


def accept(decision: str, *, slot: str | None = None) -> Outcome:
    return Outcome(outcome_id=f"o-{decision}", decision_id=decision, type="accept", slot=slot)


def read(answer: object) -> DecisionAnswer:
    assert isinstance(answer, Answer), answer
    return msgspec.json.decode(answer.body, type=DecisionAnswer)


def one(decider: Decider, request: DecisionRequest) -> DecisionAnswer:
    return read(decider.decide_batch([request])[0])


def stored(database: Database, decision: str = "d-1") -> DecisionRecord:
    with database.read() as connection:
        record = decision_store.get(connection, decision)
    assert record is not None
    return record


def audited(workspace: Workspace, database: Database) -> None:
    found = audit(past_records(database), StoredPast(database, workspace.salts), rng=np.random.default_rng(0))
    assert found.first == ()
    assert found.ok


def learned(workspace: Workspace, database: Database, clock: Clock, rows: int = 300) -> tuple[Decider, LearningLoop]:
    """A decider whose model has learned that "network_status" is accepted and that the inline "y" is, "x" is not."""
    demands = Demands.of(workspace.policy, workspace.catalogue)
    feed = ModelFeed(StoredModels(database, demands), poll_every_s=1.0, clock=clock)
    definitions.register(workspace, database, clock=clock)
    decider, collector = Decider(workspace, database, feed, clock=clock), Collector(workspace, database, clock=clock)
    wishes: list[dict[str, object]] = [{}, {"actions": TWO}]
    answers = [read(a) for a in decider.decide_batch([ask(f"l-{i}", **wishes[i % 2]) for i in range(rows)])]
    collector.collect_batch([accept(a.decision_id) for a in answers if a.arm in ("network_status", "y")])
    clock.now_s += 1_801.0
    loop = LearningLoop.open(workspace, database, clock=clock)
    loop.step()
    assert feed.poll()
    return decider, loop
