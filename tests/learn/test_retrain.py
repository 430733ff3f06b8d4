"""Bulk retraining gives the very weights of the learner, whichever way it goes and however often it is killed."""

import itertools
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest
import sqlalchemy as sa

from bandit_nba.decide.policy import Exploration, FeatureSettings, Learning, Number, Policy
from bandit_nba.errors import ModelError, RefusedError
from bandit_nba.learn.definition import RewardDefinition
from bandit_nba.learn.manifest import Manifest
from bandit_nba.learn.retrain import By
from bandit_nba.store.database import Database
from bandit_nba.store.learner.training import keep
from bandit_nba.store.registry import models, serving
from bandit_nba.store.tables import decisions
from tests.learn import tiny_world as world
from tests.learn.tiny_training import CHUNK, LATE_S, training
from tests.learn.tiny_world import POLICY, REWARDS, Clock

SIZE = 700


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    with world.opened(tmp_path) as database:
        world.play(database, SIZE, seed=3)
        yield database


def learned(database: Database, policy: Policy = POLICY, rewards: RewardDefinition = REWARDS) -> Manifest:
    """What the learner makes of the log, step by step."""
    learner = world.learner(database, Clock(LATE_S), policy=policy, rewards=rewards, batch=150)
    while learner.step().examples:
        pass
    learner.finish()
    newest = world.newest(database)
    assert newest is not None
    return newest.manifest


OTHERS = {
    "as it is": (POLICY, REWARDS),
    "other rewards": (POLICY, msgspec.structs.replace(REWARDS, default=0.25)),
    "other features": (
        Policy(features=FeatureSettings(customer=("segment", "age"), bits=16, numbers={"age": Number(scale=7.0)})),
        REWARDS,
    ),
    "other options": (msgspec.structs.replace(POLICY, learning=Learning(options={"coin": True})), REWARDS),
}


@pytest.mark.parametrize("case", OTHERS)
@pytest.mark.parametrize("by", ["learner", "driver"])
def test_it_learns_what_the_learner_would(database: Database, tmp_path: Path, case: str, by: By) -> None:
    """All 2^b weights, bit for bit: by VW in this process and by VW's driver, over checkpoints of 200."""
    policy, rewards = OTHERS[case]
    made = training(tmp_path / "run", database, policy=policy, rewards=rewards, by=by)()
    expected = learned(database, policy, rewards)

    actual = made.model.manifest
    assert (actual.weights_sha256, actual.examples_learned) == (expected.weights_sha256, SIZE)
    assert (actual.learned_from, actual.learned_until) == (expected.learned_from, expected.learned_until)
    assert actual.arm_examples == expected.arm_examples
    assert (actual.reward_version, actual.feature_version) == (expected.reward_version, expected.feature_version)


class Killed(BaseException):
    """The process ends here."""


@pytest.mark.parametrize("by", ["learner", "driver"])
@pytest.mark.parametrize("after", [1, 3, 4])
def test_a_killed_run_goes_on_and_ends_the_same(database: Database, tmp_path: Path, by: By, after: int) -> None:
    """Killed after the n-th of four chunks is learned, begun again in a new object: same manifest, fewer rows read."""
    whole = training(tmp_path / "whole", database, by=by)().model.manifest
    seen = itertools.count(1)

    def kill(_count: int) -> None:
        if next(seen) == after:
            raise Killed

    with pytest.raises(Killed):
        training(tmp_path / "run", database, by=by)(kill)
    again: list[int] = []
    made = training(tmp_path / "run", database, by=by)(again.append)

    assert made.resumed == CHUNK * (after - 1)
    assert sum(again) == SIZE - made.resumed
    actual = msgspec.structs.asdict(made.model.manifest)
    expected = msgspec.structs.asdict(whole)
    assert {name for name in actual if actual[name] != expected[name]} <= {"version", "model_sha256", "model_length"}


def test_what_matures_while_it_rests_is_left_for_the_next(database: Database, tmp_path: Path) -> None:
    """Ids are frozen with the first start: more of the log changes nothing of a run that goes on."""
    whole = training(tmp_path / "whole", database)().model.manifest

    def kill(_count: int) -> None:
        raise Killed

    with pytest.raises(Killed):
        training(tmp_path / "run", database)(kill)
    world.play(database, SIZE + 100, seed=3, skip=SIZE)

    assert training(tmp_path / "run", database)().model.manifest.weights_sha256 == whole.weights_sha256


def test_a_damaged_checkpoint_is_refused(database: Database, tmp_path: Path) -> None:
    def kill(_count: int) -> None:
        if (tmp_path / "run" / "checkpoint.bin").exists():
            raise Killed

    with pytest.raises(Killed):
        training(tmp_path / "run", database)(kill)
    path = tmp_path / "run" / "checkpoint.bin"
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)

    with pytest.raises(ModelError, match="damaged"):
        training(tmp_path / "run", database)


@pytest.mark.parametrize("by", ["learner", "driver"])
def test_rows_that_cannot_be_learned_are_left_out_and_named(database: Database, tmp_path: Path, by: By) -> None:
    with database.write() as connection:
        connection.execute(sa.update(decisions).where(decisions.c.id == "d00101").values(facts=b"{"))
    made = training(tmp_path / "run", database, by=by)()

    assert [(one.decision, one.reason) for one in made.failed] == [("d00101", "InputError")]
    assert made.model.manifest.weights_sha256 == learned(database).weights_sha256
    assert made.model.manifest.examples_learned == SIZE - 1


def test_an_ensemble_is_for_the_learner_alone(database: Database, tmp_path: Path) -> None:
    policy = msgspec.structs.replace(POLICY, exploration=Exploration(kind="thompson", members=3))
    made = training(tmp_path / "run", database, policy=policy)()

    assert made.model.sparse == world_newest_sparse(database, policy)
    with pytest.raises(RefusedError, match="ensemble"):
        training(tmp_path / "other", database, policy=policy, by="driver")


def world_newest_sparse(database: Database, policy: Policy) -> bytes:
    learned(database, policy)
    newest = world.newest(database)
    assert newest is not None
    return newest.sparse


def test_nothing_to_learn_from_is_refused(tmp_path: Path) -> None:
    with world.opened(tmp_path) as database, pytest.raises(RefusedError, match="nothing to learn"):
        training(tmp_path / "run", database)()


def test_a_trained_model_neither_serves_nor_is_gone_on_from(database: Database, tmp_path: Path) -> None:
    before = learned(database)
    made = training(tmp_path / "run", database, rewards=msgspec.structs.replace(REWARDS, default=0.25))()
    keep(database, made.model, named={}, now_s=LATE_S, who="anna", why="")

    with database.read() as connection:
        assert models.newest(connection) == before.version
        assert serving.serving(connection) == before.version
        assert made.model.manifest.version in models.versions(connection)
    world.play(database, SIZE + 50, seed=3, skip=SIZE)
    after = world.learner(database, Clock(LATE_S + 100.0), holder="b")
    after.step()
    after.finish()
    newest = world.newest(database)
    assert newest is not None
    assert (newest.manifest.parent, newest.manifest.examples_learned) == (before.version, SIZE + 50)
