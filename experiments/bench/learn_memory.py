"""Peak memory of learning, in processes of their own: the service's learner, `nba train`, and its helper."""

import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Literal

from bandit_nba.store.database import Database, sqlite_url
from bandit_nba.store.learner.beside import Beside
from experiments.bench.learn_events import store
from experiments.bench.learn_ways import bulk, from_store
from experiments.bench.memory import peak_mb


def peaks(size: int) -> dict[str, float]:
    """Megabytes at most resident while one store of so many events is learned, each way in a fresh process.

    online: the learner, to its last checkpoint. bulk: `nba train`; helper: its helper process (0 where there is
    none, or where the system does not tell).
    """
    with tempfile.TemporaryDirectory(prefix="nba-bench-") as folder:
        path = Path(folder) / "log.db"
        _child("fill", path, size)
        return {**_child("bulk", path, size), **_child("online", path, size)}


def _child(what: str, path: Path, size: int) -> dict[str, float]:
    command = [sys.executable, "-m", __name__, what, str(path), str(size)]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)  # noqa: S603 (our own process)
    found: dict[str, float] = json.loads(done.stdout)
    return found


def child(what: Literal["fill", "bulk", "online"], path: Path, size: int) -> dict[str, float]:
    """What runs in a process of its own."""
    database = Database.open(sqlite_url(path))
    found: dict[str, float] = {}
    if what == "fill":
        store(database, size)
    elif what == "online":
        from_store(database, size)
        found["online"] = peak_mb("self")
    else:
        highest = 0.0

        def watch(_count: int, helper: Beside | None) -> None:
            nonlocal highest
            highest = highest if helper is None else max(highest, peak_mb(str(helper.pid)))

        bulk(database, path.with_suffix(".training"), progress=watch)
        found = {"bulk": peak_mb("self"), "helper": highest}
    database.close()
    return found


if __name__ == "__main__":
    print(json.dumps(child(sys.argv[1], Path(sys.argv[2]), int(sys.argv[3]))))  # type: ignore[arg-type]
