"""The whole application on PostgreSQL: decide, tell, learn, decide by what was learned; and its server's restart."""

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from bandit_nba.online.learning_loop import LearningLoop
from bandit_nba.online.replica import Replica
from bandit_nba.workspace import Workspace, init_workspace, open_workspace
from bandit_nba.workspace.open import DATABASE_VARIABLE
from tests.postgres import Server
from tests.serve.asgi_client import Client
from tests.serve.conftest import Clock

N = 200


@pytest.fixture
def workspace(tmp_path: Path, postgres: Server, monkeypatch: pytest.MonkeyPatch) -> Iterator[Workspace]:
    url = postgres.store()
    monkeypatch.setenv(DATABASE_VARIABLE, url)
    init_workspace(tmp_path / "shop")
    yield open_workspace(tmp_path / "shop")
    postgres.drop(url)


def test_what_is_decided_and_told_is_learned_and_serves(
    workspace: Workspace, replica: Replica, client: Client, clock: Clock
) -> None:
    async def play() -> int:
        asked = [client.post("/v1/decisions", {"decisionId": f"d-{i}", "channel": "web"}) for i in range(N)]
        accepted = 0
        for answer in await asyncio.gather(*asked):
            assert answer.status == 201
            if answer.json["arm"] == "network_status":
                name = answer.json["decisionId"]
                told = await client.post("/v1/outcomes", {"outcomeId": name, "decisionId": name, "type": "accept"})
                assert told.status == 201
                accepted += 1
        return accepted

    accepted = asyncio.run(play())
    assert not (workspace.path / "data" / "nba.db").exists()
    clock.now_s += 1_801.0
    loop = LearningLoop.open(workspace, replica.database, clock=clock)
    loop.step()
    assert replica.feed.poll()
    status = asyncio.run(client.get("/v1/status")).json

    assert 0 < accepted < N
    assert status["decisions"]["learned"] == N
    assert status["outcomes"] == accepted
    assert status["replica"]["modelExamplesLearned"] == N
    again = asyncio.run(client.post("/v1/decisions", {"decisionId": "d-0", "channel": "web"}))
    assert again.status == 200  # its first answer, byte for byte, whatever was learned since
    loop.stop()


def test_the_server_may_restart_under_the_service(client: Client, postgres: Server) -> None:
    def decide(name: str) -> int:
        return asyncio.run(client.post("/v1/decisions", {"decisionId": name, "channel": "web"})).status

    assert decide("before") == 201
    postgres.stop()
    try:
        assert decide("during") == 503
        ready = asyncio.run(client.get("/readyz"))
        assert ready.status == 503
    finally:
        postgres.start()

    assert decide("during") == 201
    assert decide("before") == 200
    assert asyncio.run(client.get("/readyz")).status == 200
