"""GET /v1/decisions/{id}/explanation."""

import asyncio

import msgspec
import pytest

from bandit_nba.online.explaining import ExplanationAnswer
from bandit_nba.online.replica import Replica
from serve.app import create_app
from tests.serve.asgi_client import Answered, Client

ASK = {"decisionId": "d-1", "customerId": "kd-4711", "channel": "web", "facts": {"data_left_share": 0.5}}


@pytest.fixture
def decided(client: Client) -> Client:
    asyncio.run(client.post("/v1/decisions", ASK))
    return client


def explain(client: Client, query: str = "", decision: str = "d-1") -> Answered:
    return asyncio.run(client.get(f"/v1/decisions/{decision}/explanation{query}"))


def test_words_and_numbers(decided: Client) -> None:
    answer = explain(decided)
    logged = asyncio.run(decided.get("/v1/decisions/d-1")).json

    assert answer.status == 200
    found = msgspec.json.decode(answer.body, type=ExplanationAnswer)
    assert (found.language, found.arm, found.probability) == ("en", logged["arm"], logged["probability"])
    assert {arm.arm: arm.probability for arm in found.arms} == {c["arm"]: c["probability"] for c in logged["choices"]}
    assert {one.arm: (one.stage, one.reason) for one in found.removed} == {
        one["arm"]: (one["stage"], one["reason"]) for one in logged["removed"]
    }
    assert found.words.why == ["Nothing has been learned yet, so each possible action was equally likely."]


def test_in_german(decided: Client) -> None:
    words = explain(decided, "?lang=de").json["words"]

    assert words["headline"].startswith("Vorgeschlagen: ")
    assert any("nicht zugestimmt (Werbung zugestimmt: unbekannt)" in one for one in words["excluded"])


@pytest.mark.parametrize("query", ["?lang=fr", "?lang=", "?long=de", "?lang=en&x=1"])
def test_other_parameters_are_refused(decided: Client, query: str) -> None:
    refused = explain(decided, query)

    assert (refused.status, refused.json["type"]) == (422, "urn:nba:problem:invalid-value")


def test_an_unknown_decision(client: Client) -> None:
    assert explain(client, decision="gone").status == 404


def test_it_survives_a_restart(decided: Client, replica: Replica) -> None:
    successor = Replica.open(replica.workspace)
    again = explain(Client(create_app(successor)))
    successor.close()

    assert again.body == explain(decided).body
