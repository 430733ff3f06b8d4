"""Processes of the service: started with the shim, waited for, killed, ended in order."""

import contextlib
import http.client
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

from tests.faults.shim import Faults
from tests.ports import free_port

ROOT = Path(__file__).parents[2]


class Process:
    """A replica or the learner, which may be started again and again. faults: survive it."""

    READY_WITHIN_S = 60.0
    ENDS_WITHIN_S = 20.0

    def __init__(self, role: str, workspace: Path, shim: Path, name: str) -> None:
        self.role = role
        self.name = name
        self.port = free_port() if role == "replica" else 0
        self.faults = Faults(workspace / f"{name}.faults")
        self.output = workspace / f"{name}.out"
        self.workspace = workspace
        self._shim = shim
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it; see `wait_until_ready`."""
        with self.output.open("ab") as sink:
            self.process = subprocess.Popen(
                self.command(), env=self.environment(), cwd=ROOT, stdout=sink, stderr=sink, start_new_session=True
            )

    def command(self) -> list[str]:
        """What is run."""
        return [sys.executable, "-m", "tests.faults.service", self.role, str(self.workspace), str(self.port)]

    def environment(self) -> dict[str, str]:
        """With the shim, which reads the rule of this process."""
        return {
            **os.environ,
            "NBA_FAULTS": str(self.faults.path),
            "LD_PRELOAD": str(self._shim),
            "PYTHONPATH": str(ROOT),
            "OMP_NUM_THREADS": "1",
        }

    def wait_until_ready(self) -> None:
        """Until a replica says that it is ready, within `READY_WITHIN_S`."""
        give_up = time.monotonic() + self.READY_WITHIN_S
        while self.role == "replica" and self.ready()[0] != 200:
            if not self.alive or time.monotonic() > give_up:
                raise RuntimeError(f"{self.name} does not get ready:\n{self.output.read_text()[-3_000:]}")
            time.sleep(0.05)

    def ready(self) -> tuple[int, bytes]:
        """Status and body of /readyz; status 0 where nobody answers."""
        return self._get("/readyz")

    def model(self) -> str:
        """The version of the model that serves here."""
        status, body = self._get("/v1/status")
        return str(json.loads(body)["replica"]["modelVersion"]) if status == 200 else ""

    def _get(self, path: str) -> tuple[int, bytes]:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=15)
        try:
            connection.request("GET", path)
            answer = connection.getresponse()
            return answer.status, answer.read()
        except (OSError, http.client.HTTPException):
            return 0, b""
        finally:
            connection.close()

    @property
    def alive(self) -> bool:
        """Whether it runs."""
        return self.process is not None and self.process.poll() is None

    def wait_until_dead(self, *, within_s: float) -> bool:
        """True if it ended, by itself or by the shim."""
        assert self.process is not None
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.process.wait(within_s)
        return not self.alive

    def ask_until_dead(self) -> None:
        """Ask a starting replica whether it is ready until it dies, at most `READY_WITHIN_S`: asking makes it write."""
        give_up = time.monotonic() + self.READY_WITHIN_S
        while self.alive and time.monotonic() < give_up:
            self.ready()
            time.sleep(0.02)

    def kill(self) -> None:
        """kill -9."""
        if self.process is not None and self.alive:
            self.process.kill()
            self.process.wait()

    def pause(self, *, for_s: float) -> None:
        """Stop it in the middle of whatever it does, and let it go on."""
        assert self.process is not None
        self.process.send_signal(signal.SIGSTOP)
        time.sleep(for_s)
        self.process.send_signal(signal.SIGCONT)

    def end(self) -> int | None:
        """Ask it to end in order; its exit code, None if it had to be killed."""
        if self.process is None or not self.alive:
            return 0
        self.process.terminate()
        try:
            return self.process.wait(self.ENDS_WITHIN_S)
        except subprocess.TimeoutExpired:
            self.kill()
            return None
