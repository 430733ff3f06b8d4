"""One process of the service without Ray: `replica_process.py replica|learner WORKSPACE PORT`, until SIGTERM."""

import signal
import sys

import uvicorn

from bandit_nba.online.learning_loop import LearningLoop
from bandit_nba.online.replica import Replica
from bandit_nba.store.database import Database
from bandit_nba.workspace import open_workspace
from serve.app import create_app

if __name__ == "__main__":
    what, directory, port = sys.argv[1:]
    workspace = open_workspace(directory)
    if what == "replica":
        app = create_app(Replica.open(workspace))
        uvicorn.run(app, host="127.0.0.1", port=int(port), log_level="warning", lifespan="on")
    else:
        database = Database.open(workspace.database_url)
        loop = LearningLoop.open(workspace, database)
        loop.start()
        signal.sigwait({signal.SIGTERM})
        loop.stop()
        database.close()
