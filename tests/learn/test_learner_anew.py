"""Other settings, or a newest model that is no use, begin a new lineage from the whole log."""

from pathlib import Path

import msgspec
import pytest
import sqlalchemy as sa

from bandit_nba.catalogue import Action, Catalogue
from bandit_nba.decide.policy import FeatureSettings, Learning, Policy
from bandit_nba.errors import SettingsError
from bandit_nba.learn.manifest import Manifest
from bandit_nba.store.database import Database
from bandit_nba.store.registry import models
from tests.learn import tiny_world as world
from tests.learn.learning_to_the_end import LATE_S, in_one_go, run
from tests.learn.tiny_world import CATALOGUE, POLICY, REWARDS, Clock

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
