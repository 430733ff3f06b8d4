"""A batch made ready passes through bytes unchanged, and is refused as a whole where one row is damaged."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest
import sqlalchemy as sa

from bandit_nba.decide.scoring import FeatureRows
from bandit_nba.learn.examples import ExampleMaker
from bandit_nba.learn.prepared import from_bytes, prepared, to_bytes
from bandit_nba.store.learner.learning import LearningStore
from bandit_nba.store.tables import decisions
from tests.learn import tiny_world as world
from tests.learn.tiny_world import CATALOGUE, POLICY, REWARDS, Clock

IDS = [f"d{number:05d}" for number in range(37)]


def _same(left: FeatureRows, right: FeatureRows) -> None:
    for field in dataclasses.fields(FeatureRows):
        ours, theirs = getattr(left, field.name), getattr(right, field.name)
        if isinstance(ours, np.ndarray):
            assert ours.dtype == theirs.dtype
            np.testing.assert_array_equal(ours, theirs)
        else:
            assert ours == theirs


def test_bytes_give_it_back(tmp_path: Path) -> None:
    """Every array with its type, every name, 37 rows: no length is a multiple of eight by chance."""
    with world.opened(tmp_path) as database:
        world.play(database, 60, seed=5)
        log = LearningStore(database, clock=Clock(), holder="a")
        maker = ExampleMaker(POLICY.features, CATALOGUE.facts, REWARDS, catalogue=log.catalogue)
        made = prepared(maker, log.batch(IDS))
    assert made is not None
    back = from_bytes(to_bytes(made))

    assert len(back.examples) == len(made.examples) == 1
    _same(made.examples[0].contexts, back.examples[0].contexts)
    _same(made.examples[0].arms, back.examples[0].arms)
    np.testing.assert_array_equal(back.examples[0].chosen, made.examples[0].chosen)
    np.testing.assert_array_equal(back.examples[0].reward, made.examples[0].reward)
    np.testing.assert_array_equal(back.decided_at, made.decided_at)
    assert list(back.examples[0].ids) == IDS
    assert list(back.arms) == list(made.arms)


@pytest.mark.parametrize(("facts", "left"), [(b"{", None), (None, 36)])
def test_a_damaged_row_is_not_made_ready_and_an_erased_one_is_left_out(
    tmp_path: Path, facts: bytes | None, left: int | None
) -> None:
    with world.opened(tmp_path) as database:
        world.play(database, 60, seed=5)
        with database.write() as connection:
            connection.execute(sa.update(decisions).where(decisions.c.id == IDS[20]).values(facts=facts))
        log = LearningStore(database, clock=Clock(), holder="a")
        maker = ExampleMaker(POLICY.features, CATALOGUE.facts, REWARDS, catalogue=log.catalogue)
        made = prepared(maker, log.batch(IDS))

    assert (None if made is None else len(made.decided_at)) == left
