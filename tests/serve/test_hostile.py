"""Whatever is sent, the answer says what is wrong, nothing breaks, and nothing of it reaches the log."""

import asyncio

import msgspec
import pytest

from bandit_nba.online.replica import Replica
from tests.serve.asgi_client import Client

MALFORMED = [
    b"",
    b"{",
    b"nonsense",
    b'{"channel":"web","facts":{"data_left_share":NaN}}',
    b'{"channel":"web","facts":{"data_left_share":Infinity}}',
    b'{"channel":"web","facts":{"data_left_share":-Infinity}}',
    b'{"channel":"web"} {}',
    b'{"channel":"\xff"}',
    b'\xef\xbb\xbf{"channel":"web"}',
    b'{"channel":"\\ud800"}',
]
INVALID = [
    b"null",
    b"[]",
    b"[" * 100_000,
    b'"web"',
    b"{}",
    b'{"channel":1}',
    b'{"channel":""}',
    b'{"channel":"fax"}',
    b'{"channel":"web","decisionId":""}',
    b'{"channel":"web","decisionId":"a\\nb"}',
    b'{"channel":"web","decisionId":"a\\u0000"}',
    b'{"channel":"web","customerId":"tail\\n"}',
    b'{"channel":"web","decisionId":"' + b"x" * 257 + b'"}',
    b'{"channel":"web","customerId":""}',
    b'{"channel":"web","customer":"x"}',
    b'{"channel":"web","facts":{"data_left_share":1e400}}',
    b'{"channel":"web","facts":{"data_left_share":-1e400}}',
    b'{"channel":"web","facts":{"data_left_share":1e16}}',
    b'{"channel":"web","facts":{"data_left_share":' + b"9" * 400 + b"}}",
    b'{"channel":"web","facts":{"data_left_share":"a lot"}}',
    b'{"channel":"web","facts":{"no_such_fact":1}}',
    b'{"channel":"web","facts":{"owned":[1]}}',
    b'{"channel":"web","facts":{"owned":{"a":1}}}',
    b'{"channel":"web","facts":[]}',
    b'{"channel":"web","deferActivation":"yes"}',
]


def nothing_is_logged(replica: Replica) -> bool:
    status = asyncio.run(replica.status())
    return status.decisions.total == 0 and status.outcomes == 0


@pytest.mark.parametrize(("body", "status"), [*((b, 400) for b in MALFORMED), *((b, 422) for b in INVALID)])
def test_decisions_are_refused_with_a_reason(client: Client, replica: Replica, body: bytes, status: int) -> None:
    answer = asyncio.run(client.post("/v1/decisions", body))

    assert answer.status == status, answer.body
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json["status"] == status
    assert answer.json["detail"]
    assert nothing_is_logged(replica)


@pytest.mark.parametrize(
    ("more", "status"),
    [
        (b'"amount":NaN', 400),
        (b'"amount":Infinity', 400),
        (b'"amount":1e400', 422),
        (b'"amount":1e10', 422),
        (b'"amount":"1"', 422),
        (b'"occurredAt":"yesterday"', 422),
        (b'"occurredAt":"2026-01-01T00:00:00"', 422),  # no zone
        (b'"occurredAt":"0001-01-01T00:00:00+23:59"', 422),
        (b'"occurredAt":"9999-12-31T23:59:59-23:59"', 422),
        (b'"reward":1', 422),
    ],
)
def test_outcomes_are_refused_with_a_reason(client: Client, replica: Replica, more: bytes, status: int) -> None:
    body = b'{"outcomeId":"o","type":"accept","decisionId":"d",' + more + b"}"
    answer = asyncio.run(client.post("/v1/outcomes", body))

    assert answer.status == status, answer.body
    assert answer.json["detail"]
    assert nothing_is_logged(replica)


def test_problems_name_place_and_remedy(client: Client) -> None:
    channel = asyncio.run(client.post("/v1/decisions", {"channel": "wbe"})).json
    fact = asyncio.run(client.post("/v1/decisions", {"channel": "web", "facts": {"tenure_month": 1}})).json
    field = asyncio.run(client.post("/v1/decisions", {"channel": "web", "decisionID": "d"})).json
    number = asyncio.run(client.post("/v1/decisions", b'{"channel":"web","facts":{"senior":1e999}}')).json

    assert channel["where"] == "channel"
    assert channel["hint"] == 'did you mean "web"?'
    assert fact["where"] == "facts.tenure_month"
    assert '"tenure_months"' in fact["hint"]
    assert field["where"] == "decisionID"
    assert field["hint"].startswith('did you mean "decisionId"')
    assert "1e400" in number["hint"]


@pytest.mark.parametrize(
    ("path", "body", "told"),
    [
        ("/v1/decisions", {}, {"detail": "is missing", "where": "channel"}),
        ("/v1/decisions", [], {"detail": "expected `object`, got `array`", "where": "body"}),
        (
            "/v1/decisions",
            {"channel": "web", "topK": 0},
            {"detail": "expected `int` >= 1", "where": "topK", "got": "0"},
        ),
        ("/v1/decisions", {"channel": 7}, {"where": "channel", "got": "7"}),
        (
            "/v1/decisions",
            {"channel": "web", "slots": [{"id": "a"}, {"id": "b", "excluded": []}]},
            {"detail": "unknown field", "where": "slots[1].excluded", "hint": 'did you mean "excludedArms"?'},
        ),
        (
            "/v1/decisions",
            {"channel": "web", "actions": [{"id": "a", "value": -1.0}]},
            {"where": "actions[0].value", "got": "-1.0"},
        ),
        ("/v1/outcomes", {"outcomeId": "o", "typ": "accept"}, {"where": "typ", "hint": 'did you mean "type"?'}),
        (
            "/v1/outcomes",
            {"outcomeId": "o", "type": "accept", "occurredAt": "now"},
            {"where": "occurredAt", "got": "'now'"},
        ),
        ("/v1/events", {"eventId": "e", "customerId": "c"}, {"detail": "is missing", "where": "type"}),
    ],
)
def test_a_wrong_body_is_told_with_place_value_and_the_name_that_was_meant(
    client: Client, path: str, body: object, told: dict[str, str]
) -> None:
    answer = asyncio.run(client.post(path, msgspec.json.encode(body)))

    assert answer.status == 422
    assert {name: answer.json.get(name) for name in told} == told


def test_a_wrong_item_of_a_page_is_told_so_too(client: Client) -> None:
    page = [
        {"outcomeId": "o", "typ": "accept"},
        {"outcomeId": "p", "type": "accept", "amount": "much", "customerId": "c"},
    ]
    answer = asyncio.run(client.post("/v1/outcomes", msgspec.json.encode(page)))
    first, second = (result["problem"] for result in answer.json["results"])

    assert (first["where"], first["hint"]) == ("typ", 'did you mean "type"?')
    assert (second["where"], second["got"]) == ("amount", "'much'")


def test_an_empty_body_is_said_to_be_empty(client: Client) -> None:
    answer = asyncio.run(client.post("/v1/decisions", b""))

    assert (answer.status, answer.json["detail"]) == (400, "the body is empty")


@pytest.mark.parametrize(
    ("content_type", "status"),
    [
        ("application/json", 201),
        ("application/json; charset=utf-8", 201),
        ('Application/JSON;charset="UTF-8"', 201),
        ("application/json; charset=latin-1", 415),
        ("text/plain", 415),
        ("application/x-www-form-urlencoded", 415),
        ("", 415),
        (None, 415),
    ],
)
def test_only_json_is_taken(client: Client, content_type: str | None, status: int) -> None:
    headers = {} if content_type is None else {"content-type": content_type}
    answer = asyncio.run(client.send("POST", "/v1/decisions", b'{"channel":"web"}', headers=headers))

    assert answer.status == status


def test_bodies_are_bounded_whether_they_say_their_length_or_not(client: Client) -> None:
    body = b'{"channel":"web","decisionId":"' + b"x" * 2**22 + b'"}'
    said = asyncio.run(
        client.send(
            "POST", "/v1/decisions", b"", headers={"content-type": "application/json", "content-length": "9999999"}
        )
    )
    unsaid = asyncio.run(client.send("POST", "/v1/decisions", body, parts=20))

    assert said.status == unsaid.status == 413
    assert said.json["type"] == "urn:nba:problem:body-too-large"


def test_a_body_in_pieces_is_one_body(client: Client) -> None:
    answer = asyncio.run(client.send("POST", "/v1/decisions", b'{"channel":"web"}', parts=17))

    assert answer.status == 201


def test_a_body_that_does_not_come_is_not_waited_for(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("serve.body.BODY_WITHIN_S", 0.05)
    pieces = [{"type": "http.request", "body": b"{", "more_body": True}]
    answer = asyncio.run(client.exchange("POST", "/v1/decisions", pieces, then_silence=True))

    assert answer.status == 408


def test_a_client_that_goes_away_leaves_nothing_behind(client: Client, replica: Replica) -> None:
    pieces = [{"type": "http.request", "body": b"{", "more_body": True}]
    gone = asyncio.run(client.exchange("POST", "/v1/decisions", pieces))

    assert gone.status == 0
    assert nothing_is_logged(replica)


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/v1/decisions", 405),
        ("DELETE", "/v1/decisions/d", 405),
        ("GET", "/v1/outcomes", 405),
        ("POST", "/healthz", 405),
        ("GET", "/", 404),
        ("GET", "/v1/decisions/", 404),
        ("POST", "/v1/decisions/", 404),
        ("GET", "/v1//decisions/d", 404),
        ("GET", "/v1/decisions/a/b", 404),
        ("GET", "/v2/decisions/d", 404),
    ],
)
def test_other_addresses_and_methods(client: Client, method: str, path: str, status: int) -> None:
    answer = asyncio.run(client.send(method, path, b""))

    assert answer.status == status
    assert answer.headers["content-type"] == "application/problem+json"
    assert (status == 405) == ("allow" in answer.headers)


def test_a_bug_says_nothing_of_the_inside(
    client: Client, replica: Replica, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async def broken(_: str) -> None:
        raise KeyError("secret")

    monkeypatch.setattr(replica, "decision", broken)
    answer = asyncio.run(client.get("/v1/decisions/d"))

    assert answer.status == 500
    assert b"secret" not in answer.body
    assert "secret" in caplog.text


@pytest.mark.parametrize(("method", "path"), [("post", "/v1/outcomes"), ("put", "/v1/customers")])
def test_a_page_nested_beyond_all_measure_is_malformed_and_not_our_failure(
    client: Client, method: str, path: str
) -> None:
    answered = asyncio.run(getattr(client, method)(path, b"[" * 500_000))

    assert answered.status == 400
    assert answered.json["type"] == "urn:nba:problem:malformed-body"
    assert answered.json["detail"] == "the body is nested too deeply"
