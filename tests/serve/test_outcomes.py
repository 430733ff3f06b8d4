"""POST /v1/outcomes: one or many, each kept once."""

import asyncio

from bandit_nba.online.replica import Replica
from tests.serve.asgi_client import Answered, Client


def tell(client: Client, data: object) -> Answered:
    return asyncio.run(client.post("/v1/outcomes", data))


def outcome(name: str, **more: object) -> dict[str, object]:
    return {"outcomeId": name, "decisionId": "d-1", "type": "accept", **more}


def test_one_outcome(client: Client) -> None:
    first, again = tell(client, outcome("o-1")), tell(client, outcome("o-1"))

    assert (first.status, first.json) == (201, {"outcomeId": "o-1", "receipt": "created"})
    assert (again.status, again.json) == (200, {"outcomeId": "o-1", "receipt": "duplicate"})


def test_the_same_id_with_another_payload(client: Client) -> None:
    tell(client, outcome("o-1"))
    refused = tell(client, outcome("o-1", type="reject"))

    assert refused.status == 422
    assert refused.json["type"] == "urn:nba:problem:id-conflict"


def test_a_page_of_new_and_known_ones(client: Client) -> None:
    page = [outcome(f"o-{i}") for i in range(1_000)]
    first, again = tell(client, page), tell(client, page)

    assert (first.status, again.status) == (201, 200)
    assert {result["receipt"] for result in first.json["results"]} == {"created"}
    assert {result["receipt"] for result in again.json["results"]} == {"duplicate"}
    assert [result["outcomeId"] for result in first.json["results"]] == [f"o-{i}" for i in range(1_000)]


def test_a_page_with_refused_ones_keeps_the_rest(client: Client, replica: Replica) -> None:
    tell(client, outcome("o-1"))
    page = [
        outcome("o-1", amount=5.0),
        outcome("o-2", type="nonsense"),
        outcome("o-3", amount="much"),
        outcome("o-4"),
        outcome("o-1"),
    ]
    answer = tell(client, page)

    assert answer.status == 207
    results = answer.json["results"]
    assert [result["receipt"] for result in results] == ["conflict", "invalid", "invalid", "created", "duplicate"]
    assert [result.get("problem", {}).get("where") for result in results] == ["outcomeId", "type", "amount", None, None]
    assert asyncio.run(replica.status()).outcomes == 2


def test_pages_are_bounded(client: Client, replica: Replica) -> None:
    assert tell(client, []).status == 422
    assert tell(client, [outcome(f"o-{i}") for i in range(1_001)]).status == 422
    assert asyncio.run(replica.status()).outcomes == 0


def test_a_page_that_is_not_json_is_refused_whole(client: Client, replica: Replica) -> None:
    answer = tell(client, b'[{"outcomeId":"o-1","decisionId":"d","type":"accept"},{"outcomeId":"o-2","amount":NaN}]')

    assert answer.status == 400
    assert asyncio.run(replica.status()).outcomes == 0


def test_many_clients_at_once(client: Client, replica: Replica) -> None:
    async def all_at_once() -> list[Answered]:
        return await asyncio.gather(*(client.post("/v1/outcomes", outcome(f"o-{i % 100}")) for i in range(200)))

    statuses = [answer.status for answer in asyncio.run(all_at_once())]

    assert (statuses.count(201), statuses.count(200)) == (100, 100)
    assert asyncio.run(replica.status()).outcomes == 100
