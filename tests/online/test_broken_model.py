"""Live scores that are no numbers: nobody sees one, all replicas go back, and the learner learns anew.

The model is broken behind every check, as a faulty memory would: its weights are overwritten in a running replica.
"""

import itertools
from collections.abc import Iterator

import msgspec
import numpy as np
import pytest
import sqlalchemy as sa

from bandit_nba.decide.record import DecisionRecord
from bandit_nba.learn.compile import CompiledScorer
from bandit_nba.learn.guard import Demands
from bandit_nba.online import definitions, serving, status
from bandit_nba.online.answering import Answer
from bandit_nba.online.catalogue_feed import CatalogueFeed
from bandit_nba.online.collector import Collector
from bandit_nba.online.decider import Decider
from bandit_nba.online.learning_loop import LearningLoop
from bandit_nba.online.messages import DecisionAnswer, DecisionRequest, Outcome
from bandit_nba.online.model_feed import ModelFeed, StoredModels
from bandit_nba.store.database import Database
from bandit_nba.store.log import decisions as log
from bandit_nba.store.registry import models
from bandit_nba.store.registry import serving as store
from bandit_nba.store.tables import models as table
from bandit_nba.workspace import Workspace
from tests.online.clock import Clock


class Side:
    """One replica's decider and feed, without HTTP."""

    def __init__(self, workspace: Workspace, database: Database, clock: Clock, *, who: str) -> None:
        demands = Demands.of(workspace.policy, workspace.catalogue)
        self.feed = ModelFeed(StoredModels(database, demands, who=who, clock=clock), poll_every_s=1.0, clock=clock)
        catalogues = CatalogueFeed(workspace, database, clock=clock, distrust=self.feed.distrust)
        self.decider = Decider(workspace, database, self.feed, clock=clock, catalogues=catalogues)

    @property
    def serves(self) -> str:
        return self.feed.current().version


class Loop:
    """Two replicas and a learner on one store, and customers who accept the network's status."""

    def __init__(self, workspace: Workspace, database: Database, clock: Clock) -> None:
        definitions.register(workspace, database, clock=clock)
        self.workspace, self.database, self.clock = workspace, database, clock
        self.sides = [Side(workspace, database, clock, who=f"replica {name}") for name in "AB"]
        self.collector = Collector(workspace, database, clock=clock)
        self.learner = LearningLoop.open(workspace, database, clock=clock)
        self.names = itertools.count()

    def ask(self, side: Side, size: int = 40) -> list[DecisionAnswer]:
        requests = [DecisionRequest(decision_id=f"d-{next(self.names)}", channel="web") for _ in range(size)]
        answers = side.decider.decide_batch(requests)
        said = [msgspec.json.decode(a.body, type=DecisionAnswer) for a in answers if isinstance(a, Answer)]
        assert len(said) == size
        accepted = [
            Outcome(outcome_id=f"o-{a.decision_id}", decision_id=a.decision_id, type="accept")
            for a in said
            if a.arm == "network_status"
        ]
        self.collector.collect_batch(accepted)
        return said

    def learn(self) -> str:
        """All that has been decided; the version of the new model."""
        self.clock.now_s += 1_801.0
        for _ in range(4):  # a learner that has to begin anew needs some steps
            self.learner.step()
            self.clock.now_s += 2.0
        with self.database.read() as connection:
            newest = models.newest(connection)
        assert newest is not None
        return newest

    def poll(self) -> None:
        for side in self.sides:
            side.feed.poll()


@pytest.fixture
def loop(workspace: Workspace, database: Database, clock: Clock) -> Iterator[Loop]:
    loop = Loop(workspace, database, clock)
    yield loop
    loop.learner.stop()


def break_in_memory(side: Side, value: float) -> None:
    scorer = side.feed.current()
    assert isinstance(scorer, CompiledScorer)
    scorer._slots[:] = value
    scorer._tables = {}


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_all_replicas_go_back_by_themselves(loop: Loop, value: float) -> None:
    a, b = loop.sides
    loop.ask(a)
    sound = loop.learn()
    loop.poll()
    loop.ask(a)
    broken = loop.learn()
    loop.poll()
    assert (a.serves, b.serves) == (broken, broken)

    break_in_memory(a, value)
    with np.errstate(invalid="ignore"):  # inf - inf; the tests turn numpy's warning into an error
        said = loop.ask(a)
    found = log_of(loop, [one.decision_id for one in said])

    # what the safe policy says, with its true propensity: two arms are safe here, "no action" and the network's status
    assert {record.kind for record in found} == {"fallback"}
    assert {record.propensity for record in found} == {0.5}
    assert all(np.isfinite(msgspec.json.decode(record.probabilities)).all() for record in found)
    assert all(b"NaN" not in record.answer and b"Infinity" not in record.answer for record in found)
    assert a.serves == sound  # at once, before the store is asked
    assert {record.kind for record in log_of(loop, [one.decision_id for one in loop.ask(a)])} == {"normal"}
    assert b.serves == broken

    loop.poll()
    assert (a.serves, b.serves) == (sound, sound)
    with loop.database.read() as connection:
        change = store.last_change(connection)
        away = store.quarantined(connection)
    assert change is not None
    assert (change.what, change.before, change.serves, change.who) == ("quarantine", broken, sound, "replica A")
    assert "not finite" in change.why
    assert list(away) == [broken]
    told = status.look(loop.database, now_s=loop.clock.now_s)
    assert f"But model {sound} serves, model {broken} was quarantined" in status.in_words(told, now_s=loop.clock.now_s)
    assert "not finite" in status.model_status(told, now_s=loop.clock.now_s).quarantined[broken]


def log_of(loop: Loop, ids: list[str]) -> list[DecisionRecord]:
    with loop.database.read() as connection:
        found = [log.get(connection, one) for one in ids]
    return [record for record in found if record is not None]


@pytest.mark.parametrize("store", ["sqlite", "postgresql"], indirect=True)
def test_the_learner_never_goes_on_from_it_and_loses_nothing(loop: Loop) -> None:
    """It learns the whole log anew, and ends with the very weights of a chain that was never interrupted."""
    a, _ = loop.sides
    loop.ask(a)
    sound = loop.learn()
    loop.poll()
    loop.ask(a)
    broken = loop.learn()
    loop.poll()
    with loop.database.read() as connection:
        before = models.read(connection, broken).manifest
    break_in_memory(a, np.nan)
    loop.ask(a, size=3)
    loop.poll()
    loop.ask(a)  # the sound model decides, and there is something to learn
    anew = loop.learn()
    with loop.database.read() as connection:
        manifest = models.read(connection, anew).manifest
    assert manifest.examples_learned == before.examples_learned + 40  # what the safe policy decided does not teach
    assert _lineage(loop, anew)[-1] not in (sound, broken)
    assert broken not in _lineage(loop, anew)

    loop.poll()
    assert a.serves == sound  # until somebody has looked at it
    serving.follow(loop.database, who="ann", why="looked at", clock=loop.clock)
    loop.poll()
    assert a.serves == anew
    assert _weights_of_a_new_lineage(loop) == (manifest.weights_sha256, manifest.examples_learned)


def _lineage(loop: Loop, version: str) -> list[str]:
    found = [version]
    with loop.database.read() as connection:
        while parent := models.read(connection, found[-1]).manifest.parent:
            found.append(parent)
    return found


def _weights_of_a_new_lineage(loop: Loop) -> tuple[str, int]:
    """As a learner makes it that cannot read the newest model, and so learns the log from its beginning."""
    with loop.database.write() as connection:
        connection.execute(sa.update(table).values(model=None))
    learner = LearningLoop.open(loop.workspace, loop.database, clock=loop.clock)
    loop.learner.stop()
    learner.step()
    assert learner.stop()
    with loop.database.read() as connection:
        version = models.newest(connection)
        assert version is not None
        manifest = models.read(connection, version).manifest
    assert manifest.parent == ""
    return manifest.weights_sha256, manifest.examples_learned


@pytest.mark.parametrize("store", ["sqlite", "postgresql"], indirect=True)
def test_learning_goes_on_through_a_roll_back_by_hand(loop: Loop) -> None:
    """The chain is the learner's: rolling back changes who decides, not what is learned from what was decided."""
    a, b = loop.sides
    loop.ask(a)
    first = loop.learn()
    loop.ask(a)
    second = loop.learn()
    loop.poll()
    assert (a.serves, b.serves) == (second, second)

    made = serving.roll_back(loop.workspace, loop.database, who="ann", why="complaints", clock=loop.clock)
    loop.poll()
    assert (made.before, made.serves) == (second, first)
    assert (a.serves, b.serves) == (first, first)
    loop.ask(a)
    third = loop.learn()
    loop.poll()
    assert a.serves == first
    assert _lineage(loop, third) == [third, second, first]

    serving.follow(loop.database, who="ann", why="mended", clock=loop.clock)
    loop.poll()
    assert (a.serves, b.serves) == (third, third)
    with loop.database.read() as connection:
        manifest = models.read(connection, third).manifest
    assert manifest.examples_learned == 120
    assert _weights_of_a_new_lineage(loop) == (manifest.weights_sha256, 120)


def test_a_refused_model_leaves_the_one_before_and_says_why(loop: Loop) -> None:
    a, _ = loop.sides
    loop.ask(a)
    sound = loop.learn()
    loop.poll()
    loop.ask(a)
    damaged = loop.learn()
    with loop.database.write() as connection:
        cut = sa.func.substr(table.c.sparse, 1, sa.func.length(table.c.sparse) - 1)
        connection.execute(sa.update(table).where(table.c.version == damaged).values(sparse=cut))
    loop.poll()

    assert a.serves == sound
    assert a.feed.refusals == 1
    assert "cut or too long" in a.feed.refused[damaged]
    with pytest.raises(Exception, match="cut or too long"):
        serving.publish(loop.workspace, loop.database, damaged, who="ann", why="", clock=loop.clock)
    made = serving.publish(loop.workspace, loop.database, sound, who="ann", why="keep", clock=loop.clock)
    assert made.serves == sound


def test_going_back_passes_over_what_the_guard_refuses(loop: Loop) -> None:
    a, _ = loop.sides
    versions = []
    for _round in range(3):
        loop.ask(a, size=10)
        versions.append(loop.learn())
    with loop.database.write() as connection:
        connection.execute(sa.update(table).where(table.c.version == versions[1]).values(sparse=b"nothing"))
    made = serving.roll_back(loop.workspace, loop.database, who="ann", why="", clock=loop.clock)

    assert made.serves == versions[0]
    with pytest.raises(Exception, match="no earlier model than the one that serves"):
        serving.roll_back(loop.workspace, loop.database, versions[2], who="ann", why="", clock=loop.clock)


def test_a_checkpoint_beside_a_quarantine_is_not_committed(loop: Loop) -> None:
    """The learner holds a child of the model in memory when it is put away: it is dropped, and all is learned anew."""
    a, _ = loop.sides
    loop.ask(a)
    first = loop.learn()
    loop.ask(a)
    with loop.database.write() as connection:
        put = store.quarantine(connection, first, serves="none", who="replica", why="NaN", now_s=loop.clock.now_s)
    assert put is not None
    newest = loop.learn()
    with loop.database.read() as connection:
        manifest = models.read(connection, newest).manifest

    assert newest != first
    assert first not in _lineage(loop, newest)
    assert manifest.examples_learned == 80
    loop.poll()
    assert a.serves == "none"
