"""Where the service's own processes write what went wrong: files in the workspace, one per process, bounded in size.

A line is one JSON object: `at`, `level`, `logger`, `message`, `requestId` where a request was at hand, `error` with the
trace where there is one. No message names a customer or a key.
"""

import contextvars
import datetime
import logging
import os
from logging.handlers import RotatingFileHandler
from pathlib import Path

import msgspec

LOGS = "logs"
_MOST_BYTES = 10 * 2**20
_KEPT = 2

request_id: contextvars.ContextVar[str] = contextvars.ContextVar("request_id", default="")
"""Of the request that is being served; also in its answer's `X-Request-Id`."""


class JsonLines(logging.Formatter):
    """One JSON object per line."""

    def format(self, record: logging.LogRecord) -> str:
        """The line."""
        at = datetime.datetime.fromtimestamp(record.created, datetime.UTC)
        said = {"at": at, "level": record.levelname, "logger": record.name, "message": record.getMessage()}
        if found := request_id.get():
            said["requestId"] = found
        if record.exc_info:
            said["error"] = self.formatException(record.exc_info)
        return msgspec.json.encode(said).decode()


def write_logs(workspace: Path, role: str) -> Path:
    """Send the loggers under "nba" to WORKSPACE/logs/ROLE-PID.log."""
    directory = workspace / LOGS
    directory.mkdir(mode=0o700, exist_ok=True)
    path = directory / f"{role}-{os.getpid()}.log"
    handler = RotatingFileHandler(path, maxBytes=_MOST_BYTES, backupCount=_KEPT, encoding="utf-8", delay=True)
    handler.setFormatter(JsonLines())
    logger = logging.getLogger("nba")
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    logger.propagate = False
    return path
