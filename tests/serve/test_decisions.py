"""POST /v1/decisions and what can be done with a decision afterwards."""

import asyncio
from dataclasses import replace
from typing import Any
from urllib.parse import quote

import msgspec
import pytest

from bandit_nba.online.replica import Replica
from serve.app import create_app
from tests.serve.asgi_client import Answered, Client

ASK = {"decisionId": "d-1", "customerId": "kd-4711", "channel": "web", "facts": {"data_left_share": 0.5}}


def ask(client: Client, *asked: object) -> list[Answered]:
    async def all_at_once() -> list[Answered]:
        return await asyncio.gather(*(client.post("/v1/decisions", one) for one in asked))

    return asyncio.run(all_at_once())


def test_a_new_decision_is_created(client: Client) -> None:
    (answer,) = ask(client, ASK)

    assert answer.status == 201
    assert answer.headers["content-type"] == "application/json"
    assert int(answer.headers["content-length"]) == len(answer.body)
    assert answer.json == {
        "decisionId": "d-1",
        "action": answer.json["arm"],
        "treatment": None,
        "arm": answer.json["arm"],
        "probability": 0.5,
        "expectedReward": 0.0,
        "kind": "normal",
        "decidedAt": "2027-01-15T08:00:00Z",
        "validUntil": "2027-01-15T08:30:00Z",
        "activateBy": None,
        "modelVersion": "none",
        "policyVersion": answer.json["policyVersion"],
        "catalogueVersion": answer.json["catalogueVersion"],
    }
    assert answer.json["arm"] in ("no_action", "network_status")


def test_a_replay_is_equal_byte_for_byte(client: Client, clock: Any) -> None:
    (first,) = ask(client, ASK)
    clock.now_s += 60.0
    (again,) = ask(client, ASK)

    assert (first.status, again.status) == (201, 200)
    assert again.body == first.body


def test_a_replay_survives_a_restart(client: Client, replica: Replica) -> None:
    (first,) = ask(client, ASK)
    successor = Replica.open(replica.workspace)
    (again,) = ask(Client(create_app(successor)), ASK)
    successor.close()

    assert (again.status, again.body) == (200, first.body)


def test_another_payload_needs_another_id(client: Client) -> None:
    ask(client, ASK)
    (refused,) = ask(client, {**ASK, "channel": "email"})

    assert refused.status == 422
    assert refused.headers["content-type"] == "application/problem+json"
    assert refused.json["type"] == "urn:nba:problem:id-conflict"


def test_200_clients_at_once_with_ids_of_their_own(client: Client) -> None:
    answers = ask(client, *({"decisionId": f"d-{i}", "channel": "web"} for i in range(200)))

    assert {answer.status for answer in answers} == {201}
    assert [answer.json["decisionId"] for answer in answers] == [f"d-{i}" for i in range(200)]


def test_200_clients_at_once_with_one_id(client: Client, replica: Replica) -> None:
    answers = ask(client, *[ASK] * 200)

    assert sorted(answer.status for answer in answers) == [200] * 199 + [201]
    assert len({answer.body for answer in answers}) == 1
    assert asyncio.run(replica.status()).decisions.total == 1


def test_200_clients_at_once_of_which_half_ask_something_else(client: Client, replica: Replica) -> None:
    asked = [{**ASK, "decisionId": f"d-{i % 50}", "channel": ("web", "email")[i % 100 // 50]} for i in range(200)]
    answers = ask(client, *asked)

    statuses = [answer.status for answer in answers]
    assert statuses.count(201) == 50
    assert statuses.count(200) == 50
    assert statuses.count(422) == 100
    assert asyncio.run(replica.status()).decisions.total == 50


def test_an_id_is_made_where_none_is_given(client: Client) -> None:
    first, second = ask(client, {"channel": "web"}, {"channel": "web"})

    assert first.json["decisionId"] != second.json["decisionId"]


def test_a_full_queue_refuses_at_once(workspace: Any, clock: Any) -> None:
    service = msgspec.structs.replace(workspace.service, max_queued=5)
    replica = Replica.open(replace(workspace, service=service), clock=clock)
    answers = ask(Client(create_app(replica)), *({"decisionId": f"d-{i}", "channel": "web"} for i in range(200)))
    kept = asyncio.run(replica.status()).decisions.total
    replica.close()

    statuses = [answer.status for answer in answers]
    assert set(statuses) == {201, 503}
    assert statuses.count(201) == kept
    refused = next(answer for answer in answers if answer.status == 503)
    assert refused.json["type"] == "urn:nba:problem:busy"
    assert refused.headers["retry-after"] == "1"


def test_a_store_that_is_gone_is_said_so(client: Client, replica: Replica) -> None:
    replica.database.close()
    (refused,) = ask(client, ASK)

    assert refused.status == 503
    assert refused.json["type"] == "urn:nba:problem:store-unavailable"
    assert refused.headers["retry-after"] == "5"
    assert "/" not in refused.json["detail"]  # no path of the server's disk


def test_a_decision_that_cannot_be_logged_spoils_no_other(client: Client, replica: Replica) -> None:
    """As where a row is damaged: the database takes everything but d-1."""
    with replica.database.write() as connection:
        connection.exec_driver_sql(
            "CREATE TRIGGER no BEFORE INSERT ON decisions WHEN NEW.id = 'd-1' BEGIN SELECT RAISE(ABORT, 'no'); END"
        )
    refused, *others = ask(client, ASK, *({"decisionId": f"e-{i}", "channel": "web"} for i in range(20)))

    assert refused.status == 503
    assert {answer.status for answer in others} == {201}


def test_a_decision_can_be_looked_at(client: Client) -> None:
    (made,) = ask(client, ASK)
    found = asyncio.run(client.get("/v1/decisions/d-1"))

    assert found.status == 200
    assert found.json["arm"] == made.json["arm"]
    assert found.json["state"] == "active"
    assert [choice["arm"] for choice in found.json["choices"]] == ["no_action", "network_status"]
    assert sum(choice["probability"] for choice in found.json["choices"]) == pytest.approx(1.0)
    assert {removed["stage"] for removed in found.json["removed"]} == {"consent", "eligibility"}
    assert "kd-4711" not in found.body.decode()


@pytest.mark.parametrize("name", ["a/b", "ü & %", "a/activate", "..", "x" * 256, "%2F"])
def test_ids_may_hold_what_addresses_must_quote(client: Client, name: str) -> None:
    ask(client, {"decisionId": name, "channel": "web"})
    found = asyncio.run(client.get(f"/v1/decisions/{quote(name, safe='')}"))

    assert found.status == 200
    assert found.json["decisionId"] == name


@pytest.mark.parametrize("path", ["/v1/decisions/none", "/v1/decisions/none/activate", "/v1/decisions/%ff"])
def test_unknown_decisions_are_said_to_be_unknown(client: Client, path: str) -> None:
    method = "POST" if path.endswith("activate") else "GET"
    found = asyncio.run(client.send(method, path, b"", headers={}))

    assert found.status == 404
    assert found.json["type"] == "urn:nba:problem:unknown-id"


def activate(client: Client, name: str) -> Answered:
    return asyncio.run(client.send("POST", f"/v1/decisions/{name}/activate", b"", headers={}))


def test_a_deferred_decision_counts_once_it_is_activated(client: Client, clock: Any) -> None:
    (made,) = ask(client, {"decisionId": "d-1", "channel": "call_center"})
    before = asyncio.run(client.get("/v1/decisions/d-1"))
    clock.now_s += 60.0
    first, again = activate(client, "d-1"), activate(client, "d-1")

    assert made.json["activateBy"] == "2027-01-15T08:15:00Z"
    assert (before.json["state"], before.json["activatedAt"]) == ("waiting", None)
    assert first.status == again.status == 200
    assert first.json == again.json
    assert (first.json["state"], first.json["activatedAt"]) == ("active", "2027-01-15T08:01:00Z")


def test_a_decision_expires_when_it_is_not_activated_in_time(client: Client, clock: Any) -> None:
    ask(client, {"decisionId": "d-1", "channel": "call_center"})
    clock.now_s += 901.0
    late = activate(client, "d-1")

    assert late.status == 409
    assert late.json["type"] == "urn:nba:problem:refused"
    assert asyncio.run(client.get("/v1/decisions/d-1")).json["state"] == "expired"


def test_what_needs_no_activation_may_be_activated(client: Client) -> None:
    ask(client, ASK)

    assert activate(client, "d-1").status == 200
