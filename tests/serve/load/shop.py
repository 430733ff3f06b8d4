"""The real service for load: Ray Serve, front end, replicas, learner, over the workspace of the HTTP benchmark."""

import contextlib
import json
import os
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from subprocess import Popen
from typing import Any

from experiments.bench import http_workspace
from experiments.demo.service import free_port, running
from serve.guard import processes_of

DEADLINE = "PT0.5S"  # what a channel has by default


@dataclass(frozen=True)
class Shop:
    """A running service. process: the one that `nba serve` runs in."""

    path: Path
    port: int
    key: str
    process: Popen[Any]

    @property
    def url(self) -> str:
        """Where decisions are asked for."""
        return f"http://127.0.0.1:{self.port}/v1/decisions"

    def status(self) -> dict[str, Any]:
        """`GET /v1/status`."""
        found: dict[str, Any] = json.loads(self.send("GET", "/v1/status"))
        return found

    def send(self, method: str, path: str, body: bytes | None = None) -> bytes:
        """One request that must succeed."""
        headers = {"Content-Type": "application/json", "Authorization": f"Bearer {self.key}"}
        request = urllib.request.Request(f"http://127.0.0.1:{self.port}{path}", body, headers, method=method)
        with urllib.request.urlopen(request, timeout=60) as answer:  # noqa: S310 (our own address)
            found: bytes = answer.read()
        return found

    def memory_mb(self) -> dict[str, float]:
        """Resident memory of the replicas and of the front end."""
        found = {"replica": 0.0, "front end": 0.0}
        for process in self.processes():
            name = _words(process)
            kind = "replica" if name.startswith("ray::ServeReplica:nba:") else "front end" if "haproxy" in name else ""
            if kind:
                found[kind] += _resident_mb(process)
        return {kind: round(size, 1) for kind, size in found.items()}

    def processes(self) -> list[int]:
        """All processes of this service, by the words that its guard was started with."""
        for child in Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text().split():
            words = Path(f"/proc/{child}/cmdline").read_bytes().decode().split("\0")
            if words[-4:-3] and words[-4].endswith("guard.py"):
                return processes_of(words[-3], Path(words[-2]))
        return []


@contextlib.contextmanager
def open_shop(folder: Path, *, replicas: int = 1, deadline: str = DEADLINE, wait: str = "PT1S") -> Iterator[Shop]:
    """A service over a fresh workspace in `folder`, its customers known."""
    path = folder / "shop"
    key = http_workspace.write(path)
    _set(path / "service.toml", {"replicas = 1": f"replicas = {replicas}", '"PT5S"\n\n[': '"PT1S"\n\n['})
    text = (path / "service.toml").read_text().replace('deadline = "PT5S"', f'deadline = "{deadline}"')
    (path / "service.toml").write_text(text)
    _set(path / "rewards.toml", {'wait = "PT1S"': f'wait = "{wait}"'})
    port = free_port()
    with running(path, port=port, log=folder / "serve.log") as process:
        shop = Shop(path, port, key, process)
        everybody = http_workspace.profiles(seed=0)
        for i in range(0, len(everybody), 1_000):
            shop.send("PUT", "/v1/customers", json.dumps(everybody[i : i + 1_000]).encode())
        yield shop


def load_of_the_machine() -> float:
    """How many processes wanted to run in the last minute, on how many cores: what else goes on here."""
    return round(os.getloadavg()[0], 1)


def _set(path: Path, changes: dict[str, str]) -> None:
    text = path.read_text()
    for old, new in changes.items():
        text = text.replace(old, new)
    path.write_text(text)


def _words(process: int) -> str:
    try:
        return Path(f"/proc/{process}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
    except OSError:
        return ""


def _resident_mb(process: int) -> float:
    try:
        pages = int(Path(f"/proc/{process}/statm").read_text().split()[1])
    except OSError:
        return 0.0
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20
