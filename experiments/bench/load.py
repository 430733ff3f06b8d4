"""Load on 127.0.0.1 by wrk, a generator in C that costs a fraction of what it measures; it stops by itself."""

import json
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from bandit_nba.errors import RefusedError


@dataclass(frozen=True)
class Load:
    """What one run saw. p50_ms, p99_ms: of the answers; failed: answers that were not 2xx, and broken connections."""

    per_s: float
    p50_ms: float
    p99_ms: float
    answers: int
    failed: int


def drive(url: str, script: Path, *, connections: int, seconds: float, threads: int = 1) -> Load:
    """Keep `connections` busy for `seconds`; each asks again once it was answered (a closed loop).

    Raises
    ------
    RefusedError
        If wrk is not installed or fails.
    """
    wrk = shutil.which("wrk")
    if wrk is None:
        raise RefusedError("wrk is not installed", hint="Debian, Ubuntu: apt-get install wrk")
    count = str(max(connections, threads))
    command = [wrk, f"-t{threads}", "-c", count, f"-d{seconds:g}s", "--timeout", "30s", "-s", str(script), url]
    done = subprocess.run(command, capture_output=True, text=True, timeout=seconds + 60, check=False)  # noqa: S603
    last = done.stdout.strip().rpartition("\n")[2]
    if done.returncode or not last.startswith("{"):
        raise RefusedError(f"wrk failed: {done.stderr.strip()[-500:] or done.stdout[-500:]}")
    return Load(**json.loads(last))


def script(path: Path, *, body: str, key: str = "") -> Path:
    """Write a script for `drive`; `body` is the Lua expression that makes the body of one request."""
    path.write_text(_SCRIPT.replace("@BODY@", body).replace("@KEY@", key), encoding="utf-8")
    return path


_SCRIPT = """
wrk.method = "POST"
wrk.headers["Content-Type"] = "application/json"
if "@KEY@" ~= "" then wrk.headers["Authorization"] = "Bearer @KEY@" end
local n = 0
local run = tostring(os.time()) .. string.sub(tostring({}), -7)
math.randomseed(os.time())
request = function()
  n = n + 1
  return wrk.format(nil, nil, nil, @BODY@)
end
failures = 0
response = nil
done = function(summary, latency, requests)
  local e = summary.errors
  local ok = summary.requests
  io.write(string.format('{"per_s": %f, "p50_ms": %f, "p99_ms": %f, "answers": %d, "failed": %d}\\n',
    ok / summary.duration * 1e6, latency:percentile(50) / 1000, latency:percentile(99) / 1000, ok,
    e.connect + e.read + e.write + e.status + e.timeout))
end
"""
