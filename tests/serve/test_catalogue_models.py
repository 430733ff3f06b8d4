"""GET /v1/catalogue and /v1/models: what could be decided, what was learned, and changing what serves."""

import asyncio
import re
from pathlib import Path

import pytest

from bandit_nba.access.grant import Grant
from bandit_nba.online.learning_loop import LearningLoop
from bandit_nba.online.replica import Replica
from bandit_nba.store import audit_log
from bandit_nba.store import keys as key_store
from bandit_nba.workspace import init_workspace, open_workspace
from serve.app import create_app
from tests.serve.asgi_client import JSON, Answered, Client
from tests.serve.conftest import Clock


def get(client: Client, path: str) -> Answered:
    return asyncio.run(client.get(path))


def post(client: Client, path: str, data: object = None, **more: object) -> Answered:
    return asyncio.run(client.post(path, data or {}, **more))


def learned(client: Client, replica: Replica, clock: Clock, *, models: int) -> list[str]:
    """Publish so many models, newest first by the list."""
    loop = LearningLoop.open(replica.workspace, replica.database, clock=clock)
    for i in range(models):
        for j in range(3):
            assert post(client, "/v1/decisions", {"decisionId": f"m{i}-{j}", "channel": "web"}).status == 201
        clock.now_s += 7_200.0
        loop.step()
    replica.feed.poll()
    return [one["version"] for one in get(client, "/v1/models").json["items"]]


def test_the_catalogue_in_force(client: Client, replica: Replica) -> None:
    found = get(client, "/v1/catalogue")
    catalogue = replica.workspace.catalogue

    assert found.status == 200
    assert found.json["version"] == catalogue.version
    assert found.json["facts"] == dict(catalogue.facts)
    arms = {t["arm"] for action in found.json["actions"] for t in action["treatments"]} | {
        action["id"] for action in found.json["actions"] if not action["treatments"] and not action["retired"]
    }
    assert arms | {"no_action"} == {arm.id for arm in catalogue.arms}

    first = found.json["actions"][0]
    assert get(client, f"/v1/catalogue/actions/{first['id']}").json == first
    missing = get(client, f"/v1/catalogue/actions/{first['id'][:-1]}x")
    assert (missing.status, missing.json["type"]) == (404, "urn:nba:problem:unknown-id")
    assert first["id"] in missing.json["hint"]


def test_models_are_listed_page_by_page(client: Client, replica: Replica, clock: Clock) -> None:
    assert get(client, "/v1/models").json == {"serves": "none", "follows": True, "items": [], "nextCursor": None}
    versions = learned(client, replica, clock, models=3)
    assert len(versions) == 3

    first = get(client, "/v1/models?limit=2").json
    assert [one["version"] for one in first["items"]] == versions[:2]
    assert [one["state"] for one in first["items"]] == ["serves", ""]
    learned(client, replica, clock, models=0)
    rest = get(client, f"/v1/models?limit=2&cursor={first['nextCursor']}").json
    assert [one["version"] for one in rest["items"]] == versions[2:]
    assert rest["nextCursor"] is None
    assert first["items"][0]["examplesLearned"] == 9
    assert first["items"][0]["parent"] == versions[1]

    one = get(client, f"/v1/models/{versions[1]}").json
    assert one["version"] == versions[1]
    assert one["serial"] == 2
    assert sum(one["examplesByArm"].values()) == one["examplesLearned"] == 6
    for path in ("/v1/models/nothing", "/v1/models/" + "x" * 5_000):
        assert get(client, path).status == 404


@pytest.mark.parametrize("query", ["limit=0", "limit=501", "limit=-1", "limit=1e2", "cursor=x", "cursor=bnVsbA", "a=1"])
def test_a_page_that_cannot_be_is_refused(client: Client, query: str) -> None:
    refused = get(client, f"/v1/models?{query}")

    assert (refused.status, refused.json["type"]) == (422, "urn:nba:problem:invalid-value")


def test_models_are_published_and_rolled_back_under_the_keys_name(
    client: Client, replica: Replica, clock: Clock
) -> None:
    newest, middle, oldest = learned(client, replica, clock, models=3)
    with replica.database.write() as connection:
        key = key_store.add(
            connection, Grant("", "ops", frozenset({"admin", "report"})), actor="test", now_s=clock.now_s
        )
    replica.gate.follow()
    headers = {**JSON, "authorization": f"Bearer {key.text}"}

    back = post(client, "/v1/models/previous/rollback", {"why": "complaints"}, headers=headers)
    assert (back.status, back.json["serves"], back.json["follows"]) == (200, middle, False)
    assert back.json["change"]["what"] == "rollback"
    again = post(client, f"/v1/models/{middle}/rollback", {"why": "complaints"}, headers=headers)
    assert again.json == back.json
    replica.feed.poll()
    assert replica.feed.current().version == middle
    assert post(client, f"/v1/models/{oldest}/publish", headers=headers).json["serves"] == oldest
    assert post(client, f"/v1/models/{newest}/rollback", headers=headers).status == 409
    assert post(client, "/v1/models/unknown/publish", headers=headers).status == 404
    follow = post(client, "/v1/models/newest/publish", headers=headers).json
    assert (follow["serves"], follow["follows"], follow["change"]["serves"]) == (newest, True, "newest")

    with replica.database.read() as connection:
        entries = audit_log.newest(connection, limit=3)[::-1]
        assert audit_log.verify(connection)[2] is None
    assert [entry.action for entry in entries] == ["model.rollback", "model.publish", "model.follow"]
    assert {entry.actor for entry in entries} == {f"key:{key.id}"}
    assert entries[0].detail["why"] == "complaints"


def test_a_model_that_the_guard_refuses_is_not_published(tmp_path: Path, clock: Clock) -> None:
    init_workspace(tmp_path / "shop")
    replica = Replica.open(open_workspace(tmp_path / "shop"), clock=clock)
    client = Client(create_app(replica))
    newest, older = learned(client, replica, clock, models=2)
    replica.close()
    policy = tmp_path / "shop" / "policy.toml"
    text, changed = re.subn(r"(?m)^bits = \d+", "bits = 17", policy.read_text())
    policy.write_text(text if changed else text.replace("[features]", "[features]\nbits = 17"))
    replica = Replica.open(open_workspace(tmp_path / "shop"), clock=clock)
    try:
        refused = post(Client(create_app(replica)), f"/v1/models/{older}/publish")
        assert (refused.status, refused.json["type"]) == (409, "urn:nba:problem:refused")
        assert older in refused.json["where"]
        assert newest != older
    finally:
        replica.close()
