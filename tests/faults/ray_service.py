"""The service as `nba serve` runs it, on Ray: killed whole, or one of Ray's processes."""

import contextlib
import os
import signal
import sys
import time
from pathlib import Path

from tests.faults.processes import ROOT, Process

TITLES = {"replica": b"ray::ServeReplica:nba:replica", "learner": b"ray::ServeReplica:nba-learner:learner"}


class RayService(Process):
    """Replica, learner, front end and Ray itself, behind one port. The shim is not loaded here."""

    READY_WITHIN_S = 150.0
    ENDS_WITHIN_S = 60.0

    def __init__(self, workspace: Path, shim: Path) -> None:
        super().__init__("replica", workspace, shim, "service")
        self._starts = 0

    def start(self) -> None:
        """Start it, and remember that: see `wait_until_ready`."""
        self._starts += 1
        super().start()

    def wait_until_ready(self) -> None:
        """Until this very start says so: for some seconds replicas of a killed service still answer at its port."""
        give_up = time.monotonic() + self.READY_WITHIN_S
        while self.output.read_text().count("Ready at ") < self._starts:
            if not self.alive or time.monotonic() > give_up:
                raise RuntimeError(f"{self.name} does not get ready:\n{self.output.read_text()[-3_000:]}")
            time.sleep(0.1)
        super().wait_until_ready()

    def command(self) -> list[str]:
        """`nba serve`."""
        return [sys.executable, "-m", "bandit_nba.cli", "serve", str(self.workspace), "--port", str(self.port)]

    def environment(self) -> dict[str, str]:
        """Without the shim."""
        return {**os.environ, "PYTHONPATH": str(ROOT)}

    def kill_part(self, part: str, *, within_s: float) -> bool:
        """kill -9 of the process that runs a part; True once Ray has started another one."""
        found = self._of(part)
        for pid in found:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        give_up = time.monotonic() + within_s
        while not self._of(part) - found:
            if not found or time.monotonic() > give_up:
                return False
            time.sleep(0.1)
        return True

    def _of(self, part: str) -> set[int]:
        assert self.process is not None
        return {pid for pid in _below(self.process.pid) if _title(pid).startswith(TITLES[part])}


def _title(pid: int) -> bytes:
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    return b""


def _below(pid: int) -> set[int]:
    try:
        threads = list(Path(f"/proc/{pid}/task").iterdir())
        direct = {int(child) for thread in threads for child in (thread / "children").read_text().split()}
    except OSError:
        return set()
    return direct.union(*(_below(child) for child in direct))
