"""Clients that go away in the middle of everything leave nothing hanging."""

import asyncio
import time
from pathlib import Path

from tests.serve.load.shop import Shop, open_shop
from tests.serve.load.verdict import Verdict
from tests.serve.load.wire import Wire

WAVES, CLIENTS = 5, 200


def clients_that_go(folder: Path, seconds: float) -> Verdict:
    """1,000 clients in waves: half go in the middle of their body, half right after it; then all must be as before."""
    verdict = Verdict()
    with open_shop(folder) as shop:
        asyncio.run(_come_and_go(shop))
        give_up = time.monotonic() + max(5.0, seconds)
        while time.monotonic() < give_up and _hanging(shop):
            time.sleep(0.2)
        hanging = _hanging(shop)
        begun = time.perf_counter()
        shop.send("POST", "/v1/decisions", b'{"channel":"web"}')
        verdict.note(
            clients=WAVES * CLIENTS, hanging=hanging, next_decision_ms=round(1e3 * (time.perf_counter() - begun), 1)
        )
        verdict.require(not hanging, f"left behind: {hanging}")
    return verdict


async def _come_and_go(shop: Shop) -> None:
    for wave in range(WAVES):
        await asyncio.gather(*(_go(shop, whole=i % 2 == 0, late_s=0.002 * wave) for i in range(CLIENTS)))


async def _go(shop: Shop, *, whole: bool, late_s: float) -> None:
    _, writer = await asyncio.open_connection("127.0.0.1", shop.port)
    body = b'{"channel":"web","facts":{"r2":0.5}}'
    writer.write(Wire(shop.port, shop.key).head("POST", "/v1/decisions", len(body)) + (body if whole else body[:10]))
    await writer.drain()
    await asyncio.sleep(late_s)
    writer.close()


def _hanging(shop: Shop) -> dict[str, int]:
    """What still waits, by the replica's own count."""
    here = shop.status()["replica"]
    return {name: here[name] for name in ("decisionsWaiting", "outcomesWaiting") if here[name]}
