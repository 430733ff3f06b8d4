"""Servers that take a connection and say nothing: patience ends when it was said to, for both clients."""

import asyncio
import socket
import time
from collections.abc import Iterator

import httpx2
import pytest

from bandit_nba.client import AsyncClient, Client, Patience, UnreachableError
from tests.machine import time_lost

PATIENCE = Patience(timeout_s=0.9, within_s=1.0, tries=50, first_pause_s=0.01, longest_pause_s=0.02)


@pytest.fixture
def silent() -> Iterator[str]:
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen(100)
        yield f"http://127.0.0.1:{listening.getsockname()[1]}"


def test_all_tries_together_last_no_longer_than_was_said(silent: str) -> None:
    async def ask() -> None:
        async with AsyncClient(silent, patience=PATIENCE) as nba:
            await nba.decide("web")

    def ask_in_turn() -> None:
        with Client(silent, patience=PATIENCE) as nba:
            nba.decide("web")

    for asked in (ask_in_turn, lambda: asyncio.run(ask())):
        begun = time.monotonic()
        with time_lost() as lost, pytest.raises(UnreachableError):
            asked()
        assert time.monotonic() - begun < 1.5 + lost.seconds  # two whole tries would last 1.8 s


def test_a_client_to_await_asks_again_with_the_same_bytes() -> None:
    seen: list[bytes] = []

    def answer(request: httpx2.Request) -> httpx2.Response:
        seen.append(request.content)
        if len(seen) < 3:
            return httpx2.Response(503, headers={"retry-after": "0"}, json={"title": "busy", "status": 503})
        return httpx2.Response(201, json={"outcomeId": "o", "receipt": "created"})

    async def tell() -> str:
        async with AsyncClient("http://test", patience=PATIENCE, transport=httpx2.MockTransport(answer)) as nba:
            return (await nba.tell("accept", decision_id="d")).receipt

    assert asyncio.run(tell()) == "created"
    assert len(seen) == 3
    assert len(set(seen)) == 1
