"""Deadlines over HTTP: what cannot be kept is refused, or answered with nothing, and never told as kept."""

import asyncio
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from bandit_nba.online.replica import Replica
from bandit_nba.workspace import init_workspace, open_workspace
from serve.app import create_app
from tests.serve.asgi_client import Client


@pytest.fixture
def locked(tmp_path: Path) -> Iterator[Client]:
    """A service whose store is locked by another process; web refuses then, email does nothing."""
    init_workspace(tmp_path / "shop")
    path = tmp_path / "shop" / "service.toml"
    text = path.read_text().replace("[channels.web]\n", '[channels.web]\ndeadline = "PT0.3S"\n')
    text = text.replace("[channels.email]\n", '[channels.email]\ndeadline = "PT0.3S"\nunwritable = "no_action"\n')
    path.write_text(text)
    replica = Replica.open(open_workspace(tmp_path / "shop"))
    with closing(sqlite3.connect(tmp_path / "shop" / "data" / "nba.db", timeout=5.0)) as other:
        other.execute("BEGIN IMMEDIATE")
        yield Client(create_app(replica))
        other.rollback()
    replica.close(drain_s=5.0)


def test_what_cannot_be_kept_is_refused(locked: Client) -> None:
    answer = asyncio.run(locked.post("/v1/decisions", {"decisionId": "d-1", "channel": "web"}))

    assert (answer.status, answer.json["type"]) == (503, "urn:nba:problem:busy")
    assert answer.headers["retry-after"] == "1"


def test_or_answered_with_nothing_where_the_channel_says_so(locked: Client) -> None:
    answer = asyncio.run(locked.post("/v1/decisions", {"decisionId": "d-1", "channel": "email"}))

    assert answer.status == 200
    assert (answer.json["arm"], answer.json["kind"], answer.json["durable"]) == ("no_action", "fallback", False)
    assert asyncio.run(locked.get("/v1/decisions/d-1")).status == 404
    counts = asyncio.run(locked.get("/v1/status")).json["replica"]["counts"]
    assert counts["decisions_not_durable"] == 1


def test_clients_cannot_ask_for_more_time(client: Client) -> None:
    refused = asyncio.run(client.post("/v1/decisions", {"channel": "web", "deadline": "PT60S"}))

    assert refused.status == 422
