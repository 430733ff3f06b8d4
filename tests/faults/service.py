"""One process of the service without Ray: `python -m tests.faults.service replica|learner WORKSPACE PORT`.

The same application, replica and learner that Ray Serve runs, so that one process can be killed and started again in a
second. Only the clock is another: the true one plus what the runner has set (`shim.Faults.put_clock`); and SQLite's log
is copied into the main file every `CHECKPOINT_PAGES`, and learners take over after `LEASE_S`, so that a short run meets
both.
"""

import os
import signal
import sys
import time
from pathlib import Path

from bandit_nba.store.driver import sqlite as store
from bandit_nba.workspace import Workspace, open_workspace
from serve.logs import write_logs
from tests.faults.shim import attached

DRAIN_S = 10.0
CHECKPOINT_PAGES = 300
LEASE_S = 2.0


def replica(workspace: Workspace, port: int) -> None:
    """Serve over HTTP until SIGTERM."""
    import uvicorn  # each role loads what it needs: many processes are started

    from bandit_nba.online.replica import Replica
    from serve.app import create_app

    app = create_app(Replica.open(workspace, clock=clock()))
    uvicorn.run(app, host="127.0.0.1", port=port, log_level="warning", access_log=False, lifespan="on")


def learner(workspace: Workspace, _port: int) -> None:
    """Learn until SIGTERM."""
    from bandit_nba.online.learning_loop import LearningLoop
    from bandit_nba.store.database import Database

    database = Database.open(workspace.database_url)
    loop = LearningLoop.open(workspace, database, clock=clock(), lease_s=LEASE_S)
    loop.start()
    signal.sigwait({signal.SIGTERM})
    published = loop.stop(within_s=DRAIN_S)
    database.close()
    sys.exit(0 if published else 1)


def clock() -> "Clock":
    """The clock of this process."""
    return Clock(Path(os.environ["NBA_FAULTS"]))


class Clock:
    """The true time, off by what the runner has set."""

    def __init__(self, path: Path) -> None:
        self._faults = attached(path)

    def __call__(self) -> float:
        return time.time() + self._faults.clock_offset_s


if __name__ == "__main__":
    _, role, directory, port = sys.argv
    if role == "learner":
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
    store._CHECKPOINT_PAGES = CHECKPOINT_PAGES
    opened = open_workspace(directory)
    write_logs(opened.path, role)
    {"replica": replica, "learner": learner}[role](opened, int(port))
