"""Where the service's own processes write what went wrong: files in the workspace, one per process, bounded in size."""

import logging
import os
from logging.handlers import RotatingFileHandler
from pathlib import Path

LOGS = "logs"
_MOST_BYTES = 10 * 2**20
_KEPT = 2
_FORMAT = "%(asctime)s %(levelname)s %(name)s %(message)s"


def write_logs(workspace: Path, role: str) -> Path:
    """Send the loggers under "nba" to WORKSPACE/logs/ROLE-PID.log; no message there names a customer or a key."""
    directory = workspace / LOGS
    directory.mkdir(mode=0o700, exist_ok=True)
    path = directory / f"{role}-{os.getpid()}.log"
    handler = RotatingFileHandler(path, maxBytes=_MOST_BYTES, backupCount=_KEPT, encoding="utf-8", delay=True)
    handler.setFormatter(logging.Formatter(_FORMAT))
    logger = logging.getLogger("nba")
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    logger.propagate = False
    return path
