"""Both generations of the vendor's Python clients, unchanged but for endpoint and key, on a real socket."""

import asyncio
import time
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest
from azure.ai.personalizer import PersonalizerClient as SecondClient
from azure.cognitiveservices.personalizer import PersonalizerClient as FirstClient
from azure.cognitiveservices.personalizer.models import ErrorResponseException, RankableAction, RankRequest
from azure.core.credentials import AzureKeyCredential
from azure.core.exceptions import ClientAuthenticationError, HttpResponseError
from msrest.authentication import CognitiveServicesCredentials

from bandit_nba.access.grant import Grant
from bandit_nba.online.replica import Replica
from bandit_nba.store import keys
from bandit_nba.store.tables import outcomes
from bandit_nba.workspace import init_workspace, open_workspace
from serve.app import create_app
from tests.serve.asgi_client import Client
from tests.serving import serving

ACTIONS = {"news": {"topic": "news", "length": 3}, "sport": {"topic": "sport"}, "weather": {"topic": "weather"}}


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, str, Replica]]:
    path = tmp_path_factory.mktemp("personalizer") / "shop"
    init_workspace(path, template="personalizer")
    replica = Replica.open(open_workspace(path))
    with replica.database.write() as connection:
        rights = Grant("", "web", frozenset({"decide", "outcome"}))
        key = keys.add(connection, rights, actor="test", now_s=time.time())
    replica.gate.follow()
    with serving(create_app(replica)) as url:
        yield url, key.text, replica


@pytest.fixture
def first(service) -> FirstClient:
    return FirstClient(service[0], CognitiveServicesCredentials(service[1]))


@pytest.fixture
def second(service) -> SecondClient:
    return SecondClient(service[0], AzureKeyCredential(service[1]))


def request(event: str | None = None, **more) -> RankRequest:
    actions = [RankableAction(id=name, features=[features]) for name, features in ACTIONS.items()]
    return RankRequest(actions=actions, context_features=[{"time": "morning"}], event_id=event, **more)


def body(event: str | None = None, **more):
    actions = [{"id": name, "features": [features]} for name, features in ACTIONS.items()]
    return {"actions": actions, "contextFeatures": [{"time": "morning"}], "eventId": event, **more}


def told(replica: Replica, event: str) -> list[tuple[float | None, str | None]]:
    with replica.database.read() as connection:
        rows = connection.execute(outcomes.select().where(outcomes.c.decision == event)).all()
    return [(row.amount, row.slot) for row in rows]


def test_the_first_generation_ranks_rewards_and_activates(first: FirstClient, service) -> None:
    ranked = first.rank(request("f-1", excluded_actions=["weather"], defer_activation=True))
    first.events.activate("f-1")
    first.events.reward("f-1", value=0.75)

    chances = {action.id: action.probability for action in ranked.ranking}
    assert ranked.event_id == "f-1"
    assert set(chances) == set(ACTIONS)
    assert chances["weather"] == 0.0
    assert ranked.ranking[-1].id == "weather"
    assert sum(chances.values()) == pytest.approx(1.0)
    assert ranked.reward_action_id in ("news", "sport")
    assert told(service[2], "f-1") == [(0.75, None)]


def test_the_second_generation_ranks_rewards_and_activates(second: SecondClient, service) -> None:
    ranked = second.rank(body("s-1", deferActivation=True))
    second.activate("s-1")
    second.reward("s-1", {"value": -0.5})

    assert ranked["eventId"] == "s-1"
    assert sum(action["probability"] for action in ranked["ranking"]) == pytest.approx(1.0)
    assert ranked["rewardActionId"] in ACTIONS
    assert told(service[2], "s-1") == [(-0.5, None)]


def test_an_event_without_an_id_gets_one_and_a_known_one_is_answered_as_it_was(first, second) -> None:
    named = first.rank(request())
    assert named.event_id
    again = first.rank(request(named.event_id))
    other = second.rank({"actions": [{"id": "x"}, {"id": "y"}], "eventId": named.event_id})

    assert again.reward_action_id == named.reward_action_id
    assert [a.probability for a in again.ranking] == [a.probability for a in named.ranking]
    assert other["rewardActionId"] == named.reward_action_id


def test_the_log_holds_the_chances_that_were_told(first: FirstClient) -> None:
    counts = dict.fromkeys(ACTIONS, 0)
    total = 300
    for i in range(total):
        ranked = first.rank(request(f"law-{i}"))
        counts[ranked.reward_action_id] += 1
    chances = {action.id: action.probability for action in ranked.ranking}  # no model yet: the same for all

    for name, count in counts.items():
        sd = (total * chances[name] * (1 - chances[name])) ** 0.5
        assert abs(count - total * chances[name]) < 5 * sd


def test_slots_get_different_actions_and_rewards_of_their_own(second: SecondClient, service) -> None:
    slots = [
        {"id": "hero", "baselineAction": "news", "features": [{"size": "large"}], "excludedActions": ["news"]},
        {
            "id": "a slot whose name is much longer than sixty-four characters, as names may be",
            "baselineAction": "sport",
        },
    ]
    ranked = second.rank_multi_slot({**body("m-1", deferActivation=True), "slots": slots})
    second.activate_multi_slot("m-1")
    second.reward_multi_slot("m-1", {"reward": [{"slotId": slot["id"], "value": 1.0} for slot in slots]})

    shown = [slot["rewardActionId"] for slot in ranked["slots"]]
    assert [slot["id"] for slot in ranked["slots"]] == [slot["id"] for slot in slots]
    assert shown[0] != "news"
    assert len(set(shown)) == 2
    logged = told(service[2], "m-1")
    assert sorted(amount for amount, _ in logged) == [1.0, 1.0]
    assert {slot for _, slot in logged} >= {"hero"}


def test_errors_have_the_form_that_clients_read(first: FirstClient, second: SecondClient, service) -> None:
    with pytest.raises(ErrorResponseException) as refused:
        first.rank(request(excluded_actions=list(ACTIONS)))
    assert refused.value.error.error.code == "BadRequest"
    assert "every action" in refused.value.error.error.message

    with pytest.raises(HttpResponseError) as twice:
        second.rank({"actions": [{"id": "a"}, {"id": "a"}]})
    assert (twice.value.status_code, twice.value.error.code) == (400, "BadRequest")
    assert twice.value.error.target == "actions[1].id"

    with pytest.raises(HttpResponseError) as many:
        second.rank({"actions": [{"id": str(i)} for i in range(51)]})
    assert many.value.status_code == 400

    stranger = SecondClient(service[0], AzureKeyCredential("not a key"))
    with pytest.raises(ClientAuthenticationError):
        stranger.rank(body())


def test_a_decision_for_another_channel_is_no_event(tmp_path: Path) -> None:
    init_workspace(tmp_path / "shop", template="personalizer")
    service = tmp_path / "shop" / "service.toml"
    service.write_text(service.read_text() + '\n[channels.mail]\nvalid_for = "PT30M"\n')
    replica = Replica.open(open_workspace(tmp_path / "shop"))
    try:
        client = Client(create_app(replica))
        asked = {"decisionId": "mail-1", "channel": "mail", "actions": [{"id": "secret"}], "deferActivation": True}
        assert asyncio.run(client.post("/v1/decisions", asked)).status == 201

        ranked = asyncio.run(client.post("/personalizer/v1.0/rank", body("mail-1")))
        rewarded = asyncio.run(client.post("/personalizer/v1.0/events/mail-1/reward", {"value": 1.0}))
        activated = asyncio.run(client.send("POST", "/personalizer/v1.0/events/mail-1/activate", b""))
        assert [ranked.status, rewarded.status, activated.status] == [400, 404, 404]
        assert b"secret" not in ranked.body
        assert asyncio.run(client.get("/v1/decisions/mail-1")).json["state"] == "waiting"
        early = asyncio.run(client.post("/personalizer/v1.0/events/not-yet/reward", {"value": 1.0}))
        assert early.status == 204
    finally:
        replica.close()


def test_apprentice_mode_answers_the_baselines_and_logs_what_it_would_have_done(tmp_path: Path) -> None:
    init_workspace(tmp_path / "shop", template="personalizer")
    policy = tmp_path / "shop" / "policy.toml"
    text = policy.read_text().replace("# [baseline]\n# kind", "[baseline]\nkind")
    text = text.replace("# [mixture]\n# apprentice", "[mixture]\napprentice").replace("floor = 0.05", "floor = 0.0")
    policy.write_text(text)
    replica = Replica.open(open_workspace(tmp_path / "shop"))
    try:
        client = Client(create_app(replica))
        answered = [asyncio.run(client.post("/personalizer/v1.0/rank", body(f"a-{i}"))).json for i in range(20)]
        assert {answer["rewardActionId"] for answer in answered} == {"news"}
        assert answered[0]["ranking"][0] == {"id": "news", "probability": 1.0}
        record = asyncio.run(replica.decision("a-0"))
        assert record.shadow is not None
        assert msgspec.json.decode(record.shadow)["probabilities"] == pytest.approx([1 / 3] * 3)
        slots = [{"id": f"s{i}", "baselineAction": name} for i, name in enumerate(("sport", "news", "weather"))]
        for i in range(10):  # every place its own baseline, never one that is drawn
            place = "/personalizer/multislot/rank?api-version=2022-09-01-preview"
            ranked = asyncio.run(client.post(place, body(f"m-{i}", slots=slots))).json
            assert [slot["rewardActionId"] for slot in ranked["slots"]] == ["sport", "news", "weather"]
    finally:
        replica.close()
