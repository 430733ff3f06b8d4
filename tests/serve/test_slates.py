"""Rankings, slots, inline actions and picks over HTTP."""

import asyncio
from dataclasses import replace
from typing import Any

import msgspec
import pytest

from bandit_nba.online.replica import Replica
from bandit_nba.workspace import Workspace
from serve.app import create_app
from tests.serve.asgi_client import Answered, Client

RANKED = {"decisionId": "d-1", "customerId": "kd-4711", "channel": "web", "topK": 2}


def post(client: Client, path: str, body: object) -> Answered:
    return asyncio.run(client.post(path, body))


def look(client: Client, decision: str = "d-1") -> Any:
    return asyncio.run(client.get(f"/v1/decisions/{decision}")).json


def test_a_ranking_is_created_once_and_looked_at(client: Client) -> None:
    made, again = post(client, "/v1/decisions", RANKED), post(client, "/v1/decisions", RANKED)

    assert (made.status, again.status) == (201, 200)
    assert again.body == made.body
    ranking = made.json["ranking"]
    assert [place["rank"] for place in ranking] == [1, 2]
    assert set(ranking[0]) == {
        *("rank", "arm", "action", "treatment", "probability", "expectedReward", "value", "priority", "reasons"),
    }
    assert made.json["slateProbability"] == ranking[0]["probability"] * ranking[1]["probability"] == 0.5
    slate = look(client)["slate"]
    assert (slate["kind"], slate["probability"], slate["picked"]) == ("ranking", 0.5, None)
    assert [place["arm"] for place in slate["places"]] == [place["arm"] for place in ranking]
    assert [len(place["choices"]) for place in slate["places"]] == [2, 1]


def test_slots_are_answered_and_outcomes_name_them(client: Client) -> None:
    body = {"decisionId": "d-1", "channel": "web", "slots": [{"id": "hero"}, {"id": "side"}]}
    made = post(client, "/v1/decisions", body)
    told = post(client, "/v1/outcomes", {"outcomeId": "o", "decisionId": "d-1", "type": "accept", "slot": "side"})

    assert [slot["id"] for slot in made.json["slots"]] == ["hero", "side"]
    assert made.json["slots"][0]["arm"] == made.json["arm"]
    assert told.status == 201


def test_actions_of_the_request_need_no_catalogue(client: Client) -> None:
    actions = [{"id": "a/b", "features": {"topic": "tv", "price": 9.9}}, {"id": "c"}]
    made = post(client, "/v1/decisions", {"decisionId": "d-1", "channel": "web", "actions": actions})

    assert made.status == 201
    assert made.json["arm"] in ("a/b", "c")
    found = look(client)
    assert (found["arm"], found["action"], found["treatment"]) == (made.json["arm"], made.json["arm"], None)
    assert [choice["arm"] for choice in found["choices"]] == ["a/b", "c"]


def test_a_pick_is_kept_once(client: Client) -> None:
    ranking = post(client, "/v1/decisions", RANKED).json["ranking"]
    arm, other = ranking[1]["arm"], ranking[0]["arm"]
    first, again = (post(client, "/v1/decisions/d-1/pick", {"arm": arm}) for _ in range(2))
    refused = post(client, "/v1/decisions/d-1/pick", {"arm": other})

    assert (first.status, again.status, refused.status) == (201, 200, 422)
    assert first.body == again.body
    assert first.json["arm"] == arm
    assert refused.json["type"] == "urn:nba:problem:id-conflict"
    assert look(client)["slate"]["picked"] == arm


@pytest.mark.parametrize(
    ("decision", "body", "status"),
    [
        ("d-1", {"arm": "visit"}, 422),
        ("d-1", {}, 422),
        ("d-1", {"arm": 1}, 422),
        ("d-1", {"arm": None, "why": "x"}, 422),
        ("d-1", b"{", 400),
        ("plain", {"arm": None}, 409),
        ("nobody", {"arm": None}, 404),
    ],
)
def test_picks_that_cannot_be_kept(client: Client, decision: str, body: object, status: int) -> None:
    post(client, "/v1/decisions", RANKED)
    post(client, "/v1/decisions", {"decisionId": "plain", "channel": "web"})

    assert post(client, f"/v1/decisions/{decision}/pick", body).status == status


@pytest.mark.parametrize(
    "more",
    [
        {"topK": 0},
        {"topK": 51},
        {"topK": 2, "slots": [{"id": "a"}]},
        {"slots": []},
        {"actions": []},
        {"actions": [{"id": "a", "features": {"n": [1]}}]},
        {"actions": [{"id": "a\nb"}]},
        {"actions": [{"id": "a", "features": {"|U x": 1}}]},
        {"excludedArms": ["no_action"]},
    ],
)
def test_wishes_that_cannot_be_given(client: Client, more: dict[str, object]) -> None:
    refused = post(client, "/v1/decisions", {"channel": "web", **more})

    assert refused.status == 422
    assert refused.headers["content-type"] == "application/problem+json"


def test_numbers_out_of_range_never_come_in(client: Client) -> None:
    for number in (b"1e400", b"NaN", b"-Infinity", b"1e16"):
        body = b'{"channel":"web","actions":[{"id":"a","features":{"n":' + number + b"}}]}"
        assert post(client, "/v1/decisions", body).status in (400, 422)


def test_a_thousand_actions_fit_in_a_body(workspace: Workspace, clock: Any) -> None:
    """They take about 50 ms; the channel has time enough for a machine that does other things as well."""
    patient = msgspec.structs.replace(workspace.service.channels["web"], deadline="PT10S")
    service = msgspec.structs.replace(workspace.service, channels=workspace.service.channels | {"web": patient})
    replica = Replica.open(replace(workspace, service=service), clock=clock)
    actions = [{"id": f"a{i}", "features": {f"f{j}": "x" * 50 for j in range(20)}} for i in range(1_000)]
    body = msgspec.json.encode({"channel": "web", "actions": actions})
    answer = post(Client(create_app(replica)), "/v1/decisions", body)
    replica.close()

    assert 2**20 < len(body) < 2**22
    assert answer.status == 201
    assert answer.json["kind"] == "normal"
