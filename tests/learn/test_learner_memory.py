"""Learning anew holds a batch in memory, not the log."""

import tracemalloc
from pathlib import Path

import msgspec

from bandit_nba.store.learner.backlog import Backlog
from tests.learn import tiny_world as world
from tests.learn.tiny_world import REWARDS, Clock

LATE_S = 10_000.0
MEGABYTE = 1 << 20


def peak_of_learning_anew(folder: Path, size: int) -> int:
    """Bytes beyond what was held before, at the most, while a new lineage learns `size` decisions."""
    folder.mkdir()
    with world.opened(folder) as database:
        world.play(database, size, seed=3)
        first = world.learner(database, Clock(LATE_S), batch=2_000)
        while first.step().examples:
            pass
        first.finish()
        changed = world.learner(database, Clock(LATE_S), rewards=msgspec.structs.replace(REWARDS, default=0.25))
        tracemalloc.start()
        try:
            while changed.step().to_relearn:
                pass
            return tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()


def test_memory_does_not_grow_with_what_is_learned_anew(tmp_path: Path) -> None:
    """Five times the decisions, the same memory. Their 16,000 further ids alone would take 1 MB as a list."""
    warm_up = peak_of_learning_anew(tmp_path / "warm", 1_000)
    few = peak_of_learning_anew(tmp_path / "few", 4_000)
    many = peak_of_learning_anew(tmp_path / "many", 20_000)

    assert warm_up > 0
    assert many - few < 0.3 * MEGABYTE


def test_a_backlog_gives_back_whatever_an_id_may_hold() -> None:
    ids = ["plain", 'quote"', "line\nbreak", "snow \u2603", "", "\\"]
    backlog = Backlog(iter([ids[:4], ids[4:]]))

    assert len(backlog) == 6
    assert backlog.take(2) == ids[:2]
    backlog.skip(1)
    assert (backlog.take(10), backlog.take(10), len(backlog)) == (ids[3:], [], 0)
