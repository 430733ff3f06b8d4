"""2,000 idle connections and 200 that drip headers or bodies: others do not notice, and the slow ones are dropped."""

import asyncio
import contextlib
import statistics
import threading
import time
from pathlib import Path

from tests.serve.load import generator
from tests.serve.load.saturation import capacity
from tests.serve.load.shop import Shop, open_shop
from tests.serve.load.verdict import Verdict
from tests.serve.load.wire import Wire

IDLE, SLOW = 2_000, 200
DRIP_S = 0.5
DROPPED_WITHIN_S = 15.0
TIMES = 2.0


def slow_clients(folder: Path, seconds: float) -> Verdict:
    """A quarter of the capacity, with the crowd and without, alternating three times."""
    verdict = Verdict()
    with open_shop(folder) as shop:
        _, best = capacity(shop, folder, seconds=4.0, connections=(16, 64))
        rate, part = best / 4, max(3.0, seconds / 6)
        quiet, crowded = [], []
        for _ in range(3):
            quiet.append(generator.paced(shop.url, shop.key, folder, per_s=rate, seconds=part))
            with Crowd(shop) as crowd:
                there = crowd.there
                crowded.append(generator.paced(shop.url, shop.key, folder, per_s=rate, seconds=part))
        with Crowd(shop) as crowd:
            time.sleep(DROPPED_WITHIN_S)
            lived = list(crowd.lived_s)
        before = statistics.median(seen.p99_ms for seen in quiet)
        during = statistics.median(seen.p99_ms for seen in crowded)
        verdict.note(
            rate_per_s=round(rate),
            connections=there,
            p99_quiet_ms=[round(seen.p99_ms, 2) for seen in quiet],
            p99_crowded_ms=[round(seen.p99_ms, 2) for seen in crowded],
            ratio=round(during / before, 2),
            slow_dropped=len(lived),
            slow_lived_s=round(max(lived, default=0.0), 1),
        )
        verdict.require(during <= TIMES * before, f"p99 {during:.1f} ms instead of {before:.1f} ms")
        verdict.require(len(lived) >= SLOW, f"only {len(lived)} of {SLOW} slow connections were dropped")
        for seen in (*quiet, *crowded):
            verdict.require_ok(seen.statuses, seen.broken, "other clients")
    return verdict


class Crowd:
    """Idle and slow connections, in a thread of their own; a slow one that was dropped comes again.

    lived_s: how long each slow one was borne that was dropped. there: how many connections there were at the start.
    """

    def __init__(self, shop: Shop) -> None:
        self.lived_s: list[float] = []
        self.there = 0
        self._shop = shop
        self._ready, self._stop = threading.Event(), threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._stay()))

    def __enter__(self) -> "Crowd":
        self._thread.start()
        self._ready.wait(30.0)
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join(60.0)

    async def _stay(self) -> None:
        idle = [asyncio.create_task(self._idle(2.0 * i / IDLE)) for i in range(IDLE)]
        slow = [asyncio.create_task(self._drip(headers=i % 2 == 0)) for i in range(SLOW)]
        await asyncio.sleep(3.0)
        self._ready.set()
        while not self._stop.is_set():
            await asyncio.sleep(0.1)
        for task in (*idle, *slow):
            task.cancel()
        await asyncio.gather(*idle, *slow, return_exceptions=True)

    async def _idle(self, first_s: float) -> None:
        """Says nothing; when it is sent away it comes again. Not all come in one moment."""
        await asyncio.sleep(first_s)
        while True:
            with contextlib.suppress(OSError):
                reader, writer = await asyncio.open_connection("127.0.0.1", self._shop.port)
                self.there += 1
                try:
                    await reader.read()
                finally:
                    writer.close()
                self.there -= 1
            await asyncio.sleep(0.1)

    async def _drip(self, *, headers: bool) -> None:
        """One byte every half second, of endless headers or of a body that is said to be long."""
        head = Wire(self._shop.port, self._shop.key).head("POST", "/v1/decisions", 10_000)
        while True:
            begun = time.monotonic()
            with contextlib.suppress(OSError):
                reader, writer = await asyncio.open_connection("127.0.0.1", self._shop.port)
                self.there += 1
                try:
                    writer.write(head[:-2] + b"X-Slow: " if headers else head + b'{"channel":"')
                    gone = asyncio.create_task(reader.read())
                    while not gone.done():
                        writer.write(b"a")
                        await asyncio.wait([gone], timeout=DRIP_S)
                finally:
                    gone.cancel()
                    writer.close()
                self.there -= 1
                self.lived_s.append(time.monotonic() - begun)
            await asyncio.sleep(0.2)
