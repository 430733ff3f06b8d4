"""The learner is killed, cut off, locked out or overtaken by another: each decision is still learned exactly once."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from bandit_nba.errors import StoreBusyError, StoreError
from bandit_nba.learn.log import Checkpoint, Claim
from bandit_nba.learn.manifest import Manifest
from bandit_nba.store.database import Database
from bandit_nba.store.learner import learning as store_learning
from bandit_nba.store.learner.learning import LearningStore
from bandit_nba.store.registry import models
from tests.learn import tiny_world as world
from tests.learn.learning_to_the_end import LATE_S, listing, run
from tests.learn.tiny_world import Clock


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
