"""Starts the real service as a process of its own, and stops it."""

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

READY_WITHIN_S = 120.0
STOPPED_WITHIN_S = 45.0


def free_port() -> int:
    """A port of 127.0.0.1 that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextlib.contextmanager
def running(workspace: Path, *, port: int, log: Path, keep: str = "") -> Iterator[subprocess.Popen[bytes]]:
    """`nba serve` on the workspace until the block ends; with keep="keep" it goes on after a block without error."""
    with log.open("wb") as sink:
        process = subprocess.Popen(  # noqa: S603 (our own interpreter and our own command)
            [sys.executable, "-m", "bandit_nba.cli", "serve", str(workspace), "--port", str(port)],
            stdout=sink,
            stderr=subprocess.STDOUT,
            start_new_session=True,  # so that Ctrl-C here does not reach it before its clients are done
            env={**os.environ, "PYTHONUNBUFFERED": "1"},
        )
    done = False
    try:
        _wait_until_ready(process, port, log)
        yield process
        done = True
    finally:
        if not (keep and done):
            _stop(process)


def _wait_until_ready(process: subprocess.Popen[bytes], port: int, log: Path) -> None:
    give_up = time.monotonic() + READY_WITHIN_S
    while time.monotonic() < give_up:
        if process.poll() is not None:
            break
        with (
            contextlib.suppress(urllib.error.URLError, OSError),
            urllib.request.urlopen(f"http://127.0.0.1:{port}/readyz", timeout=2) as answer,
        ):
            if answer.status == 200:
                return
        time.sleep(0.2)
    tail = log.read_text(errors="replace")[-3000:]
    raise RuntimeError(f"the service did not become ready within {READY_WITHIN_S:.0f} s; its last words:\n{tail}")


def _stop(process: subprocess.Popen[bytes]) -> None:
    if process.poll() is None:
        process.send_signal(signal.SIGINT)
        try:
            process.wait(STOPPED_WITHIN_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
