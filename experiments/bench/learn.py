"""The learner against VW's own command-line driver, which comes with vowpal-wabbit-next.

Both get the same 100,000 events with 10 arms and end with the same weights (checked): the driver as the text that VW's
users write, which it parses; the learner as rows of the log (JSON facts, outcomes apart), which it joins and turns into
features. The driver runs in its default mode (one thread parses, one learns) and with `onethread`; bulk retraining as
`nba train` does it, with a helper process whose start is on the clock.

Sides take turns within each round, and each ratio is the median of the rounds' ratios. The headline is by the wall's
clock, which says little on a busy machine: beside it stands the same by processor time, of all threads and processes,
and the load average before each round.
"""

import os
import resource
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from bandit_nba.learn.log import LoggedBatch
from bandit_nba.learn.vowpal import VowpalRegressor
from bandit_nba.store.database import Database, sqlite_url
from experiments.bench import learn_ways
from experiments.bench.learn_events import CATALOGUE, POLICY, parts, store, write_text
from experiments.bench.learn_memory import peaks

EVENTS, MEMORY_SIZES = 100_000, (100_000, 1_000_000)
QUICK = 10_000
ROUNDS = 5
_TOLERANCE = 1e-4
"""Of weights about 0.1 in size: VW's text parser does not round numbers correctly, and single precision adds up."""
_CLOCKS = {
    "wall": "ratio, onethread_ratio, bulk_ratio, bulk_alone_ratio, store_to_checkpoint_per_s, events_per_s",
    "processor time of all threads and processes": "cpu_us_per_event, and every ratio in by_cpu",
}


@dataclass(frozen=True)
class _Time:
    """Of one run: seconds by the wall's clock, and of all processors together."""

    wall_s: float
    cpu_s: float


Times = dict[str, list[_Time]]


def measure(*, quick: bool = False) -> dict[str, Any]:
    """Events a second on both sides, alternating; memory at two sizes (ten times apart unless `quick`)."""
    size = QUICK if quick else EVENTS
    with tempfile.TemporaryDirectory(prefix="nba-bench-") as folder:
        found = _measured(Path(folder), size=size, rounds=2 if quick else ROUNDS)
    memory = {n: peaks(n) for n in ((size, 2 * size) if quick else MEMORY_SIZES)}
    least, most = memory.values()
    return {
        **found,
        "peak_memory_mb": {str(n): peak for n, peak in memory.items()},
        "memory_growth": {name: most[name] / least[name] for name in least if least[name]},
    }


def _measured(folder: Path, *, size: int, rounds: int) -> dict[str, Any]:
    text = folder / "events.txt"
    write_text(text, size)
    batches = [
        part.pick(range(i, min(i + learn_ways.BATCH, len(part))))
        for part in parts(size)
        for i in range(0, len(part), learn_ways.BATCH)
    ]
    database = Database.open(sqlite_url(folder / "bulk.db"))
    store(database, size)
    hashes: set[str] = set()
    sides: dict[str, Callable[[], object]] = {
        "driver": lambda: learn_ways.driver(text, folder / "driver.model", onethread=False),
        "online": lambda: learn_ways.online(batches),
        "driver_onethread": lambda: learn_ways.driver(text, folder / "onethread.model", onethread=True),
        "bulk": lambda: hashes.add(learn_ways.bulk(database, folder / "bulk")),
        "bulk_alone": lambda: hashes.add(learn_ways.bulk(database, folder / "bulk", alone=True)),
        "bulk_by_driver": lambda: hashes.add(learn_ways.bulk(database, folder / "bulk", by="driver")),
    }
    times: Times = {name: [] for name in (*sides, "store_to_checkpoint")}
    loads = []
    for number in range(rounds):
        loads.append(os.getloadavg()[0])
        for name, run in sides.items():
            times[name].append(_timed(run))
        times["store_to_checkpoint"].append(_from_store(folder / f"log{number}.db", size))
    database.close()
    if len(hashes) != 1:
        raise AssertionError(f"bulk retraining gave {len(hashes)} different models")
    return {
        **_ratios(times, lambda time: time.wall_s),
        "store_to_checkpoint_per_s": size / _median([one.wall_s for one in times["store_to_checkpoint"]]),
        "by_cpu": _ratios(times, lambda time: time.cpu_s),
        "events_per_s": {name: size / _median([one.wall_s for one in found]) for name, found in times.items()},
        "cpu_us_per_event": {name: _median([one.cpu_s for one in found]) / size * 1e6 for name, found in times.items()},
        "load_average_before_rounds": loads,
        "cores": os.cpu_count(),
        "clocks": _CLOCKS,
        "largest_weight_difference": _largest_difference(folder, batches),
        "events": size,
        "arms": len(CATALOGUE.arms),
    }


def _ratios(times: Times, clock: Callable[[_Time], float]) -> dict[str, float]:
    """How many times the driver's speed, the median of the rounds."""
    pairs = {
        "ratio": ("online", "driver"),
        "onethread_ratio": ("online", "driver_onethread"),
        "bulk_ratio": ("bulk", "driver"),
        "bulk_alone_ratio": ("bulk_alone", "driver"),
    }
    return {
        name: _median([clock(b) / clock(a) for a, b in zip(times[ours], times[theirs], strict=True)])
        for name, (ours, theirs) in pairs.items()
    }


def _timed(run: Callable[[], object]) -> _Time:
    started, cpu = time.perf_counter(), _cpu_s()
    run()
    return _Time(wall_s=time.perf_counter() - started, cpu_s=_cpu_s() - cpu)


def _cpu_s() -> float:
    """Of this process and of its children that have ended."""
    children = resource.getrusage(resource.RUSAGE_CHILDREN)
    return time.process_time() + children.ru_utime + children.ru_stime


def _median(values: list[float]) -> float:
    return float(np.median(values))


def _from_store(path: Path, size: int) -> _Time:
    """From rows in the store to the last committed checkpoint."""
    database = Database.open(sqlite_url(path))
    store(database, size)
    found = _timed(lambda: learn_ways.from_store(database, size))
    database.close()
    path.unlink()
    return found


def _largest_difference(folder: Path, batches: list[LoggedBatch]) -> float:
    """Between the weights of both sides. Raises `AssertionError` where they did not learn the same."""
    ours = learn_ways.online(batches).weights().slots()
    worst = 0.0
    for name in ("driver", "onethread"):
        stored = VowpalRegressor.from_bytes((folder / f"{name}.model").read_bytes(), POLICY.features, POLICY.learning)
        worst = max(worst, float(np.abs(stored.weights().slots() - ours).max()))
    if not worst < _TOLERANCE:
        raise AssertionError(f"the two sides learned different models: weights differ by {worst:g}")
    return worst
