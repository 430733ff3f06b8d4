"""Readiness turns false with the reason, and true again by itself; the log says what clients are not told."""

import asyncio

import pytest
import sqlalchemy as sa

from bandit_nba.online.replica import Replica
from tests.serve.asgi_client import Client


def limit_pages(replica: Replica, pages: int) -> int:
    """Let the file grow to so many pages at most; gives how many it has. The write connection is one, and stays."""
    with replica.database.write() as connection:
        connection.exec_driver_sql(f"PRAGMA max_page_count={pages}")
        return int(connection.exec_driver_sql("PRAGMA page_count").scalar_one())


def decide(client: Client, decision: str) -> int:
    facts = {"tenure_months": 3}
    return asyncio.run(client.post("/v1/decisions", {"decisionId": decision, "channel": "web", "facts": facts})).status


def test_a_full_disk_turns_readiness_false_with_the_reason_and_space_turns_it_true_again(
    client: Client, replica: Replica, caplog: pytest.LogCaptureFixture
) -> None:
    assert decide(client, "d-0") == 201
    limit_pages(replica, 1)  # SQLite takes the present size as the least
    statuses = [decide(client, f"d-{i}") for i in range(1, 60)]
    assert statuses.count(503) > 10  # pages that were half empty took a few

    answer = asyncio.run(client.get("/readyz"))
    assert answer.status == 503
    assert answer.headers["retry-after"].isdigit()
    assert "full" in answer.json["detail"]
    assert "free space" in answer.json["hint"]
    assert str(replica.workspace.path) not in answer.body.decode()

    limit_pages(replica, 1_000_000)
    assert asyncio.run(client.get("/readyz")).status == 200
    assert decide(client, "d-59") == 201
    told = [record.message for record in caplog.records if record.name == "nba.store"]
    assert ["nothing can be stored" in line for line in told] == [True, False]  # once for a row of failures
    assert "SQLITE_FULL" in told[0]
    assert "takes writes again" in told[1]


def test_readiness_names_no_file(client: Client, replica: Replica) -> None:
    """The driver's words may name files and hosts; they stay in the log."""
    with replica.database.write() as connection:
        connection.execute(sa.text("DROP TABLE meta"))
    answer = asyncio.run(client.get("/readyz"))

    assert answer.status in (500, 503)
    assert "meta" not in answer.body.decode()


def test_calls_that_wait_for_the_store_are_bounded(client: Client, replica: Replica) -> None:
    """While another transaction holds the store's only turn, 300 activations are sent: 200 wait, the rest are told."""

    async def crowd() -> tuple[list[int], int]:
        async with asyncio.TaskGroup() as group:
            with replica.database.write():
                calls = [group.create_task(client.post(f"/v1/decisions/d-{i}/activate", {})) for i in range(300)]
                async with asyncio.timeout(20.0):
                    while sum(call.done() for call in calls) < 100:
                        await asyncio.sleep(0.01)
                await asyncio.sleep(0.3)  # no more of them are told
                early = [call.result() for call in calls if call.done()]
                told = await asyncio.wait_for(
                    client.get("/v1/status"), 5.0
                )  # whoever watches does not wait behind them
        assert all(answer.headers["retry-after"].isdigit() for answer in early)
        return [answer.status for answer in early], told.status

    early, told = asyncio.run(crowd())
    assert early == [503] * 100
    assert told == 200


def test_a_replica_that_closes_is_alive_and_not_ready(client: Client, replica: Replica) -> None:
    replica._closing = True  # what `close` says first

    assert asyncio.run(client.get("/healthz")).status == 200
    answer = asyncio.run(client.get("/readyz"))
    assert (answer.status, answer.headers["content-type"]) == (503, "application/problem+json")
