"""Running a sweep: finished runs are skipped, each new one is kept as soon as it is there, whatever happens next.

Runs depend on their cell alone, so a sweep that was killed and resumed ends with the same result file, byte for byte,
as one that was not, with any number of workers. The runner alone writes; workers on other machines send bytes.
"""

import csv
import fcntl
import itertools
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from bandit_nba.errors import NbaError, RefusedError
from experiments.runner.results import encoded, merge, put, run_path
from experiments.runner.sweep import Cell, named_function


class Done(NamedTuple):
    """A finished run: its file's bytes, and the seconds that it took."""

    cell: Cell
    data: bytes
    seconds: float


def execute(
    cells: Sequence[Cell],
    *,
    out: Path,
    workers: int = 1,
    address: str = "",
    on_start: Callable[[int, int], None] = lambda _done, _all: None,
    on_run: Callable[[Cell], None] = lambda _: None,
) -> Path:
    """Run what is not finished yet, then merge everything; returns the result file.

    workers: processes; 1 runs here and needs no Ray. address: of a Ray cluster, "" for one of its own on this machine.
    on_start: how many runs are finished already, of how many.

    Raises
    ------
    RefusedError
        If another runner is at work in `out`.
    """
    out.mkdir(parents=True, exist_ok=True)
    with _alone(out):
        for left in (out / "runs").glob("*.part"):
            left.unlink()
        open_cells = [cell for cell in cells if not run_path(out, cell).exists()]
        on_start(len(cells) - len(open_cells), len(cells))
        groups = [list(group) for _, group in itertools.groupby(open_cells, key=lambda c: (c.scenario, c.seed))]
        finished = _here(groups) if workers == 1 and not address else _on_ray(groups, workers, address)
        for done in finished:
            put(run_path(out, done.cell), done.data)
            _note_time(out, done)
            on_run(done.cell)
        return merge(out, cells)


def play(cell: Cell) -> Done:
    """One run; an error's `where` begins with the run."""
    started = time.perf_counter()
    try:
        data = encoded(named_function(cell.play)(cell))
    except NbaError as error:
        run = f"{cell.scenario} / {cell.policy} / seed {cell.seed}"
        error.where = f"{run}: {error.where}" if error.where else run
        raise
    return Done(cell, data, time.perf_counter() - started)


def _here(groups: Sequence[Sequence[Cell]]) -> Iterator[Done]:
    from threadpoolctl import threadpool_limits

    with threadpool_limits(limits=1):
        for group in groups:
            yield from map(play, group)


def _on_ray(groups: Sequence[Sequence[Cell]], workers: int, address: str) -> Iterator[Done]:
    """The groups on a Ray cluster, `workers` at a time; runs of one scenario and seed share what they are played on."""
    if not groups:
        return
    import ray

    threads = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
    options: dict[str, Any] = {"runtime_env": {"env_vars": threads}, "include_dashboard": None if address else False}
    if address:
        options |= {"address": address}
    else:
        options |= {"num_cpus": workers}
    options = {name: value for name, value in options.items() if value is not None}
    ray.init(configure_logging=False, log_to_driver=False, ignore_reinit_error=True, **options)
    try:
        task = ray.remote(num_cpus=1, max_retries=2)(_play_group)
        waiting = list(reversed(groups))
        flying: list[Any] = []
        while waiting or flying:
            while waiting and len(flying) < workers:
                flying.append(task.remote(waiting.pop()))
            ready, flying = ray.wait(flying, num_returns=1)
            yield from ray.get(ready[0])
    finally:
        ray.shutdown()


def _play_group(group: Sequence[Cell]) -> list[Done]:
    return list(map(play, group))


@contextmanager
def _alone(out: Path) -> Iterator[None]:
    with (out / "lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise RefusedError("another runner is at work there", where=str(out)) from None
        yield


def _note_time(out: Path, done: Done) -> None:
    with (out / "times.csv").open("a", newline="") as file:
        ended = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
        csv.writer(file).writerow([done.cell.id, *done.cell.key, f"{done.seconds:.3f}", ended])
