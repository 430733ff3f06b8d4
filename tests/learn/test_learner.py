"""The learner on a real store: what it learns, that the weights depend on the log alone, and when it publishes."""

from pathlib import Path

import msgspec
import numpy as np
import pytest
import sqlalchemy as sa

from bandit_nba.catalogue import Catalogue
from bandit_nba.decide.columns import Coded, Facts
from bandit_nba.decide.features.featuriser import Featuriser
from bandit_nba.decide.record import DecisionRecord
from bandit_nba.learn.log import Checkpoint, Claim
from bandit_nba.learn.manifest import Manifest
from bandit_nba.learn.vowpal import VowpalRegressor
from bandit_nba.store.database import Database
from bandit_nba.store.learner.learning import LearningStore
from bandit_nba.store.registry import models
from bandit_nba.store.tables import NEVER, decisions
from tests.learn import tiny_world as world
from tests.learn.learning_to_the_end import LATE_S, run
from tests.learn.tiny_world import BEST, CATALOGUE, POLICY, REWARDS, SEGMENTS, Clock


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


@pytest.mark.parametrize(
    ("every_s", "took_s", "enough", "published"),
    [
        (1.4, 0.0, 200, [1, 0, 1, 0, 1, 0]),  # 200 are there after .8 s, a quarter of 1.4 s is over
        (1.4, 0.1, 200, [1, 0, 0, 1, 0, 0]),  # but not ten times as long as the last one took
        (4.0, 0.0, 200, [1, 0, 0, 1, 0, 0]),  # nor a quarter of 4 s
        (1.4, 0.0, 1_000, [1, 0, 0, 0, 1, 0]),  # when it is time to
    ],
)
def test_it_publishes_early_what_its_marks_would_hold_up_others_for(
    database: Database,
    monkeypatch: pytest.MonkeyPatch,
    every_s: float,
    took_s: float,
    enough: int,
    published: list[int],
) -> None:
    """100 decisions each .4 s: enough of them are published early, but not too often."""
    world.play(database, 1_000, seed=5)
    clock = Clock(LATE_S)
    learner = world.learner(database, clock, publish_every_s=every_s, batch=100, enough_pending=enough)
    commit = LearningStore.commit

    def slow(self: LearningStore, claim: Claim, checkpoint: Checkpoint) -> bool:
        clock.now_s += took_s
        return commit(self, claim, checkpoint)

    monkeypatch.setattr(LearningStore, "commit", slow)
    found = []
    for _ in range(6):
        clock.now_s += 0.4
        found.append(learner.step().published is not None)

    assert found == published


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
