"""wrk as a generator of load: a closed loop, or an open one that sends at a rate whatever comes back.

wrk costs a fraction of what it measures. In the open loop a schedule is kept in its script: each request has a time,
and the next connection that is free takes it. With far more connections than can be busy the offered rate does not
depend on the answers; how late requests were sent is measured (`late_ms`).
"""

import json
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from experiments.bench.http_workspace import CUSTOMERS


@dataclass(frozen=True)
class Seen:
    """What a run saw. ok_per_s: 2xx answers a second. statuses: how often each. bare: refusals with 429 or 503 that do
    not say when to come again. broken: connections that failed, and time-outs. late_ms: mean lateness of the sending.
    p50_ms, p99_ms: of all answers.
    """

    seconds: float
    per_s: float
    ok_per_s: float
    p50_ms: float
    p99_ms: float
    broken: int
    bare: int = 0
    late_ms: float = 0.0
    statuses: Mapping[str, int] = field(default_factory=dict)

    @property
    def failed(self) -> int:
        """Answers that were no 2xx, and broken connections."""
        return self.broken + sum(n for status, n in self.statuses.items() if not status.startswith("2"))


def closed(url: str, key: str, folder: Path, *, connections: int, seconds: float) -> Seen:
    """Each connection asks again once it was answered."""
    return _run(url, key, folder, connections=connections, seconds=seconds, per_s=0.0)


def paced(url: str, key: str, folder: Path, *, per_s: float, seconds: float, connections: int = 64) -> Seen:
    """Requests at `per_s`, as long as one of `connections` is free."""
    return _run(url, key, folder, connections=connections, seconds=seconds, per_s=per_s)


def _run(url: str, key: str, folder: Path, *, connections: int, seconds: float, per_s: float) -> Seen:
    wrk = shutil.which("wrk")
    if wrk is None:
        raise RuntimeError("wrk is not installed: apt-get install wrk")
    script = folder / "load.lua"
    text = _COMMON.replace("@KEY@", key).replace("@CUSTOMERS@", str(CUSTOMERS - 1))
    script.write_text(text + (_PACE.replace("@RATE@", str(per_s)) if per_s else ""))
    command = [wrk, "-t1", f"-c{connections}", f"-d{seconds:g}s", "--timeout", "30s", "-s", str(script), url]
    done = subprocess.run(command, capture_output=True, text=True, timeout=seconds + 90, check=False)
    last = done.stdout.strip().rpartition("\n")[2]
    if done.returncode or not last.startswith("{"):
        raise RuntimeError(f"wrk failed: {done.stderr[-500:] or done.stdout[-500:]}")
    return Seen(**json.loads(last))


_COMMON = """
wrk.method = "POST"
wrk.headers["Content-Type"] = "application/json"
wrk.headers["Authorization"] = "Bearer @KEY@"
local n = 0
math.randomseed(os.time())
request = function()
  n = n + 1
  return wrk.format(nil, nil, nil,
    '{"channel":"web","customerId":"customer-' .. math.random(0, @CUSTOMERS@) .. '","facts":{"r0":"w' .. (n % 8) ..
    '","r1":"w' .. (n % 5) .. '","r2":0.' .. (n % 10) .. ',"r3":1.' .. (n % 7) .. '}}')
end
statuses = {}
bare = 0
late = 0
sent = 0
response = function(status, headers, body)
  statuses[status] = (statuses[status] or 0) + 1
  local told = headers["Retry-After"] or headers["retry-after"]
  if (status == 503 or status == 429) and not told then bare = bare + 1 end
end
local threads = {}
setup = function(thread) table.insert(threads, thread) end
done = function(summary, latency, requests)
  local e = summary.errors
  local seconds = summary.duration / 1e6
  local parts, ok = {}, 0
  for status, count in pairs(threads[1]:get("statuses")) do
    table.insert(parts, string.format('"%d": %d', status, count))
    if status >= 200 and status < 300 then ok = ok + count end
  end
  io.write(string.format('{"seconds": %f, "per_s": %f, "ok_per_s": %f, "p50_ms": %f, "p99_ms": %f, "broken": %d, ' ..
    '"bare": %d, "late_ms": %f, "statuses": {%s}}\\n', seconds, summary.requests / seconds, ok / seconds,
    latency:percentile(50) / 1000, latency:percentile(99) / 1000, e.connect + e.read + e.write + e.timeout,
    threads[1]:get("bare"), threads[1]:get("late") / math.max(1, threads[1]:get("sent")), table.concat(parts, ", ")))
end
"""
_PACE = """
local ffi = require("ffi")
ffi.cdef[[ typedef struct { long s; long ns; } instant; int clock_gettime(int, instant*); ]]
local instant = ffi.new("instant")
local function now_ms()
  ffi.C.clock_gettime(1, instant)
  return tonumber(instant.s) * 1000 + tonumber(instant.ns) / 1e6
end
local due = nil
delay = function()
  local now = now_ms()
  due = (due or now) + 1000 / @RATE@
  sent = sent + 1
  if due < now - 1000 then due = now end  -- a second behind: what was not sent then is not sent at once
  if due < now then late = late + (now - due) end
  return math.max(0, math.floor(due - now + 0.5))
end
"""
