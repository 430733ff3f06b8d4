"""What a problem tells: which entry is wrong and what is allowed there, and never a key or a person's raw id."""

import asyncio

import msgspec
import pytest

from bandit_nba.access.key import new_key
from tests.serve.asgi_client import Client

RAW_ID = "raw-customer-4711"


@pytest.mark.parametrize(
    ("body", "told"),
    [
        ({"topK": 51}, {"where": "topK", "got": "51", "allowed": "`int` <= 50"}),
        ({"slots": [{"id": f"s{i}"} for i in range(51)]}, {"got": "51 items", "allowed": "`array` of length <= 50"}),
        (
            {"facts": {"senior": False, "tenure_months": {"a": 1}, "internet": "dsl"}},
            {"where": "facts.tenure_months", "allowed": "`bool | float | str | array | null`"},
        ),
        (
            {"facts": {f"f{i}": [] for i in range(40)} | {"owned": ["a", 3]}},
            {"where": "facts.owned[1]", "got": "3", "allowed": "`str`"},
        ),
        (
            {"actions": [{"id": "a"}, {"id": "b", "features": {"x": 1.0, "y": [1]}}]},
            {"where": "actions[1].features.y"},
        ),
    ],
)
def test_the_entry_and_what_is_allowed_are_told(client: Client, body: dict, told: dict[str, str]) -> None:
    answer = asyncio.run(client.post("/v1/decisions", {"channel": "web", **body}))

    assert answer.status == 422
    assert {name: answer.json.get(name) for name in told} == told


def test_a_wrong_entry_is_found_in_any_body(client: Client) -> None:
    """Objects of more entries than are searched are told as before; nothing of any shape breaks the search."""
    for facts in (
        {f"f{i}": {} for i in range(500)},
        {"": {}},
        {"a.b": {}},
        {"[0]": {}},
        {"x": [[]]},
        {"x": [{"y": 1}]},
    ):
        answer = asyncio.run(client.post("/v1/decisions", msgspec.json.encode({"channel": "web", "facts": facts})))
        assert answer.status == 422
        assert answer.json["where"].startswith("facts")
    long = asyncio.run(client.post("/v1/decisions", {"channel": "web", "facts": {"x" * 100_000: {}}}))
    assert long.status == 422
    assert len(long.body) < 1_000


def test_no_person_s_id_and_no_key_comes_back_in_a_problem(client: Client) -> None:
    key = new_key().text
    sent = [
        ("POST", "/v1/decisions", {"channel": "web", "customerId": RAW_ID * 20}),
        ("POST", "/v1/decisions/batch", [{"channel": "web", "customerId": RAW_ID * 20}]),
        ("POST", "/v1/outcomes", {"outcomeId": "o", "type": "accept", "customerId": RAW_ID * 20}),
        ("PUT", "/v1/customers", [{"customerId": RAW_ID * 20, "facts": {}}]),
        ("POST", "/v1/events", {"eventId": "e", "type": "t", "customerId": RAW_ID * 20}),
        ("POST", "/v1/decisions/d/override", {"arm": "a", "reason": "r", "employeeId": RAW_ID * 20}),
        ("GET", f"/v1/customers/{RAW_ID}/nowhere", None),
        ("GET", f"/v1/customers/{RAW_ID}/decisions/", None),
        ("GET", f"/v1/decisions/{key}", None),
        ("GET", f"/v1/nowhere/{key}", None),
        ("GET", f"/v1/models?cursor={key}", None),
        ("POST", "/v1/decisions", {"channel": key}),
        ("POST", "/v1/decisions", {"channel": "web", "facts": {key: 1}}),
        ("POST", "/v1/decisions", {"channel": "web", key: 1}),
    ]
    for method, path, body in sent:
        content = b"" if body is None else msgspec.json.encode(body)
        answer = asyncio.run(client.send(method, path, content))
        assert answer.status in (207, 404, 422), (path, answer.status)
        assert RAW_ID.encode() not in answer.body, path
        assert key[17:].encode() not in answer.body, path
    assert asyncio.run(client.get(f"/v1/customers/{RAW_ID}/nowhere")).json["detail"].endswith("{customerId}/nowhere")


def test_a_compressed_body_is_refused_as_such(client: Client) -> None:
    body = msgspec.json.encode({"channel": "web"})
    headers = {"content-type": "application/json"}
    gzipped = asyncio.run(client.post("/v1/decisions", body, headers={**headers, "content-encoding": "gzip"}))
    plain = asyncio.run(client.post("/v1/decisions", body, headers={**headers, "content-encoding": "identity"}))

    assert (gzipped.status, plain.status) == (415, 201)
    assert "Content-Encoding" in gzipped.json["hint"]


def test_a_line_that_is_no_json_is_named_and_nothing_is_taken(client: Client) -> None:
    lines = b'{"channel":"web","decisionId":"first"}\n\n{"channel":"web"}\n{bad\n'
    refused = asyncio.run(client.post("/v1/decisions/batch", lines, headers={"content-type": "application/x-ndjson"}))

    assert refused.status == 400
    assert refused.json["detail"].startswith("line 4 is no JSON")
    assert asyncio.run(client.get("/v1/decisions/first")).status == 404
