"""Personalizer's calls at the edges: repeated in another form, too long, baselines by slot, and how it is told."""

import asyncio
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from bandit_nba.online.replica import Replica
from bandit_nba.workspace import Workspace
from serve.app import create_app
from serve.problem import Problem
from tests.serve.asgi_client import Client

SECOND = "?api-version=2022-09-01-preview"
ACTIONS = [{"id": name} for name in ("a", "b", "c", "d")]


@pytest.fixture
def client(workspace: Workspace) -> Iterator[Client]:
    replica = Replica.open(workspace)
    yield Client(create_app(replica))
    replica.close()


def rank(client: Client, event: str | None, **more):
    return asyncio.run(client.post("/personalizer/v1.0/rank", {"actions": ACTIONS, "eventId": event, **more}))


def rank_slots(client: Client, event: str, slots: list[dict]):
    body = {"actions": ACTIONS, "slots": slots, "eventId": event}
    return asyncio.run(client.post(f"/personalizer/multislot/rank{SECOND}", body))


def test_a_known_event_has_the_actions_that_it_was_ranked_with(client: Client) -> None:
    first = rank(client, "e-1", excludedActions=["b"]).json
    again = rank(client, "e-1", excludedActions=["b"], contextFeatures=[{"time": "later"}]).json
    other = rank(client, "e-1", actions=[{"id": "x"}, {"id": "y"}], excludedActions=["y"]).json

    assert again == first
    assert {one["id"] for one in other["ranking"] if one["probability"] > 0.0} == {"a", "c", "d"}
    assert "x" not in {one["id"] for one in other["ranking"]}
    assert other["rewardActionId"] == first["rewardActionId"]


def test_an_event_of_one_action_has_no_slots_to_tell(client: Client) -> None:
    rank(client, "one")
    refused = rank_slots(client, "one", [{"id": "hero", "baselineAction": "a"}])
    assert refused.status == 400
    assert refused.json["error"]["target"] == "eventId"

    slots = [{"id": "hero", "baselineAction": "a"}, {"id": "side", "baselineAction": "b"}]
    ranked = rank_slots(client, "two", slots)
    assert ranked.json == rank_slots(client, "two", slots[::-1]).json | {"slots": ranked.json["slots"]}
    assert rank_slots(client, "two", [{"id": "foot", "baselineAction": "a"}]).status == 400


@pytest.mark.parametrize("call", ["reward", "activate"])
@pytest.mark.parametrize("place", ["v1.0/events", "multislot/events", "events"])
def test_an_event_id_has_at_most_256_characters_in_an_address(client: Client, call: str, place: str) -> None:
    value = {"reward": [{"slotId": "hero", "value": 1.0}]} if "multi" in place else {"value": 1.0}
    path = f"/personalizer/{place}/{{}}/{call}" + ("" if "v1" in place else SECOND)
    sent = [asyncio.run(client.post(path.format("e" * n), value)) for n in (256, 257)]

    assert sent[0].status == (204 if call == "reward" else 404)
    assert sent[1].status == 400
    assert sent[1].json["error"]["target"] == "eventId"
    assert "256" in sent[1].json["error"]["message"]


def test_actions_stand_in_the_order_of_the_slots_baselines(client: Client) -> None:
    for i, (baselines, excluded, order) in enumerate(
        (("bda", ["c"], "bdac"), ("bda", ["d"], "bdac"), ("cab", ["c", "a"], "bcad"), ("bb", [], "bacd"))
    ):
        slots = [{"id": f"s{n}", "baselineAction": action} for n, action in enumerate(baselines)]
        slots[0]["excludedActions"] = excluded
        assert rank_slots(client, f"m-{i}", slots).status == 201
        places = asyncio.run(client.get(f"/v1/decisions/m-{i}")).json["slate"]["places"]
        chances = [choice["arm"] for choice in places[0]["choices"]]
        assert chances == [action for action in order if action not in excluded]
        later = [choice["arm"] for choice in places[1]["choices"]]
        assert later == [action for action in order if action != places[0]["arm"]]


def test_messages_tell_what_was_got_what_is_allowed_and_what_to_do(client: Client) -> None:
    refused = rank(client, "e" * 257).json["error"]
    assert refused["target"] == "eventId"
    assert re.search(r"got 'e+\.\.\.", refused["message"])
    twice = rank(client, None, actions=[{"id": "a"}, {"id": "a"}]).json["error"]
    assert "got 'a'" in twice["message"]
    version = asyncio.run(client.post("/personalizer/rank?api-version=1", {"actions": ACTIONS})).json["error"]
    assert "got '1'" in version["message"]
    assert "allowed: 2022-09-01-preview" in version["message"]
    unknown = asyncio.run(client.send("POST", "/personalizer/v1.0/events/none/activate", b""))
    assert (unknown.status, unknown.json["error"]["target"]) == (404, "eventId")


def test_all_that_is_below_personalizer_is_refused_in_its_form(client: Client) -> None:
    for method, path, status in (
        ("GET", "/personalizer/v1.0/rank", 405),
        ("POST", "/personalizer/v1.0/nowhere", 404),
        ("POST", "/personalizer/v1.1/rank", 404),
        ("DELETE", "/personalizer", 404),
    ):
        answer = asyncio.run(client.send(method, path, b""))
        assert answer.status == status
        assert set(answer.json) == {"error"}
        assert answer.json["error"]["message"]
    for path in ("/v1/nowhere", "/personalizers"):
        assert set(asyncio.run(client.get(path)).json) <= set(Problem.__struct_fields__)


def test_the_dashboard_counts_these_calls_too(client: Client) -> None:
    rank(client, "e-1")
    rank_slots(client, "e-2", [{"id": "hero", "baselineAction": "a"}])
    told = asyncio.run(client.get("/metrics")).body.decode()
    counted = set(re.findall(r'nba_requests_total{operation="(\w+)"', told))
    assert counted == {"firstGenerationRank", "multiSlotRank"}

    dashboard = (Path(__file__).parents[3] / "docs" / "grafana.json").read_text()
    for metric in ("nba_requests_total", "nba_request_seconds_bucket"):
        asked = re.search(metric + r'{operation=~\\"([^"]*)\\"', dashboard)
        assert asked is not None
        assert all(re.fullmatch(asked[1], name) for name in counted | {"decide", "secondGenerationRank"})
