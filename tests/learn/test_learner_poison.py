"""Rows that cannot be learned are set aside and leave no trace in the weights."""

from collections.abc import Sequence

import numpy as np
import pytest
import sqlalchemy as sa

from bandit_nba.errors import ModelError, StoreError
from bandit_nba.learn.manifest import Manifest
from bandit_nba.learn.vowpal import VowpalRegressor
from bandit_nba.store.database import Database
from bandit_nba.store.registry import models
from bandit_nba.store.tables import NEVER, QUARANTINED, decisions
from bandit_nba.store.tables import outcomes as outcomes_table
from tests.learn import tiny_world as world
from tests.learn.learning_to_the_end import LATE_S, run
from tests.learn.tiny_world import Clock


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
        connection.execute(sa.update(decisions).where(decisions.c.id == "d00001").values(facts=None))
    manifest = run(world.learner(database, Clock(LATE_S)))

    assert world.marks(database) == {"d00000": manifest.version, "d00001": NEVER, "d00002": manifest.version}
    assert manifest.examples_learned == 2
