"""Four times what it can do, whatever comes back: refusals that say when to come again, bounded memory, recovery."""

import asyncio
import statistics
import threading
import time
from pathlib import Path

from tests.serve.load import generator
from tests.serve.load.saturation import capacity
from tests.serve.load.shop import Shop, open_shop
from tests.serve.load.verdict import Verdict
from tests.serve.load.wire import Wire

TIMES = 4.0
CONNECTIONS = 1_500
GROWS_MB = 150.0  # of both together, over a minute in which some 100,000 decisions are also logged
RECOVERS_S = 5.0
DEADLINE_S = 0.5


def open_loop(folder: Path, seconds: float) -> Verdict:
    """Offered at a fixed rate by wrk, while a probe asks every 50 ms as one more client."""
    verdict = Verdict()
    with open_shop(folder) as shop:
        saturating, best = capacity(shop, folder, seconds=4.0, connections=(16, 64))
        quiet = generator.paced(shop.url, shop.key, folder, per_s=best / 2, seconds=5.0)
        before = shop.memory_mb()
        with Probe(shop) as probe:
            seen = generator.paced(
                shop.url, shop.key, folder, per_s=TIMES * best, seconds=seconds, connections=CONNECTIONS
            )
        after = shop.memory_mb()
        recovery = _recovery_s(shop)
        again = generator.paced(shop.url, shop.key, folder, per_s=best / 2, seconds=5.0)
        grown = sum(after.values()) - sum(before.values())
        answered = [ms for ms, status in probe.seen if status in (200, 201)]
        verdict.note(
            capacity_per_s=round(best),
            saturating_connections=saturating,
            offered_per_s=round(seen.per_s),
            wanted_per_s=round(TIMES * best),
            sent_late_ms=round(seen.late_ms, 1),
            goodput_per_s=round(seen.ok_per_s),
            goodput_share=round(seen.ok_per_s / best, 3),
            statuses=dict(seen.statuses),
            refusals_without_retry_after=seen.bare,
            broken=seen.broken,
            probe={
                "asked": len(probe.seen),
                "answered": len(answered),
                "p50_ms": round(statistics.median(answered), 1) if answered else None,
                "max_ms": round(max(answered), 1) if answered else None,
            },
            memory_before_mb=before,
            memory_after_mb=after,
            recovery_s=round(recovery, 2),
            p99_before_ms=round(quiet.p99_ms, 1),
            p99_after_ms=round(again.p99_ms, 1),
            counts=shop.status()["replica"]["counts"],
        )
        other = set(seen.statuses) - {"200", "201", "429", "503"}
        verdict.require(not other, f"refusals other than 429 and 503: {sorted(other)}")
        verdict.require(seen.bare == 0, f"{seen.bare} refusals without Retry-After")
        verdict.require(seen.broken == 0, f"{seen.broken} broken connections")
        verdict.require(grown < GROWS_MB, f"memory grew by {grown:.0f} MB")
        verdict.require(recovery < RECOVERS_S, f"recovery took {recovery:.1f} s")
        verdict.require(again.failed == 0, f"{again.failed} failed after the overload")
    return verdict


class Probe:
    """One more client during the load, in a thread: milliseconds and status of each of its decisions."""

    def __init__(self, shop: Shop) -> None:
        self.seen: list[tuple[float, int]] = []
        self._shop = shop
        self._stop = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._ask()))

    def __enter__(self) -> "Probe":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    async def _ask(self) -> None:
        wire, n = Wire(self._shop.port, self._shop.key), 0
        while not self._stop.is_set():
            n += 1
            begun = time.perf_counter()
            reply = await wire.decide(f"probe-{id(self)}-{n}")
            self.seen.append(((time.perf_counter() - begun) * 1000, reply.status))
            await asyncio.sleep(0.05)
        wire.close()


def _recovery_s(shop: Shop) -> float:
    """Seconds after the load until ten decisions in a row were made, each within its deadline."""

    async def wait() -> float:
        wire, begun, good, n = Wire(shop.port, shop.key), time.perf_counter(), 0, 0
        recovered = begun
        while good < 10 and time.perf_counter() - begun < 60.0:
            n, asked = n + 1, time.perf_counter()
            reply = await wire.decide(f"recovery-{id(wire)}-{n}")
            fine = reply.status == 201 and time.perf_counter() - asked < DEADLINE_S
            if not fine:
                good = 0
                await asyncio.sleep(0.02)
            elif good == 0:
                recovered = time.perf_counter()
            good += fine
        wire.close()
        return (recovered if good >= 10 else time.perf_counter()) - begun

    return asyncio.run(wait())
