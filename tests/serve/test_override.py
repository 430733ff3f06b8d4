"""POST /v1/decisions/{id}/override: an employee does something else."""

import asyncio
from typing import Any

import msgspec
import pytest

from serve.wire import LoggedDecision
from tests.serve.asgi_client import Answered, Client

ASK = {"decisionId": "d-1", "customerId": "kd-4711", "channel": "web"}
OTHER = {"no_action": "network_status", "network_status": "no_action"}


def decide(client: Client) -> str:
    answer = asyncio.run(client.post("/v1/decisions", ASK))
    arm: str = answer.json["arm"]
    return arm


def override(client: Client, body: Any, decision: str = "d-1") -> Answered:
    return asyncio.run(client.post(f"/v1/decisions/{decision}/override", body))


def test_it_is_kept_apart_from_the_decision(client: Client) -> None:
    shown = decide(client)
    body = {"arm": OTHER[shown], "reason": "asked for it", "employeeId": "e-7"}
    first, again = override(client, body), override(client, body)

    assert (first.status, again.status) == (201, 200)
    assert again.body == first.body
    assert (first.json["arm"], first.json["decidedArm"], first.json["shown"]) == (OTHER[shown], shown, [shown])
    assert first.json["overriddenAt"] == "2027-01-15T08:00:00Z"
    assert "probability" not in first.json
    assert b"e-7" not in first.body
    kept = asyncio.run(client.get("/v1/decisions/d-1"))
    assert (kept.json["arm"], kept.json["probability"]) == (shown, 0.5)
    assert kept.json["overriddenBy"] == first.json
    msgspec.json.decode(kept.body, type=LoggedDecision)
    status = asyncio.run(client.get("/v1/status")).json["decisions"]
    assert (status["overridden"], status["immature"], status["total"]) == (1, 0, 1)


def test_another_override_is_a_conflict(client: Client) -> None:
    body = {"arm": OTHER[decide(client)], "reason": "asked for it", "employeeId": "e-7"}
    override(client, body)
    refused = override(client, {**body, "reason": "another"})

    assert refused.status == 422
    assert refused.json["type"] == "urn:nba:problem:id-conflict"


def test_rules_cannot_be_overridden(client: Client) -> None:
    decide(client)
    refused = override(client, {"arm": "loyalty_discount", "reason": "nice customer", "employeeId": "e-7"})

    assert refused.status == 422
    assert refused.json["type"] == "urn:nba:problem:invalid-value"
    assert "rules cannot be overridden" in refused.json["detail"]
    assert refused.json["allowed"] == "no_action, network_status"


def test_after_it_has_matured_it_is_too_late(client: Client, clock: Any) -> None:
    arm = OTHER[decide(client)]
    clock.now_s += 1_801.0
    refused = override(client, {"arm": arm, "reason": "late", "employeeId": "e-7"})

    assert (refused.status, refused.json["type"]) == (409, "urn:nba:problem:refused")


def test_an_unknown_decision(client: Client) -> None:
    assert override(client, {"arm": "no_action", "reason": "x", "employeeId": "e"}, "gone").status == 404


@pytest.mark.parametrize(
    "change", [{"arm": ""}, {"reason": ""}, {"reason": "a\nb"}, {"reason": "x" * 1_001}, {"employeeId": None}, {"x": 1}]
)
def test_what_it_must_say(client: Client, change: dict[str, object]) -> None:
    body = {"arm": OTHER[decide(client)], "reason": "asked for it", "employeeId": "e-7", **change}

    assert override(client, body).status == 422
