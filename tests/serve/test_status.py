"""Health, readiness, status, and a document that says what the code does."""

import asyncio
import re
from typing import Any

from bandit_nba.online.replica import Replica
from serve.app import create_app
from tests.serve.asgi_client import Client


def test_alive_and_ready(client: Client, replica: Replica) -> None:
    assert asyncio.run(client.get("/healthz")).json == {"status": "alive"}
    assert asyncio.run(client.get("/readyz")).json == {"status": "ready"}

    replica.database.close()
    assert asyncio.run(client.get("/healthz")).status == 200
    assert asyncio.run(client.get("/readyz")).status == 503


def test_status_counts_and_says_whether_it_learns(client: Client) -> None:
    asyncio.run(client.post("/v1/decisions", {"channel": "web"}))
    status = asyncio.run(client.get("/v1/status")).json

    assert status["learning"] is False
    assert status["words"] == "Not learning: no learner is running."
    assert status["decisions"]["total"] == status["decisions"]["immature"] == 1
    assert status["model"]["version"] == status["replica"]["modelVersion"] == "none"
    assert status["replica"]["counts"]["decisions_normal"] == 1


def test_head_is_get_without_a_body(client: Client) -> None:
    head = asyncio.run(client.send("HEAD", "/healthz", b""))

    assert (head.status, head.body) == (200, b"")
    assert int(head.headers["content-length"]) > 0


def test_openapi_describes_every_operation(client: Client) -> None:
    described = asyncio.run(client.get("/openapi.json")).json

    operations = {(m.upper(), path) for path, methods in described["paths"].items() for m in methods}
    assert operations > {
        ("POST", "/v1/decisions"),
        ("POST", "/v1/decisions/batch"),
        ("GET", "/v1/decisions/{decisionId}"),
        ("POST", "/v1/outcomes"),
        ("GET", "/v1/status"),
        ("GET", "/readyz"),
    }
    decide = described["paths"]["/v1/decisions"]["post"]
    assert set(decide["responses"]) == {
        *("200", "201", "400", "401", "403", "408", "413", "415", "422", "429", "500", "503")
    }
    assert "Retry-After" in decide["responses"]["503"]["headers"]
    assert decide["requestBody"]["content"]["application/json"]["schema"] == {
        "$ref": "#/components/schemas/DecisionRequest"
    }


def test_openapi_refers_only_to_what_it_holds(client: Client) -> None:
    answer = asyncio.run(client.get("/openapi.json"))
    known = set(answer.json["components"]["schemas"])

    assert set(re.findall(r'"#/components/schemas/([^"]+)"', answer.body.decode())) <= known
    assert {"DecisionRequest", "DecisionAnswer", "Outcome", "Problem", "Status"} <= known


def test_openapi_patterns_mean_the_same_in_python(client: Client) -> None:
    schemas: dict[str, Any] = asyncio.run(client.get("/openapi.json")).json["components"]["schemas"]
    pattern = schemas["Outcome"]["properties"]["outcomeId"]["pattern"]

    assert re.search(pattern, "o-1 ü")
    assert not any(re.search(pattern, text) for text in ("a\n", "\x00", "a\x7fb", "\x85"))


def test_the_server_closes_the_replica(replica: Replica) -> None:
    said: list[str] = []

    async def live() -> None:
        messages = iter([{"type": "lifespan.startup"}, {"type": "lifespan.shutdown"}])

        async def receive() -> Any:
            return next(messages)

        async def send(message: Any) -> None:
            said.append(message["type"])

        await create_app(replica)({"type": "lifespan"}, receive, send)

    asyncio.run(live())

    assert said == ["lifespan.startup.complete", "lifespan.shutdown.complete"]
    assert not replica.alive
