"""The learner on a real store: each decision learned exactly once, whatever happens in between."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import msgspec
import numpy as np
import pytest
import sqlalchemy as sa

from bandit_nba.catalogue import Action, Catalogue
from bandit_nba.decide.batch import Coded, Facts
from bandit_nba.decide.features import Featuriser
from bandit_nba.decide.policy import FeatureSettings, Learning, Policy
from bandit_nba.decide.record import DecisionRecord
from bandit_nba.errors import ModelError, SettingsError, StoreBusyError, StoreError
from bandit_nba.learn.learner import Learner
from bandit_nba.learn.log import Checkpoint, Claim
from bandit_nba.learn.manifest import Manifest
from bandit_nba.learn.vowpal import VowpalRegressor
from bandit_nba.store import learning as store_learning
from bandit_nba.store import models
from bandit_nba.store.database import Database
from bandit_nba.store.learning import LearningStore
from bandit_nba.store.tables import NEVER, QUARANTINED, decision_facts, decisions
from bandit_nba.store.tables import outcomes as outcomes_table
from tests.learn import tiny_world as world
from tests.learn.tiny_world import BEST, CATALOGUE, POLICY, REWARDS, SEGMENTS, Clock

LATE_S = 10_000.0


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    with world.opened(tmp_path) as database:
        yield database


def run(learner: Learner, *, steps: int = 50) -> Manifest:
    """Learn until nothing is left, and publish it all."""
    for _ in range(steps):
        if learner.step().examples == 0:
            break
    learner.finish()
    newest = world.newest(learner._log._database)  # type: ignore[attr-defined]  # any log of these tests has one
    assert newest is not None
    return newest.manifest


def in_one_go(folder: Path, **options: object) -> Manifest:
    """What an undisturbed learner makes of 1,200 decisions."""
    with world.opened(folder) as database:
        world.play(database, 1_200, seed=3)
        return run(world.learner(database, Clock(LATE_S), batch=5_000, **options))  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def expected(tmp_path_factory: pytest.TempPathFactory) -> Manifest:
    """What an undisturbed learner makes of the same 1,200 decisions."""
    return in_one_go(tmp_path_factory.mktemp("undisturbed"))


def columns_of(record: DecisionRecord) -> dict[str, object]:
    return {name: value for name, value in msgspec.structs.asdict(record).items() if name != "facts"}


# What is learned


def test_it_learns_which_offer_is_best_for_whom(database: Database) -> None:
    """2,000 uniform decisions, accepted with .6 or .1: each segment's best offer ranks first, near its truth."""
    world.play(database, 2_000, seed=1)
    manifest = run(world.learner(database, Clock(LATE_S)))
    scorer = models.load_scorer(database, manifest.version)
    featuriser = Featuriser(POLICY.features, CATALOGUE.facts)
    facts = Facts.from_rows([{"segment": segment, "age": 33.0} for segment in SEGMENTS], CATALOGUE.facts)
    channels = Coded(codes=np.zeros(3, dtype=np.int64), values=("web",))

    scores = scorer.score(featuriser.contexts(facts, channels), featuriser.arms(CATALOGUE.arms))

    names = [arm.id for arm in CATALOGUE.arms]
    assert [names[k] for k in scores.argmax(axis=1)] == [BEST[segment] for segment in SEGMENTS]
    # a cell sees about 167 decisions: standard error .04
    np.testing.assert_allclose(scores.max(axis=1), 0.6, atol=0.2)
    assert scorer.examples_learned == 2_000


def test_the_manifest_tells_what_was_learned(database: Database) -> None:
    world.play(database, 1_000, seed=1)
    manifest = run(world.learner(database, Clock(LATE_S), batch=300))

    assert manifest.examples_learned == 1_000
    assert (manifest.learned_from, manifest.learned_until) == (1_000.0, 1_000.0 + 999 / 100.0)
    assert manifest.reward_version == REWARDS.version
    assert manifest.feature_version == Featuriser(POLICY.features, CATALOGUE.facts).version
    assert manifest.parent != ""


def test_rewards_are_those_of_the_join(database: Database) -> None:
    """Late, duplicate, reordered, misdirected and customers' outcomes, with the reward of each decision by hand."""
    world.decide(
        database,
        [
            world.record(0, customer="anna", decided_at=1_000.0),  # accepted in time, sent twice: 1
            world.record(1, customer="anna", decided_at=1_030.0),  # only her purchase at 1050: .5
            world.record(2, customer="", decided_at=1_000.0, arm="tv"),  # accepted one second late: 0
            world.record(3, customer="bert", decided_at=1_060.0, arm="tv"),  # accepted before it was stored: 1
            world.record(4, customer="bert", decided_at=1_000.0, arm="care"),  # bert bought after it had matured: 0
            world.record(5, customer="dora", decided_at=1_000.0, arm="no_action"),  # names the decision: .5
        ],
    )
    accept, buy = "accept", "buy"
    world.receive(database, 1_010.0, world.outcome("a", accept, decision="d00000"))
    world.receive(database, 1_020.0, world.outcome("a", accept, decision="d00000"))
    world.receive(database, 1_055.0, world.outcome("f", accept, decision="d00003"))
    world.receive(database, 1_050.0, world.outcome("b", buy, customer="anna"))
    world.receive(database, 1_061.0, world.outcome("c", accept, decision="d00002"))
    world.receive(database, 1_121.0, world.outcome("d", buy, customer="bert"))
    world.receive(database, 1_001.0, world.outcome("e", buy, decision="d00005"))
    manifest = run(world.learner(database, Clock(LATE_S)))

    expected = VowpalRegressor(POLICY.features, POLICY.learning)
    featuriser = Featuriser(POLICY.features, CATALOGUE.facts)
    rows = [(0, "data", 1.0), (2, "tv", 0.0), (4, "care", 0.0), (5, "no_action", 0.5), (1, "data", 0.5), (3, "tv", 1.0)]
    facts = Facts.from_rows([{"segment": "young", "age": 30.0 + number} for number, _, _ in rows], CATALOGUE.facts)
    names = [arm.id for arm in CATALOGUE.arms]
    expected.learn(
        featuriser.contexts(facts, Coded(codes=np.zeros(6, dtype=np.int64), values=("web",))),
        featuriser.arms(CATALOGUE.arms),
        np.array([names.index(arm) for _, arm, _ in rows]),
        np.array([reward for _, _, reward in rows]),
    )
    assert manifest.weights_sha256 == expected.weights().sha256()


def test_an_outcome_that_came_in_time_counts_however_late_the_learner_runs(database: Database) -> None:
    """And one that came late does not, though it is there when the learner reads."""
    shas = []
    for received_at in (1_059.0, 1_061.0):
        with database.write() as connection:
            for table in (*models.models.metadata.sorted_tables,):
                if table.name not in ("meta", "definitions"):
                    connection.execute(sa.delete(table))
        world.decide(database, [world.record(0, decided_at=1_000.0)])
        world.receive(database, received_at, world.outcome("a", "accept", decision="d00000"))
        manifest = run(world.learner(database, Clock(LATE_S), holder=str(received_at)))
        shas.append(manifest.weights_sha256)

    assert shas[0] != shas[1]
    assert manifest.examples_learned == 1  # the late one: learned, with reward 0


def test_a_decision_matures_just_after_its_time(database: Database) -> None:
    world.decide(database, [world.record(0, decided_at=1_000.0)])
    clock = Clock(1_000.0 + world.WAIT_S)
    learner = world.learner(database, clock)

    assert learner.step().examples == 0  # an outcome stamped at this very moment still counts
    clock.now_s = float(np.nextafter(clock.now_s, np.inf))
    assert learner.step().examples == 1


def test_only_normal_decisions_that_were_activated_in_time_are_learned(database: Database) -> None:
    deferred = {"activate_by": 1_030.0}
    world.decide(
        database,
        [
            world.record(0),
            world.record(1, kind="fallback"),
            world.record(2, kind="unreadable"),
            world.record(3, **deferred),
            world.record(4, activated_at=1_029.0, **deferred),
        ],
    )
    with database.write() as connection:  # a writer that forgot to mark it
        connection.execute(sa.insert(decisions), {**columns_of(world.record(5, kind="fallback")), "learned_in": None})
    manifest = run(world.learner(database, Clock(LATE_S)))

    assert manifest.examples_learned == 2
    assert world.marks(database) == {
        "d00000": manifest.version,
        "d00001": NEVER,
        "d00002": NEVER,
        "d00003": NEVER,
        "d00004": manifest.version,
        "d00005": None,
    }


def test_a_decision_waits_for_its_activation_even_when_its_outcomes_are_due(database: Database) -> None:
    """A row that matures before its activation is decided, which `join.matures_at` never makes."""
    world.decide(database, [world.record(0, decided_at=1_000.0, activate_by=5_000.0)])
    clock = Clock(2_000.0)
    learner = world.learner(database, clock)

    assert learner.step().examples == 0
    assert world.marks(database) == {"d00000": None}


def test_arms_have_the_features_of_their_decisions_catalogue(database: Database) -> None:
    """The same log under a catalogue that has since changed its features gives the same weights."""
    changed = msgspec.structs.replace(
        CATALOGUE,
        actions=tuple(msgspec.structs.replace(action, features={"premium": 1.0}) for action in CATALOGUE.actions),
    )
    world.play(database, 300, seed=4)
    manifest = run(world.learner(database, Clock(LATE_S), catalogue=changed))
    with database.write() as connection:
        world.put_catalogue(connection, changed)
    world.decide(database, [world.record(9_000, catalogue=changed, decided_at=2_000.0)])
    after = run(world.learner(database, Clock(LATE_S), catalogue=changed, holder="b"))

    weights = models.load_scorer(database, manifest.version)._slots
    more = models.load_scorer(database, after.version)._slots
    assert np.count_nonzero(more) > np.count_nonzero(weights)  # the feature's own weight and its crosses


def test_a_fact_that_was_declared_with_another_kind_is_unknown(database: Database) -> None:
    older = Catalogue(facts={"segment": "category", "age": "category"}, actions=CATALOGUE.actions)
    with database.write() as connection:
        world.put_catalogue(connection, older)
    world.decide(database, [world.record(0, catalogue=older, facts=b'{"segment":"young","age":"thirty"}')])

    report = world.learner(database, Clock(LATE_S)).step()

    assert (report.examples, report.set_aside) == (1, ())


# The weights depend on the log alone


@pytest.mark.parametrize("batch", [1, 7, 500])
@pytest.mark.parametrize("publish_every_s", [0.0, 1e9])
def test_batches_and_checkpoints_do_not_change_the_weights(
    database: Database, expected: Manifest, batch: int, publish_every_s: float
) -> None:
    world.play(database, 1_200, seed=3)
    learner = world.learner(database, Clock(LATE_S), batch=batch, publish_every_s=publish_every_s)
    for _ in range(20):
        learner.step()
    learner.finish()
    actual = run(world.learner(database, Clock(LATE_S), holder="b", batch=400))

    assert actual.weights_sha256 == expected.weights_sha256
    assert actual.examples_learned == 1_200


def test_the_order_in_which_decisions_and_outcomes_were_stored_does_not_change_the_weights(
    database: Database, tmp_path: Path
) -> None:
    with database.write():
        pass
    other = tmp_path / "reordered"
    other.mkdir()
    records = [world.record(i, arm=list(BEST.values())[i % 3], customer="c") for i in range(200)]
    received = [(1_001.0 + i, world.outcome(f"o{i}", "accept", decision=f"d{i:05d}")) for i in range(0, 50, 2)]
    received += [(1_020.0 + i, world.outcome(f"b{i}", "buy", customer="c")) for i in range(5)]
    world.decide(database, records)
    for at, outcome in received:
        world.receive(database, at, outcome)
    with world.opened(other) as second:
        for at, outcome in reversed(received):
            world.receive(second, at, outcome)
        for record in reversed(records):
            world.decide(second, [record])
        reordered = run(world.learner(second, Clock(LATE_S)))

    assert run(world.learner(database, Clock(LATE_S))).weights_sha256 == reordered.weights_sha256


# Crashes


class Crash(BaseException):
    """Stands for the end of the process."""


class CrashingLog(LearningStore):
    """A log whose process dies at the n-th commit, before or after it took effect."""

    def __init__(self, database: Database, *, clock: Clock, holder: str, when: str, at: int) -> None:
        super().__init__(database, clock=clock, holder=holder)
        self._when, self._left = when, at

    def commit(self, claim: Claim, checkpoint: Checkpoint) -> bool:
        self._left -= 1
        if self._left == 0 and self._when == "before":
            raise Crash
        committed = super().commit(claim, checkpoint)
        if self._left == 0:
            raise Crash
        return committed


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("at", [1, 2, 5])
def test_a_crash_around_a_commit_loses_nothing_and_learns_nothing_twice(
    database: Database, expected: Manifest, when: str, at: int
) -> None:
    world.play(database, 1_200, seed=3)
    crashing = CrashingLog(database, clock=Clock(LATE_S), holder="a", when=when, at=at)
    learner = world.learner(database, Clock(LATE_S), log=crashing, batch=200)
    with pytest.raises(Crash):
        run(learner)
    actual = run(world.learner(database, Clock(LATE_S + 100.0), holder="b", batch=300))

    assert (actual.weights_sha256, actual.examples_learned) == (expected.weights_sha256, 1_200)
    assert None not in world.marks(database).values()


class CutOffLog(LearningStore):
    """A log whose connection is cut after the first commit took effect, before its answer came."""

    cut = False

    def commit(self, claim: Claim, checkpoint: Checkpoint) -> bool:
        committed = super().commit(claim, checkpoint)
        if not self.cut:
            self.cut = True
            raise StoreError("the connection was cut")
        return committed


def test_a_commit_whose_answer_was_lost_is_not_made_again(database: Database, expected: Manifest) -> None:
    """The same learner goes on; only the store knows whether it has committed."""
    world.play(database, 1_200, seed=3)
    log = CutOffLog(database, clock=Clock(LATE_S), holder="a")
    learner = world.learner(database, Clock(LATE_S), log=log, batch=500)
    with pytest.raises(StoreError, match="cut"):
        learner.step()
    actual = run(learner)

    assert (actual.weights_sha256, actual.examples_learned) == (expected.weights_sha256, 1_200)


@pytest.mark.parametrize("step", ["publish", "mark", "prune"])
def test_a_failure_inside_the_commit_leaves_nothing_behind(
    database: Database, expected: Manifest, step: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.play(database, 1_200, seed=3)
    learner = world.learner(database, Clock(LATE_S), batch=400)

    def fail(*_: object, **__: object) -> int:
        raise StoreError("the disk is full")

    with monkeypatch.context() as patched:
        patched.setattr(*{"mark": (store_learning, "_mark")}.get(step, (models, step)), fail)
        with pytest.raises(StoreError):
            learner.step()
        assert world.newest(database) is None
        assert set(world.marks(database).values()) == {None}

    assert run(learner).weights_sha256 == expected.weights_sha256


def test_a_kill_at_any_moment_loses_nothing_and_learns_nothing_twice(
    database: Database, tmp_path: Path, expected: Manifest
) -> None:
    """A real learner in a process of its own is killed again and again while it learns."""
    world.play(database, 1_200, seed=3)
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    script = Path(__file__).with_name("learn_slowly.py")
    killed = 0
    for attempt, pause_s in enumerate([0.0, 0.017, 0.053, 0.131]):
        arguments = [sys.executable, str(script), str(tmp_path), str(attempt)]
        with subprocess.Popen(arguments, env=environment, stdout=subprocess.PIPE) as child:
            assert child.stdout is not None
            child.stdout.readline()  # it is about to learn
            time.sleep(pause_s)
            killed += child.poll() is None
            child.send_signal(signal.SIGKILL)
    unfinished = list(world.marks(database).values()).count(None)
    actual = run(world.learner(database, Clock(LATE_S + 1_000.0), holder="last", batch=300))

    assert killed == 4
    assert 0 < unfinished < 1_200  # some checkpoints were made, and none of the children finished
    assert (actual.weights_sha256, actual.examples_learned) == (expected.weights_sha256, 1_200)
    assert None not in world.marks(database).values()


def test_a_store_that_is_busy_for_a_moment_costs_nothing(
    database: Database, expected: Manifest, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is learned but not published stays in memory when only the claim had to wait."""
    world.play(database, 1_200, seed=3)
    learner = world.learner(database, Clock(LATE_S), batch=500, publish_every_s=1e9)
    learner._published_at = LATE_S  # nothing is due
    assert learner.step().examples == 500

    def busy(_: LearningStore) -> Claim:
        raise StoreBusyError("is locked by another process")

    with monkeypatch.context() as patched:
        patched.setattr(LearningStore, "claim", busy)
        with pytest.raises(StoreBusyError):
            learner.step()

    assert learner.step().examples == 500
    assert run(learner).weights_sha256 == expected.weights_sha256


# Two learners


def test_of_two_learners_only_the_one_with_the_lease_learns(database: Database) -> None:
    world.play(database, 100, seed=5)
    first, second = (world.learner(database, Clock(LATE_S), holder=holder) for holder in "ab")

    assert first.step().held
    assert not second.step().held
    first.finish()
    assert second.step().held


def test_a_learner_that_lost_its_lease_cannot_commit(database: Database, expected: Manifest) -> None:
    """It wakes from a long pause with decisions learned but not published; another has published them since."""
    world.play(database, 1_200, seed=3)
    sleeper = world.learner(database, Clock(LATE_S), holder="a", batch=300, publish_every_s=1e9)
    log = sleeper._log
    sleeper._published_at = LATE_S  # nothing is due
    assert sleeper.step().examples == 300
    claim = log.claim()
    assert claim is not None
    checkpoint = sleeper._checkpoint(sleeper._memory)  # type: ignore[arg-type]  # it has learned
    awake = run(world.learner(database, Clock(LATE_S + 100.0), holder="b", batch=500))

    assert checkpoint.model is not None
    assert not log.commit(claim, checkpoint)
    assert awake == world.newest(database).manifest  # type: ignore[union-attr]
    assert awake.weights_sha256 == expected.weights_sha256
    assert set(world.marks(database).values()) <= {row.manifest.version for row in listing(database)}


def test_a_learner_that_lost_its_lease_starts_again_from_the_newest_model(database: Database) -> None:
    world.play(database, 100, seed=5)
    clock, later = Clock(LATE_S), Clock(LATE_S + 100.0)
    first, second = world.learner(database, clock, holder="a"), world.learner(database, later, holder="b")
    first.step()
    world.play(database, 100, seed=6, first=100)
    assert second.step().examples == 100
    second.finish()
    world.play(database, 100, seed=7, first=200)
    clock.now_s = LATE_S + 200.0

    assert first.step().examples == 100
    assert world.newest(database).manifest.examples_learned == 300  # type: ignore[union-attr]


# Publication


def test_it_publishes_at_its_pace_and_what_is_left_at_the_end(database: Database) -> None:
    world.play(database, 1_000, seed=5)
    clock = Clock(LATE_S)
    learner = world.learner(database, clock, publish_every_s=2.0, batch=100)
    published = []
    for _ in range(6):
        published.append(learner.step().published is not None)
        clock.now_s += 1.0

    assert published == [True, False, True, False, True, False]
    assert learner.finish().published is not None
    assert world.newest(database).manifest.examples_learned == 600  # type: ignore[union-attr]


def test_the_report_says_how_far_behind_it_is(database: Database) -> None:
    world.decide(database, [world.record(0, decided_at=1_000.0), world.record(1, decided_at=1_010.0)])
    clock = Clock(1_067.0)
    learner = world.learner(database, clock)

    assert learner.step().lag_s == 7.0
    assert learner.step().lag_s == 0.0


def test_nothing_to_learn_publishes_nothing(database: Database) -> None:
    learner = world.learner(database, Clock(LATE_S))

    assert learner.step().published is None
    assert learner.finish().published is None
    assert world.newest(database) is None


def test_a_decision_that_is_stored_late_is_still_learned(database: Database) -> None:
    """Below decisions that have been learned already, where a plain cursor would pass it over."""
    world.decide(database, [world.record(10), world.record(20)])
    clock = Clock(LATE_S)
    learner = world.learner(database, clock)
    learner.step()
    world.decide(database, [world.record(5)])

    assert learner.step().examples == 1
    assert None not in world.marks(database).values()


def test_a_decision_that_is_stored_late_while_others_wait_to_be_published_is_still_learned(database: Database) -> None:
    world.decide(database, [world.record(10), world.record(20)])
    learner = world.learner(database, Clock(LATE_S), publish_every_s=1e9)
    learner._published_at = LATE_S
    learner.step()
    world.decide(database, [world.record(5)])
    learner.step()
    learner.finish()

    assert run(world.learner(database, Clock(LATE_S), holder="b")).examples_learned == 3


# Poison


def poisons() -> Sequence[object]:
    return [
        pytest.param({"facts": b'{"age":"old"}'}, id="a fact of another kind"),
        pytest.param({"facts": b'{"age":30'}, id="cut JSON"),
        pytest.param({"facts": b"[1,2]"}, id="no object"),
        pytest.param({"arm": "gone"}, id="an arm that its catalogue does not have"),
    ]


@pytest.mark.parametrize("damage", poisons())
def test_a_poisoned_row_is_set_aside_and_leaves_no_trace(
    database: Database, expected: Manifest, damage: dict[str, object]
) -> None:
    world.play(database, 1_200, seed=3)
    world.decide(database, [world.record(3_000 + i, decided_at=1_003.0 + i, **damage) for i in range(2)])
    learner = world.learner(database, Clock(LATE_S), batch=2_000)

    report = learner.step()

    assert report.set_aside == ("d03000", "d03001")
    marks = world.marks(database)
    assert (marks.pop("d03000"), marks.pop("d03001")) == (QUARANTINED, QUARANTINED)
    assert set(marks.values()) == {report.published}
    manifest = world.newest(database).manifest  # type: ignore[union-attr]
    assert (manifest.weights_sha256, manifest.examples_learned) == (expected.weights_sha256, 1_200)


def test_a_stored_amount_that_is_not_finite_sets_its_decision_aside(database: Database) -> None:
    world.play(database, 20, seed=3)
    world.receive(database, 1_010.0, world.outcome("inf", "accept", decision="d00007"))
    with database.write() as connection:
        is_it = outcomes_table.c.id == "inf"
        connection.execute(sa.update(outcomes_table).where(is_it).values(amount=float("inf")))

    report = world.learner(database, Clock(LATE_S)).step()

    assert report.set_aside == ("d00007",)
    assert report.examples == 19


def test_weights_that_turn_non_finite_are_taken_back(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    """The regressor is told to poison its own weights at one reward, as a fault in VW would."""
    world.play(database, 100, seed=3)
    world.decide(database, [world.record(3_000, decided_at=1_000.505, facts=b'{"segment":"evil"}')])
    learn = VowpalRegressor.learn

    def poisoned(self: VowpalRegressor, contexts: object, arms: object, chosen: object, rewards: object) -> None:
        learn(self, contexts, arms, chosen, rewards)  # type: ignore[arg-type]
        if any("evil" in contexts.names[term] for term in contexts.terms.tolist()):  # type: ignore[attr-defined]
            self._slots()[7] = np.nan
            self._check_weights("has learned")

    monkeypatch.setattr(VowpalRegressor, "learn", poisoned)
    report = world.learner(database, Clock(LATE_S)).step()
    monkeypatch.undo()

    assert report.set_aside == ("d03000",)
    assert report.published is not None
    models.load_scorer(database, report.published)
    assert world.newest(database).manifest.examples_learned == 100  # type: ignore[union-attr]


def test_when_everything_fails_nothing_is_set_aside(database: Database) -> None:
    world.decide(database, [world.record(i, arm="gone") for i in range(100)])
    learner = world.learner(database, Clock(LATE_S))

    with pytest.raises(ModelError, match="logged arm is not in its catalogue"):
        learner.step()
    assert set(world.marks(database).values()) == {None}


def test_a_missing_catalogue_stops_the_learner_and_sets_nothing_aside(database: Database) -> None:
    world.decide(database, [world.record(0, catalogue_version="unheard-of")])
    learner = world.learner(database, Clock(LATE_S))

    with pytest.raises(StoreError, match="unheard-of"):
        learner.step()
    assert set(world.marks(database).values()) == {None}


def test_decisions_whose_facts_were_erased_are_never_learned(database: Database) -> None:
    world.decide(database, [world.record(i) for i in range(3)])
    with database.write() as connection:
        connection.execute(sa.delete(decision_facts).where(decision_facts.c.decision == "d00001"))
    manifest = run(world.learner(database, Clock(LATE_S)))

    assert world.marks(database) == {"d00000": manifest.version, "d00001": NEVER, "d00002": manifest.version}
    assert manifest.examples_learned == 2


# New lineages


def listing(database: Database) -> list[models.ModelRow]:
    with database.read() as connection:
        return models.listing(connection)


CHANGED = {
    "rewards": {"rewards": msgspec.structs.replace(REWARDS, default=0.25)},
    "features": {"policy": Policy(features=FeatureSettings(customer=("segment",), bits=14))},
    "options": {"policy": msgspec.structs.replace(POLICY, learning=Learning(options={"learning_rate": 0.1}))},
}


@pytest.mark.parametrize("change", CHANGED)
def test_changed_settings_learn_anew_from_the_whole_log(database: Database, tmp_path: Path, change: str) -> None:
    other = tmp_path / "other"
    other.mkdir()
    expected = in_one_go(other, **CHANGED[change])
    world.play(database, 600, seed=3)
    before = run(world.learner(database, Clock(LATE_S)))
    world.play(database, 1_200, seed=3, skip=600)
    learner = world.learner(database, Clock(LATE_S), batch=250, **CHANGED[change])  # type: ignore[arg-type]

    reports = [learner.step() for _ in range(3)]

    assert [r.to_relearn for r in reports] == [350, 100, 0]
    assert [r.published is not None for r in reports] == [False, False, True]  # not before it has caught up
    first = world.newest(database).manifest  # type: ignore[union-attr]
    assert (first.parent, first.examples_learned) == ("", 600)
    assert first.weights_sha256 != before.weights_sha256
    after = run(learner)
    assert (after.weights_sha256, after.examples_learned) == (expected.weights_sha256, 1_200)


def test_a_crash_while_learning_anew_changes_nothing(database: Database) -> None:
    world.play(database, 600, seed=3)
    before = run(world.learner(database, Clock(LATE_S)))
    world.learner(database, Clock(LATE_S), batch=250, rewards=msgspec.structs.replace(REWARDS, default=0.25)).step()
    world.play(database, 100, seed=4, first=700)
    after = run(world.learner(database, Clock(LATE_S + 100.0), holder="b"))

    assert after.parent == before.version
    assert after.examples_learned == 700


@pytest.mark.parametrize("damage", [{"model": None}, {"model": b"no model at all"}])
def test_a_newest_model_without_usable_bytes_is_learned_anew(
    database: Database, expected: Manifest, damage: dict[str, bytes | None]
) -> None:
    world.play(database, 1_200, seed=3)
    run(world.learner(database, Clock(LATE_S)))
    with database.write() as connection:
        connection.execute(sa.update(models.models).values(**damage))
    actual = run(world.learner(database, Clock(LATE_S), holder="b"))

    assert (actual.weights_sha256, actual.examples_learned) == (expected.weights_sha256, 1_200)
    assert actual.parent == ""


def test_wrong_settings_are_refused_at_once(database: Database) -> None:
    wrong = msgspec.structs.replace(POLICY, learning=Learning(options={"cb_type": "dr"}))

    with pytest.raises(SettingsError, match="cb_type"):
        world.learner(database, Clock(), policy=wrong)


def test_an_action_that_is_gone_from_the_catalogue_is_still_learned(database: Database) -> None:
    world.play(database, 300, seed=3)
    shrunk = Catalogue(facts=CATALOGUE.facts, actions=(Action(id="data", kind="offer", group="offers"),))

    assert world.learner(database, Clock(LATE_S), catalogue=shrunk).step().examples == 300
