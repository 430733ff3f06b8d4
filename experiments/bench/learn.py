"""The learner against VW's own command-line driver, which comes with vowpal-wabbit-next.

Both get the same 100,000 events with 10 arms and end with the same weights (checked): the driver as the text that VW's
users write, which it parses; the learner as rows of the log (JSON facts, outcomes apart), which it joins and turns into
features. The driver runs in its default mode (one thread parses, one learns) and with `onethread`.
"""

import json
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from bandit_nba.learn.examples import ExampleMaker
from bandit_nba.learn.learner import Learner, lineage_of
from bandit_nba.learn.log import LoggedBatch
from bandit_nba.learn.options import vw_arguments
from bandit_nba.learn.retrain import By, Retraining
from bandit_nba.learn.vowpal import VowpalRegressor
from bandit_nba.store.database import Database, sqlite_url
from bandit_nba.store.learning import LearningStore
from bandit_nba.store.training import FrozenIds, keep
from experiments.bench.learn_events import CATALOGUE, POLICY, REWARDS, parts, store, write_text
from experiments.bench.peer_vowpal import driven

EVENTS, MEMORY_SIZES = 100_000, (100_000, 1_000_000)
QUICK = 10_000
REPEATS = 5
CHUNK = 50_000  # as `nba train`
BATCH = 2_000  # as the service's learner
NOW_S = 1e7
_TOLERANCE = 1e-4
"""Of weights about 0.1 in size: VW's text parser does not round numbers correctly, and single precision adds up."""


def measure(*, quick: bool = False) -> dict[str, Any]:
    """Events a second on both sides, alternating; each ratio is the median of the rounds' ratios, by the wall's clock.

    `cpu_us`: processor time per event, of all threads together.
    """
    size = QUICK if quick else EVENTS
    with tempfile.TemporaryDirectory(prefix="nba-bench-") as folder:
        return _measured(Path(folder), size=size, repeats=2 if quick else REPEATS, quick=quick)


def _measured(folder: Path, *, size: int, repeats: int, quick: bool) -> dict[str, Any]:
    text = folder / "events.txt"
    write_text(text, size)
    batches = [
        part.pick(range(i, min(i + BATCH, len(part)))) for part in parts(size) for i in range(0, len(part), BATCH)
    ]
    sides: dict[str, Callable[[], object]] = {
        "driver": lambda: _driven(text, folder / "driver.model", onethread=False),
        "driver_onethread": lambda: _driven(text, folder / "onethread.model", onethread=True),
        "online": lambda: _learned(batches),
        "bulk": lambda: _retrained(database, folder / "bulk", by="learner"),
        "bulk_by_driver": lambda: _retrained(database, folder / "bulk", by="driver"),
    }
    database = Database.open(sqlite_url(folder / "bulk.db"))
    store(database, size)
    per_s, cpu_us = _alternated(sides, size=size, repeats=repeats)
    per_s["store_to_checkpoint"], cpu_us["store_to_checkpoint"] = _from_store(folder, size=size, repeats=repeats)
    memory = {str(n): _peak_mb(n) for n in ((size, 2 * size) if quick else MEMORY_SIZES)}
    return {
        "ratio": _ratio(per_s["online"], per_s["driver"]),
        "onethread_ratio": _ratio(per_s["online"], per_s["driver_onethread"]),
        "bulk_ratio": _ratio(per_s["bulk"], per_s["driver"]),
        "bulk_cpu_ratio": _ratio(cpu_us["driver"], cpu_us["bulk"]),
        "store_to_checkpoint_per_s": float(np.median(per_s["store_to_checkpoint"])),
        "events_per_s": {name: float(np.median(found)) for name, found in per_s.items()},
        "cpu_us_per_event": {name: float(np.median(found)) for name, found in cpu_us.items()},
        "largest_weight_difference": _largest_difference(folder, batches),
        "peak_memory_mb": memory,
        "events": size,
        "arms": len(CATALOGUE.arms),
    }


def _alternated(
    sides: dict[str, Callable[[], object]], *, size: int, repeats: int
) -> tuple[dict[str, list[float]], dict[str, list[float]]]:
    per_s: dict[str, list[float]] = {name: [] for name in sides}
    cpu_us: dict[str, list[float]] = {name: [] for name in sides}
    for _ in range(repeats):
        for name, run in sides.items():
            started, cpu = time.perf_counter(), time.process_time()
            run()
            per_s[name].append(size / (time.perf_counter() - started))
            cpu_us[name].append((time.process_time() - cpu) / size * 1e6)
    return per_s, cpu_us


def _ratio(ours: list[float], theirs: list[float]) -> float:
    return float(np.median([a / b for a, b in zip(ours, theirs, strict=True)]))


def _driven(text: Path, model: Path, *, onethread: bool) -> None:
    driven(text, model, vw_arguments(POLICY.features, POLICY.learning), onethread=onethread)


def _learned(batches: list[LoggedBatch]) -> VowpalRegressor:
    """What the learner does with rows in memory: facts decoded, outcomes joined, rewards, features, learned, stored."""
    maker = ExampleMaker(POLICY.features, CATALOGUE.facts, REWARDS, catalogue=lambda _version: CATALOGUE)
    regressor = VowpalRegressor(POLICY.features, POLICY.learning)
    for batch in batches:
        for made in maker.examples(batch):
            regressor.learn(made.contexts, made.arms, made.chosen, made.reward)
    regressor.serialize()
    return regressor


def _retrained(database: Database, folder: Path, *, by: By) -> str:
    """What `nba train` does: ids frozen, rows read and joined, features, learned, packed, kept; gives the weights."""
    log = LearningStore(database, clock=lambda: NOW_S, holder="bench")
    maker = ExampleMaker(POLICY.features, CATALOGUE.facts, REWARDS, catalogue=log.catalogue)
    lineage = lineage_of(POLICY, REWARDS, feature_version=maker.featuriser.version)
    run = Retraining(maker, lineage, folder=folder, by=by, chunk=CHUNK)
    ids = FrozenIds.freeze(folder / "ids", database, clock=lambda: NOW_S, since_s=None, until_s=None)
    now_s = time.time()
    made = run.run(log, ids.take, created_at=now_s, progress=lambda _count: None)
    keep(database, made.model, named={}, now_s=now_s, who="bench", why="")
    ids.close()
    shutil.rmtree(folder)
    return made.model.manifest.weights_sha256


def _largest_difference(folder: Path, batches: list[LoggedBatch]) -> float:
    """Between the weights of both sides. Raises `AssertionError` where they did not learn the same."""
    ours = _learned(batches).weights().slots()
    worst = 0.0
    for name in ("driver", "onethread"):
        stored = VowpalRegressor.from_bytes((folder / f"{name}.model").read_bytes(), POLICY.features, POLICY.learning)
        worst = max(worst, float(np.abs(stored.weights().slots() - ours).max()))
    if not worst < _TOLERANCE:
        raise AssertionError(f"the two sides learned different models: weights differ by {worst:g}")
    return worst


def _from_store(folder: Path, *, size: int, repeats: int) -> tuple[list[float], list[float]]:
    """From rows in the store to the last committed checkpoint: model, manifest, sparse weights, marks."""
    per_s, cpu_us = [], []
    for run in range(repeats):
        path = folder / f"log{run}.db"
        database = Database.open(sqlite_url(path))
        store(database, size)
        started, cpu = time.perf_counter(), time.process_time()
        learn_all(database, size)
        per_s.append(size / (time.perf_counter() - started))
        cpu_us.append((time.process_time() - cpu) / size * 1e6)
        database.close()
        path.unlink()
    return per_s, cpu_us


def learn_all(database: Database, size: int) -> None:
    """The service's learner, until everything is learned and published."""
    learner = Learner(
        LearningStore(database, clock=lambda: NOW_S, holder="bench"),
        policy=POLICY,
        rewards=REWARDS,
        schema=CATALOGUE.facts,
        clock=lambda: NOW_S,
        batch=BATCH,
    )
    learned = 0
    while found := learner.step().examples:
        learned += found
    learner.finish()
    if learned != size:
        raise AssertionError(f"learned {learned} of {size}")


def _peak_mb(size: int) -> float:
    """Peak resident memory of a process that fills a store and learns it all, in megabytes."""
    script = "import sys; from experiments.bench.learn import child; child(int(sys.argv[1]))"
    command = [sys.executable, "-c", script, str(size)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)  # noqa: S603 (our own process)
    return float(json.loads(done.stdout)["peak_mb"])


def child(size: int) -> None:
    """In a process of its own: fill, learn, and print how much memory that took at the most."""
    with tempfile.TemporaryDirectory(prefix="nba-bench-") as folder:
        database = Database.open(sqlite_url(Path(folder) / "log.db"))
        store(database, size)
        learn_all(database, size)
        database.close()
    print(json.dumps({"peak_mb": _own_peak_kb() / 1024}))


def _own_peak_kb() -> int:
    """Linux counts in `ru_maxrss` what the parent held when it forked; VmHWM begins anew with the program."""
    status = Path("/proc/self/status")
    if status.exists():
        return next(int(line.split()[1]) for line in status.read_text().splitlines() if line.startswith("VmHWM"))
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
