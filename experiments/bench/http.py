"""`POST /v1/decisions` over real HTTP beside an echo of the same JSON by a plain Ray Serve deployment in the same mode.

Ours: 20 arms, 12 stored and 4 request facts, five rules, two contact rules, a key, and the decision durable before the
answer leaves. Both services run side by side; load goes to one after the other, several times, and medians count.

Beside them stands what the machine gave: the load average, and the time in which its disk takes eight kilobytes for
good, which every durable answer has to wait for.
"""

import contextlib
import os
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from experiments.bench import http_workspace as shop
from experiments.bench.load import Load, drive, script
from experiments.demo.service import free_port, running

CONNECTIONS = (1, 16, 64)
BATCH = 500
_FACTS = (
    '\\"r0\\":\\"w" .. (n % 8) .. "\\",\\"r1\\":\\"w" .. (n % 5) .. "\\",\\"r2\\":0." .. (n % 10) .. ",\\"r3\\":1."'
    ' .. (n % 7) .. "'
)


def measure(*, quick: bool = False, replicas: int = 1) -> dict[str, Any]:
    """Requests a second and latencies on both sides, alternating; `ratio` is the throughput at 64 connections."""
    rounds, seconds = (1, 2.0) if quick else (5, 4.0)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        key = shop.write(folder / "shop", replicas=replicas)
        one = script(folder / "one.lua", body=_one(), key=key)
        echo = script(folder / "echo.lua", body=_one())
        port, echo_port = free_port(), free_port()
        with running(folder / "shop", port=port, log=folder / "serve.log"), _echoing(echo_port, replicas):
            ours, peer = f"http://127.0.0.1:{port}/v1/decisions", f"http://127.0.0.1:{echo_port}/"
            _prepare(port, key)
            drive(ours, one, connections=16, seconds=3.0)  # the first lessons, and warm caches
            time.sleep(4.0)
            disk = _fsync_ms(folder)
            found = {c: _alternating(ours, one, peer, echo, c, rounds=rounds, seconds=seconds) for c in CONNECTIONS}
            batch = _batches(port, key, rounds=rounds)
            later = _fsync_ms(folder)
    return {
        "decisions": {c: _said([pair[0] for pair in pairs]) for c, pairs in found.items()},
        "echo": {c: _said([pair[1] for pair in pairs]) for c, pairs in found.items()},
        "ratio": statistics.median(o.per_s / p.per_s for o, p in found[64]),
        "p50_ms_at_1": statistics.median(o.p50_ms for o, _ in found[1]),
        "p50_ratio_at_1": statistics.median(o.p50_ms / p.p50_ms for o, p in found[1]),
        "batch_of_500_decisions_per_s": batch,
        "fsync_ms": statistics.median([*disk, *later]),
        "load_average": os.getloadavg(),
        "replicas": replicas,
        "cpus": os.cpu_count(),
    }


def _one() -> str:
    """The Lua expression for one request's body: a new id, one of the customers, four facts."""
    return (
        f'"{{\\"decisionId\\":\\"" .. run .. n .. "\\",\\"channel\\":\\"web\\",\\"customerId\\":\\"customer-" .. '
        f'math.random(0, {shop.CUSTOMERS - 1}) .. "\\",\\"facts\\":{{{_FACTS}}}}}"'
    )


def _alternating(
    ours: str, one: Path, peer: str, echo: Path, connections: int, *, rounds: int, seconds: float
) -> list[tuple[Load, Load]]:
    pairs = []
    for _ in range(rounds):
        theirs = drive(peer, echo, connections=connections, seconds=seconds)
        mine = drive(ours, one, connections=connections, seconds=seconds)
        if mine.failed or theirs.failed:
            raise RuntimeError(f"{mine.failed} decisions and {theirs.failed} echoes failed")
        print(f"  {connections:>3} connections: {mine.per_s:,.0f}/s beside {theirs.per_s:,.0f}/s", file=sys.stderr)
        pairs.append((mine, theirs))
    return pairs


def _said(loads: list[Load]) -> dict[str, float]:
    return {name: statistics.median(getattr(load, name) for load in loads) for name in ("per_s", "p50_ms", "p99_ms")}


def _batches(port: int, key: str, *, rounds: int) -> float:
    """Decisions a second of one client that sends pages of 500, one after the other; the median of pages."""
    rng = np.random.default_rng(0)
    rates = []
    for i in range(5 + 4 * rounds):
        page = [
            {
                "decisionId": f"page-{i}-{j}-{time.time_ns()}",
                "channel": "web",
                "customerId": f"customer-{c}",
                "facts": {"r0": f"w{j % 8}", "r1": f"w{j % 5}", "r2": 0.5, "r3": 1.5},
            }
            for j, c in enumerate(rng.choice(shop.CUSTOMERS, BATCH, replace=False))
        ]
        body = msgspec.json.encode(page)
        begun = time.perf_counter()
        _send(port, key, "POST", "/v1/decisions/batch", body)
        rates.append(BATCH / (time.perf_counter() - begun))
    return statistics.median(rates[5:])


def _prepare(port: int, key: str) -> None:
    everybody = shop.profiles(seed=0)
    for i in range(0, len(everybody), 1_000):
        _send(port, key, "PUT", "/v1/customers", msgspec.json.encode(everybody[i : i + 1_000]))


def _send(port: int, key: str, method: str, path: str, body: bytes) -> bytes:
    headers = {"Content-Type": "application/json", "Authorization": f"Bearer {key}"}
    request = urllib.request.Request(f"http://127.0.0.1:{port}{path}", body, headers, method=method)
    with urllib.request.urlopen(request, timeout=60) as answer:  # noqa: S310 (our own address)
        found: bytes = answer.read()
    return found


def _fsync_ms(folder: Path, *, times: int = 100) -> list[float]:
    """How long the disk takes for eight kilobytes at the end of a file, milliseconds each."""
    took = []
    with (folder / "disk").open("ab", buffering=0) as file:
        for _ in range(times):
            begun = time.perf_counter()
            file.write(bytes(8_192))
            os.fdatasync(file.fileno())
            took.append(1e3 * (time.perf_counter() - begun))
    return took


@contextlib.contextmanager
def _echoing(port: int, replicas: int) -> Iterator[None]:
    command = [sys.executable, "-m", "experiments.bench.peer_echo", str(port), str(replicas)]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)  # noqa: S603
    try:
        if process.stdout is None or "ready" not in "".join(iter(process.stdout.readline, "ready\n")) + "ready":
            raise RuntimeError("the echo did not start")
        yield
    finally:
        process.communicate(timeout=60)
