"""A sweep that is killed at any moment and resumed ends with the same bytes; so does one with other workers."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from bandit_nba.errors import RefusedError
from experiments.runner.execute import execute
from experiments.runner.results import read, run_path
from experiments.runner.sweep import Cell, cells, sweep_of

COMMAND = [sys.executable, "-m", "bandit_nba.cli", "experiment", "run", "bakeoff", "--profile", "quick"]


def runs() -> tuple[Cell, ...]:
    return cells(sweep_of("bakeoff"), profile="quick")


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    return execute(runs(), out=tmp_path_factory.mktemp("whole")).read_bytes()


def test_killing_at_random_moments_and_resuming_gives_the_same_bytes(whole: bytes, tmp_path: Path) -> None:
    """SIGKILL after some finished runs, thrice at moments drawn by a generator (seed 6), then to the end.

    Where the machine was so busy that a sweep was through before it was killed, another one is begun.
    """
    rng = np.random.default_rng(6)
    for attempt in range(5):
        out = tmp_path / f"killed-{attempt}"
        finished = kill_thrice(out, rng)
        if finished < len(runs()):
            break
    assert 3 <= finished < len(runs())

    assert execute(runs(), out=out).read_bytes() == whole


def kill_thrice(out: Path, rng: np.random.Generator) -> int:
    """How many runs were finished by then."""
    finished = 0
    for _ in range(3):
        process = subprocess.Popen([*COMMAND, "--out", str(out)], stderr=subprocess.DEVNULL, start_new_session=True)
        wanted = finished + int(rng.integers(1, 4))
        while len(list((out / "runs").glob("*.parquet"))) < wanted and process.poll() is None:
            time.sleep(0.01)
        time.sleep(float(rng.uniform(0.0, 0.2)))
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        finished = len(list((out / "runs").glob("*.parquet")))
    return finished


def test_a_half_written_file_is_thrown_away(whole: bytes, tmp_path: Path) -> None:
    first = run_path(tmp_path, runs()[0])
    first.parent.mkdir()
    left = first.with_name(f"{first.name}.123.part")
    left.write_bytes(b"half")

    assert execute(runs(), out=tmp_path).read_bytes() == whole
    assert not left.exists()


def test_finished_runs_are_not_run_again(whole: bytes, tmp_path: Path) -> None:
    seen: list[Cell] = []
    execute(runs(), out=tmp_path, on_run=seen.append)
    again: list[Cell] = []

    assert execute(runs(), out=tmp_path, on_run=again.append).read_bytes() == whole
    assert len(seen) == len(runs())
    assert again == []


def test_two_runners_do_not_share_a_folder(tmp_path: Path) -> None:
    def refused(_: Cell) -> None:
        with pytest.raises(RefusedError, match="another runner"):
            execute(runs(), out=tmp_path)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        execute(runs(), out=tmp_path, on_run=refused)


def test_results_hold_every_run_and_no_time(whole: bytes, tmp_path: Path) -> None:
    (tmp_path / "result.parquet").write_bytes(whole)
    frame = read(tmp_path)

    assert set(frame.columns) == {"scenario", "policy", "seed", "metric", "label", "x", "value"}
    assert len(frame.groupby(["scenario", "policy", "seed"])) == len(runs())
    assert np.isfinite(frame["value"]).all()


@pytest.mark.ray
def test_ray_workers_give_the_same_bytes(whole: bytes, tmp_path: Path) -> None:
    assert execute(runs(), out=tmp_path, workers=2).read_bytes() == whole


@pytest.mark.slow
@pytest.mark.ray
def test_a_worker_that_is_killed_at_a_random_moment_changes_nothing(whole: bytes, tmp_path: Path) -> None:
    """SIGKILL of two workers of this cluster, at moments drawn by a generator (seed 9): their runs are tried again."""
    rng = np.random.default_rng(9)
    mine = {"NBA_TEST_CLUSTER": str(tmp_path)}
    process = subprocess.Popen(
        [*COMMAND, "--workers", "2", "--out", str(tmp_path)], stderr=subprocess.DEVNULL, env={**os.environ, **mine}
    )
    killed = 0
    while process.poll() is None and killed < 2:
        time.sleep(float(rng.uniform(0.05, 0.4)))
        workers = _workers(mine)
        if workers:
            os.kill(int(rng.choice(workers)), signal.SIGKILL)
            killed += 1

    assert process.wait() == 0
    assert killed == 2
    assert (tmp_path / "result.parquet").read_bytes() == whole


def _workers(mark: dict[str, str]) -> list[int]:
    """Processes that play runs, of the cluster whose environment has the mark."""
    (name, value), found = next(iter(mark.items())), []
    for place in Path("/proc").glob("[0-9]*"):
        try:
            plays = b"ray::_play_group" in (place / "cmdline").read_bytes()
            if plays and f"{name}={value}".encode() in (place / "environ").read_bytes():
                found.append(int(place.name))
        except OSError:
            continue  # it has just ended
    return found
