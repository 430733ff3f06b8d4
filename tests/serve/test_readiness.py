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
