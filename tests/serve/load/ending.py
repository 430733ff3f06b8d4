"""SIGTERM under load: whatever was accepted is answered, whatever was answered is kept, and nobody new comes in."""

import asyncio
import signal
import socket
import time
from dataclasses import dataclass, field
from pathlib import Path

from bandit_nba.store.database import Database
from bandit_nba.store.log import decisions as decision_store
from bandit_nba.workspace import open_workspace
from tests.serve.load.shop import Shop, open_shop
from tests.serve.load.verdict import Verdict
from tests.serve.load.wire import Wire

CLIENTS = 32
ENDS_WITHIN_S = 40.0


@dataclass
class Heard:
    """What clients heard. acknowledged: ids with 2xx. refused_connections: none could be made. unanswered: sent on a
    connection, and then nothing came.
    """

    acknowledged: list[str] = field(default_factory=list)
    other: list[int] = field(default_factory=list)
    refused_connections: int = 0
    unanswered: list[str] = field(default_factory=list)


def end_under_load(folder: Path, seconds: float) -> Verdict:
    """32 clients ask all the time; in the middle the service is told to stop."""
    verdict = Verdict()
    with open_shop(folder) as shop:
        heard, ended_s = asyncio.run(_clients(shop, seconds))
        told = shop.process.wait(ENDS_WITHIN_S)
        database = Database.open(open_workspace(shop.path).database_url)
        try:
            with database.read() as connection:
                kept = decision_store.answers(connection, heard.acknowledged)
        finally:
            database.close()
        lost = len(set(heard.acknowledged)) - len(kept)
        verdict.note(
            acknowledged=len(heard.acknowledged),
            kept=len(kept),
            unanswered=len(heard.unanswered),
            other_answers=sorted(set(heard.other)),
            refused_connections=heard.refused_connections,
            refused_after_s=round(ended_s, 2),
            exit_code=told,
        )
        verdict.require(lost == 0, f"{lost} acknowledged decisions are not in the log")
        verdict.require(not heard.unanswered, f"{len(heard.unanswered)} requests were taken and not answered")
        verdict.require(set(heard.other) <= {503}, f"answers {sorted(set(heard.other))}")
        verdict.require(heard.refused_connections > 0, "new connections were not refused")
        verdict.require(told == 0, f"exit code {told}")
    return verdict


async def _clients(shop: Shop, seconds: float) -> tuple[Heard, float]:
    """What the clients heard, and after how long the port was closed."""
    heard = Heard()
    clients = [asyncio.create_task(_ask(shop, i, heard)) for i in range(CLIENTS)]
    await asyncio.sleep(seconds)
    begun = time.monotonic()
    shop.process.send_signal(signal.SIGTERM)
    closed_s = await asyncio.to_thread(_closed_after_s, shop.port, begun)
    await asyncio.gather(*clients)
    return heard, closed_s


async def _ask(shop: Shop, number: int, heard: Heard) -> None:
    """Ask until no connection can be made any more."""
    wire, n = Wire(shop.port, shop.key), 0
    while True:
        n += 1
        decision = f"end-{number}-{n}"
        reply = await wire.decide(decision)
        if reply.status == -1:
            heard.refused_connections += 1
            return
        if reply.status in (200, 201):
            heard.acknowledged.append(decision)
        elif reply.status == 0:
            heard.unanswered.append(decision)
        else:
            heard.other.append(reply.status)


def _closed_after_s(port: int, begun: float) -> float:
    while time.monotonic() - begun < ENDS_WITHIN_S:
        try:
            with socket.create_connection(("127.0.0.1", port), timeout=1.0):
                pass
        except OSError:
            break
        time.sleep(0.02)
    return time.monotonic() - begun
