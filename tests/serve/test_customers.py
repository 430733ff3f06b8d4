"""PUT /v1/customers: profiles come in pages, as an array or line by line."""

import asyncio

import msgspec

from bandit_nba.online.replica import Replica
from tests.serve.asgi_client import Client

KNOWN = {"internet": "dsl", "consent_marketing": True}


def profile(name: str, **facts: object) -> dict[str, object]:
    return {"customerId": name, "facts": {**KNOWN, **facts}}


def test_profiles_are_kept_and_used(client: Client, replica: Replica) -> None:
    put = asyncio.run(client.put("/v1/customers", [profile(f"c-{i}", senior=None) for i in range(1_000)]))
    asyncio.run(client.post("/v1/decisions", {"decisionId": "d", "customerId": "c-7", "channel": "web"}))
    found = asyncio.run(client.get("/v1/decisions/d"))

    assert (put.status, put.json) == (200, {"kept": 1_000, "refused": []})
    assert "fiber_upgrade/speed" in {choice["arm"] for choice in found.json["choices"]}
    assert asyncio.run(replica.status()).customers == 1_000


def test_a_profile_replaces_the_one_before(client: Client) -> None:
    asyncio.run(client.put("/v1/customers", [profile("c")]))
    asyncio.run(client.put("/v1/customers", [profile("c"), {"customerId": "c", "facts": {}}]))
    asyncio.run(client.post("/v1/decisions", {"decisionId": "d", "customerId": "c", "channel": "web"}))
    found = asyncio.run(client.get("/v1/decisions/d"))

    assert {choice["arm"] for choice in found.json["choices"]} == {"no_action", "network_status"}


def test_lines_of_json_with_bad_ones_among_them(client: Client, replica: Replica) -> None:
    lines = [profile("a"), {"customerId": "b", "facts": {"shoe_size": 42}}, {"facts": {}}, profile("d")]
    body = b"\n".join(map(msgspec.json.encode, lines)) + b"\n\n"
    put = asyncio.run(client.put("/v1/customers", body, headers={"content-type": "application/x-ndjson"}))

    assert put.status == 207
    assert put.json["kept"] == 2
    assert [refused["index"] for refused in put.json["refused"]] == [1, 2]
    assert put.json["refused"][0]["problem"]["where"] == "facts.shoe_size"
    assert asyncio.run(replica.status()).customers == 2


def test_ids_are_never_stored_as_given(client: Client, replica: Replica) -> None:
    asyncio.run(client.put("/v1/customers", [profile("a-very-recognisable-id")]))
    replica.close()

    data = b"".join(path.read_bytes() for path in (replica.workspace.path / "data").iterdir())
    assert b"recognisable" not in data
