"""What goes into the registry, and from which model a learner may go on."""

from pathlib import Path

import numpy as np

from bandit_nba.learn.manifest import StoredModel
from bandit_nba.learn.registry import Learned
from bandit_nba.store.registry import models
from tests.learn import tiny_world as world
from tests.learn.tiny_world import Clock


def test_how_much_was_learned_adds_up() -> None:
    learned = Learned().more(np.array([5.0, 3.0])).more(np.array([])).more(np.array([4.0, 9.0, 6.0]))

    assert learned == Learned(examples=5, since=3.0, until=9.0)


def test_a_model_is_sound_as_read_back_from_the_store(tmp_path: Path) -> None:
    with world.opened(tmp_path) as database:
        world.play(database, 50, seed=1)
        report = world.learner(database, Clock(10_000.0)).step()
        assert report.published is not None

        assert models.load_scorer(database, report.published).version == report.published


def test_a_learner_that_sees_little_asks_the_last_models_probes_again(tmp_path: Path) -> None:
    """One decision a checkpoint would leave one probe; the earlier ones stay as long as they add a pair of terms."""
    with world.opened(tmp_path) as database:
        world.play(database, 300, seed=1)
        world.learner(database, Clock(10_000.0), batch=1_000).finish()
        learner = world.learner(database, Clock(10_000.0), batch=1_000)
        learner.step()
        many = world.newest(database)
        world.play(database, 1, seed=2, first=300)
        learner.step()
        after_one = world.newest(database)
        learner.finish()
        world.play(database, 1, seed=3, first=301)
        world.learner(database, Clock(10_000.0), holder="b", batch=1_000).step()
        restarted = world.newest(database)

    assert many is not None
    assert after_one is not None
    assert restarted is not None
    assert after_one.manifest.examples_learned == 301
    assert restarted.manifest.examples_learned == 302
    assert len(_covered(many)) == len(_covered(after_one)) == len(_covered(restarted))


def _covered(stored: StoredModel) -> set[tuple[int, int]]:
    """The pairs of a context term and an arm's term that probes use."""
    return {(c.hash, a.hash) for probe in stored.manifest.probes for c in probe.context for a in probe.arm}
