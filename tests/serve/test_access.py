"""Every address x every scope x other channel, revoked, expired, malformed: only the allowed cells pass."""

import asyncio
import re
import time

import msgspec
import pytest

from bandit_nba.access.grant import Grant
from bandit_nba.access.key import Key, new_key
from bandit_nba.access.scopes import SCOPES
from bandit_nba.online.gate import FOLLOW_EVERY_S
from bandit_nba.online.replica import Replica
from bandit_nba.store import audit_log
from bandit_nba.store import keys as key_store
from serve import doorman
from serve.refusal import Refused
from tests.machine import time_lost
from tests.serve.asgi_client import JSON, Answered, Client
from tests.serve.conftest import Clock

DECISION = {"decisionId": "d-1", "customerId": "kd-4711", "channel": "web"}
OPEN = {"getLiveness", "getReadiness", "getOpenapi"}


class Keys:
    """Makes keys in the store and has the replica follow at once."""

    def __init__(self, replica: Replica) -> None:
        self._replica = replica

    def make(self, *scopes: str, channels: tuple[str, ...] = (), client: str = "", **more: float) -> Key:
        wanted = Grant("", client or new_key().id, frozenset(scopes), frozenset(channels), **more)  # type: ignore[arg-type]
        with self._replica.database.write() as connection:
            key = key_store.add(connection, wanted, actor="test", now_s=self._replica.now_s())
        self._replica.gate.follow()
        return key

    def revoke(self, key: Key) -> None:
        with self._replica.database.write() as connection:
            key_store.revoke(connection, key.id, actor="test", now_s=self._replica.now_s())


@pytest.fixture
def keys(replica: Replica) -> Keys:
    return Keys(replica)


def bearer(text: str) -> dict[str, str]:
    return {**JSON, "authorization": f"Bearer {text}"}


def ask(client: Client, text: str, *, decision: str = "d-1", channel: str = "web") -> Answered:
    data = {**DECISION, "decisionId": decision, "channel": channel}
    return asyncio.run(client.post("/v1/decisions", data, headers=bearer(text)))


def operations(client: Client) -> list[tuple[str, str, str | None, object]]:
    """Every operation: method, path with ids filled in, its scope by the document, and its example."""
    paths = asyncio.run(client.get("/openapi.json")).json["paths"]
    found = []
    for path, methods in paths.items():
        for method, said in methods.items():
            scope = next(iter(said["security"][0].values()))[0] if "security" in said else None
            assert (scope is None) == (said["operationId"] in OPEN), said["operationId"]
            content = said.get("requestBody", {}).get("content", {}).values()
            example = next(iter(content)).get("example") if content else None
            found.append((method.upper(), re.sub(r"\{\w+\}", "d-1", path), scope, example))
    return found


def test_the_whole_matrix(client: Client, keys: Keys, clock: Clock, replica: Replica) -> None:
    check_matrix(client, keys, clock, replica)


def check_matrix(client: Client, keys: Keys, clock: Clock, replica: Replica) -> None:
    known = operations(client)
    by_scope = {scope: keys.make(scope) for scope in SCOPES}
    for key in by_scope.values():
        assert ask(client, key.text).status == (201 if key is by_scope["decide"] else 403)
    revoked, expired = keys.make(*SCOPES), keys.make(*SCOPES, expires_at=clock.now_s + 1.0)
    keys.revoke(revoked)
    replica.gate.follow()
    clock.now_s += 2.0
    good = by_scope["decide"].text
    other = Key(by_scope["decide"].id, bytes(32)).text
    bad = {"revoked": revoked.text, "expired": expired.text, "secret of nobody": other, "unknown": new_key().text}
    bad |= {"malformed": good[:-2], "empty": "", "long": "x" * 5_000, "basic": "dXNlcjpwYXNz"}

    for method, path, scope, example in known:
        body = b"" if example is None else _json(example)
        for name, key in by_scope.items():
            got = asyncio.run(client.send(method, path, body, headers=bearer(key.text)))
            if scope in (None, name):
                assert got.status not in (401, 403), (method, path, name)
            else:
                told = got.json["error"]["code"] if "error" in got.json else got.json["type"]
                assert got.status == 403, (method, path, name)
                assert told in ("urn:nba:problem:forbidden", "Forbidden"), (method, path, name)
        refusals = set()
        for name, text in bad.items():
            got = asyncio.run(client.send(method, path, body, headers=bearer(text)))
            assert (got.status == 401) == (scope is not None), (method, path, name)
            refusals.add(got.body if scope else b"")
        without = asyncio.run(client.send(method, path, body))
        assert (without.status == 401) == (scope is not None)
        assert len(refusals) == 1, "the refusal tells why"


def test_a_key_is_for_its_channels_only(client: Client, keys: Keys, replica: Replica) -> None:
    channels = list(replica.workspace.service.channels)
    mine, others = channels[0], channels[1]
    key = keys.make("decide", "read", "outcome", channels=(mine,)).text
    whole = keys.make("decide").text

    assert ask(client, key, channel=mine).status == 201
    assert ask(client, key, decision="d-2", channel=others).status == 403
    assert ask(client, whole, decision="d-3", channel=others).status == 201
    seen = {
        d: asyncio.run(client.send("GET", f"/v1/decisions/{d}", b"", headers=bearer(key)))
        for d in ("d-1", "d-3", "d-9")
    }
    assert [got.status for got in seen.values()] == [200, 404, 404]
    assert seen["d-3"].json["title"] == seen["d-9"].json["title"]
    for end in ("activate", "explanation"):
        method = "POST" if end == "activate" else "GET"
        assert asyncio.run(client.send(method, f"/v1/decisions/d-3/{end}", b"", headers=bearer(key))).status == 404

    outcome = next(iter(replica.workspace.rewards.outcomes))
    page = [
        {"outcomeId": "o-1", "decisionId": "d-1", "type": outcome},
        {"outcomeId": "o-2", "decisionId": "d-3", "type": outcome},
        {"outcomeId": "o-3", "customerId": "kd-4711", "type": outcome},
        {"outcomeId": "o-4", "decisionId": "not yet known", "type": outcome},
    ]
    told = asyncio.run(client.post("/v1/outcomes", page, headers=bearer(key)))
    assert told.status == 207
    assert [r["receipt"] for r in told.json["results"]] == ["created", "invalid", "invalid", "created"]
    assert asyncio.run(client.post("/v1/outcomes", page[1], headers=bearer(key))).status == 403


def test_profiles_are_closed_to_a_key_for_some_channels(client: Client, keys: Keys) -> None:
    page = [{"customerId": "kd-4711", "facts": {"senior": True}}]
    for channels, status in (((), 200), (("web",), 403)):
        headers = bearer(keys.make("customers", channels=channels).text)
        assert asyncio.run(client.put("/v1/customers", page, headers=headers)).status == status
        assert asyncio.run(client.send("GET", "/v1/customers/kd-4711", b"", headers=headers)).status == status


def test_a_revoked_key_opens_nothing_soon_after(client: Client, keys: Keys) -> None:
    key = keys.make("decide")
    assert ask(client, key.text).status == 201

    with time_lost() as lost:
        keys.revoke(key)
        begun = time.monotonic()
        while ask(client, key.text).status != 401:
            assert time.monotonic() - begun < 2 * FOLLOW_EVERY_S + 0.1 + lost.seconds


def test_pace_and_quota_say_when_to_come_again(client: Client, keys: Keys) -> None:
    slow = keys.make("decide", rate_per_s=0.01).text
    few = keys.make("outcome", per_day=5).text

    begun = time.monotonic()
    assert [ask(client, slow, decision=d).status for d in ("d-1", "d-2")] == [201, 429]
    wait_s = int(ask(client, slow).headers["retry-after"])
    assert 100 - (time.monotonic() - begun) <= wait_s <= 100

    page = [{"outcomeId": f"o-{i}", "decisionId": "d-1", "type": "accept"} for i in range(4)]
    statuses = [asyncio.run(client.post("/v1/outcomes", page, headers=bearer(few))).status for _ in range(2)]
    assert statuses == [201, 429]


def test_a_page_larger_than_the_pace_is_let_through_after_the_wait_that_was_told(client: Client, keys: Keys) -> None:
    key = keys.make("decide", rate_per_s=0.5).text
    page = [{"channel": "web"} for _ in range(4)]

    first = asyncio.run(client.post("/v1/decisions/batch", page, headers=bearer(key)))
    again = asyncio.run(client.post("/v1/decisions/batch", page, headers=bearer(key)))
    assert [first.status, again.status] == [201, 429]
    assert 1 <= int(again.headers["retry-after"]) <= 8  # three of debt and one to begin with, less what has passed
    assert "each item of a page" in again.json["hint"]


def test_the_key_of_a_retired_service_is_taken_in_its_own_header(client: Client, keys: Keys) -> None:
    headers = {**JSON, "ocp-apim-subscription-key": keys.make("decide").text}

    assert asyncio.run(client.post("/v1/decisions", DECISION, headers=headers)).status == 201


def test_without_keys_only_this_machine_is_answered(replica: Replica) -> None:
    door = doorman.Doorman(replica.gate)

    assert door.admit("decide", {}, ("127.0.0.1", 1)) is doorman.ANYBODY
    assert door.admit("decide", {}, ("::1", 1)) is doorman.ANYBODY
    with pytest.raises(Refused):
        door.admit("decide", {}, ("192.0.2.1", 1))
    with pytest.raises(Refused):
        door.admit("decide", {}, ("2001:db8::1", 1))


def test_two_live_keys_a_client_and_each_change_is_in_the_audit_log(keys: Keys, replica: Replica) -> None:
    first, _ = keys.make("decide", client="shop"), keys.make("decide", client="shop")
    with pytest.raises(Exception, match="2 live keys"):
        keys.make("decide", client="shop")
    keys.revoke(first)
    keys.make("decide", client="shop")

    with replica.database.read() as connection:
        count, _, broken = audit_log.verify(connection)
        actions = [entry.action for entry in reversed(audit_log.newest(connection, limit=10))]
    assert (count, broken) == (4, None)
    assert actions == ["key.create", "key.create", "key.revoke", "key.create"]


def _json(example: object) -> bytes:
    return msgspec.json.encode(example)
