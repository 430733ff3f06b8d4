"""The vendor's administration client, unchanged but for endpoint and key, on a real socket."""

import asyncio
import datetime
import time
from collections.abc import Iterator
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from azure.ai.personalizer import PersonalizerAdministrationClient
from azure.core.credentials import AzureKeyCredential
from azure.core.exceptions import HttpResponseError, ResourceExistsError, ResourceNotFoundError

from bandit_nba.access.grant import Grant
from bandit_nba.decide.policy import Policy
from bandit_nba.online.learning_loop import LearningLoop
from bandit_nba.online.replica import Replica
from bandit_nba.settings import load
from bandit_nba.store import audit_log, keys
from bandit_nba.workspace import init_workspace, open_workspace
from serve.app import create_app
from serve.personalizer.judging import Sums, points, value_of
from tests.serve.asgi_client import JSON, Client
from tests.serve.conftest import Clock
from tests.serving import serving

EVENTS = 240
PER_STEP = 60
ACTIONS = ("news", "sport", "weather")
FLOOR = 0.5  # weights are at most 6; the template's .05 shows what a model holds to be bad once or never in this log


@dataclass
class Service:
    """A running service with some events in its log. rewards: by event."""

    url: str
    key: str
    key_id: str
    replica: Replica
    path: Path
    clock: Clock
    begun_s: float
    shown: dict[str, str]

    def span(self, *, until_s: float | None = None) -> dict[str, str]:
        ends = self.clock.now_s if until_s is None else until_s
        return {"startTime": _iso(self.begun_s), "endTime": _iso(ends)}


def _iso(at_s: float) -> str:
    return datetime.datetime.fromtimestamp(at_s, datetime.UTC).isoformat()


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    path, clock = tmp_path_factory.mktemp("administration") / "shop", Clock()
    init_workspace(path, template="personalizer")
    policy = path / "policy.toml"
    policy.write_text(policy.read_text().replace("floor = 0.05", f"floor = {FLOOR}"))
    replica = Replica.open(open_workspace(path), clock=clock)
    app, begun = create_app(replica), clock.now_s
    shown = asyncio.run(_events(Client(app), replica, clock))
    with replica.database.write() as connection:
        key = keys.add(connection, Grant("", "ops", frozenset({"admin", "report"})), actor="test", now_s=clock.now_s)
    replica.gate.follow()
    with serving(app) as url:
        yield Service(url, key.text, key.id, replica, path, clock, begun, shown)


async def _events(client: Client, replica: Replica, clock: Clock) -> dict[str, str]:
    """In the morning news earns 1, in the evening sport; everything else nothing. Models are made in between."""
    loop, shown = LearningLoop.open(replica.workspace, replica.database, clock=clock), {}
    for i in range(EVENTS):
        evening = i % 2 == 1
        actions = [{"id": name, "features": [{"topic": name}]} for name in ACTIONS]
        asked = {
            "actions": actions,
            "contextFeatures": [{"time": "evening" if evening else "morning", "noise": {"x": str(i % 5)}}],
            "eventId": f"e-{i}",
        }
        ranked = (await client.post("/personalizer/v1.0/rank", asked)).json
        shown[f"e-{i}"] = ranked["rewardActionId"]
        good = ranked["rewardActionId"] == ("sport" if evening else "news")
        await client.post(f"/personalizer/v1.0/events/e-{i}/reward", {"value": float(good)})
        clock.now_s += 30.0
        if i % PER_STEP == PER_STEP - 1:
            clock.now_s += 3_600.0
            loop.step()
            replica.feed.poll()
    return shown


@pytest.fixture
def admin(service: Service) -> PersonalizerAdministrationClient:
    return PersonalizerAdministrationClient(service.url, AzureKeyCredential(service.key))


def finished(look):
    for _ in range(600):
        found = look()
        if found["status"] != "Running":
            return found
        time.sleep(0.1)
    raise AssertionError("it goes on and on")


def window(service: Service) -> dict[str, datetime.datetime]:
    return {
        "start_time": datetime.datetime.fromtimestamp(service.begun_s, datetime.UTC),
        "end_time": datetime.datetime.fromtimestamp(service.clock.now_s, datetime.UTC),
    }


def test_an_evaluation_judges_the_log(admin: PersonalizerAdministrationClient, service: Service) -> None:
    admin.create_evaluation("first", {"name": "First", **service.span()})
    found = finished(lambda: admin.get_evaluation("first", **window(service)))

    assert found["status"] == "Succeeded", found
    assert f"{EVENTS:,} events" in found["description"]
    value = {one["name"]: one for one in found["content"]["value"]}
    assert set(value) == {"online", "baseline", "random"}
    good = {f"e-{i}": ("sport" if i % 2 else "news") for i in range(EVENTS)}
    truth = float(np.mean([service.shown[event] == best for event, best in good.items()]))
    assert value["online"]["summary"]["expectedReward"] == pytest.approx(truth)
    # The first action earns in the mornings alone, an even draw in a third of all events. Standard errors are .06 and
    # .035, so that an interval and .1 miss the truth for one salt in 5,000, and salts are the same in each run.
    for name, exact in (("baseline", 0.5), ("random", 1 / 3)):
        low, high = value[name]["summary"]["confidenceInterval"]
        assert low - 0.1 <= exact <= high + 0.1, name
    assert value["online"]["policySource"] == "Online"

    last = value["online"]["timeseries"]["data"][-1]
    assert last["expectedReward"] == pytest.approx(truth)  # of all since the start
    with pytest.raises(ResourceExistsError):
        admin.create_evaluation("first", {"name": "Again", **service.span()})
    assert [one["id"] for one in admin.list_evaluations()] == ["first"]
    assert list(admin.list_evaluations(filter_expression="evaluationType eq 'Auto'")) == []
    admin.delete_evaluation("first")
    with pytest.raises(ResourceNotFoundError):
        admin.get_evaluation("first", **window(service))


def test_a_policy_that_was_judged_can_be_applied(admin: PersonalizerAdministrationClient, service: Service) -> None:
    today = admin.get_policy()
    asked = {"name": "Search", **service.span(), "enablePolicyOptimization": True, "policies": [{**today, "name": "x"}]}
    admin.create_evaluation("search", asked)
    found = finished(lambda: admin.get_evaluation("search", **window(service), interval_in_minutes=60))

    assert found["status"] == "Succeeded", found
    sources = {one["name"]: one["policySource"] for one in found["content"]["value"]}
    assert sources["x"] == "Custom"
    candidates = [name for name, source in sources.items() if source == "OfflineExperimentation"]
    assert candidates == ["squarecb_scale_1", "squarecb_scale_100"]
    assert "has learned from" in found["description"]
    assert found["optimalPolicy"] in ("online", "x", *candidates)

    with pytest.raises(HttpResponseError) as never:
        admin.apply_from_evaluation({"evaluationId": "search", "policyName": "random"})
    assert never.value.status_code == 400
    with pytest.raises(ResourceNotFoundError):
        admin.apply_from_evaluation({"evaluationId": "none", "policyName": "x"})
    before = service.replica.workspace.policy
    admin.apply_from_evaluation({"evaluationId": "search", "policyName": "squarecb_scale_100"})
    after = service.replica.workspace.policy
    assert (before.exploration.scale, after.exploration.scale) == (10.0, 100.0)
    assert load(service.path / "policy.toml", Policy) == after
    assert (service.path / "policies" / f"{before.version}.toml").exists()
    assert admin.get_evaluation("search", **window(service))["status"] == "OptimalPolicyApplied"
    with service.replica.database.read() as connection:
        entry = audit_log.newest(connection, limit=1)[0]
    assert (entry.action, entry.actor, entry.subject) == ("policy.change", f"key:{service.key_id}", after.version)


def test_what_cannot_be_judged_fails_in_words(admin: PersonalizerAdministrationClient, service: Service) -> None:
    early = {"startTime": "2001-01-01T00:00:00Z", "endTime": "2001-02-01T00:00:00Z"}
    admin.create_evaluation("early", {"name": "Early", **early})
    found = finished(lambda: admin.get_evaluation("early", **window(service)))
    assert found["status"] == "Failed"
    assert found["content"] is None
    assert found["description"]

    for more in ({"endTime": "2000-01-01T00:00:00Z"}, {"policies": [{"name": "a", "arguments": "--cb_explore_adf"}]}):
        with pytest.raises(HttpResponseError) as refused:
            admin.create_evaluation("wrong", {"name": "Wrong", **early, **more})
        assert refused.value.status_code == 400


def test_features_are_weighed(admin: PersonalizerAdministrationClient, service: Service) -> None:
    admin.create_feature_importance("f", {"name": "F", **service.span()})
    found = finished(lambda: admin.get_feature_importance("f"))

    assert found["status"] == "Succeeded", found
    scores = {(one["namespace"], one["featureName"]): one["score"] for one in found["featureScores"]}
    # Seen with twelve salts: .34 to .36 for what matters, .03 to .05 for noise not yet averaged out by few events.
    assert scores["context", "time"] > 2 * scores["context", "noise.x"] > 0.0
    assert ("action", "(all)") in scores
    assert [one["score"] for one in found["featureScores"]] == sorted(scores.values(), reverse=True)
    assert [one["id"] for one in admin.list_feature_importances(top=5)] == ["f"]
    admin.delete_feature_importance("f")
    assert list(admin.list_feature_importances()) == []
    with pytest.raises(ResourceNotFoundError):
        admin.delete_feature_importance("f")


def test_the_configuration_is_told_and_changed_live(admin: PersonalizerAdministrationClient, service: Service) -> None:
    found = admin.get_service_configuration()
    assert {name: found[name] for name in ("rewardWaitTime", "defaultReward", "rewardAggregation", "learningMode")} == {
        "rewardWaitTime": "PT10M",
        "defaultReward": 0.0,
        "rewardAggregation": "earliest",
        "learningMode": "Online",
    }
    assert found["explorationPercentage"] == service.replica.workspace.policy.exploration.floor == FLOOR
    assert found["logRetentionDays"] == -1

    other = Replica.open(open_workspace(service.path), clock=service.clock)
    changed = admin.update_service_configuration({**found, "explorationPercentage": 0.3, "rewardWaitTime": "PT600S"})
    assert changed["explorationPercentage"] == 0.3
    assert service.replica.workspace.policy.exploration.floor == 0.3
    other.catalogues.follow()
    assert other.workspace.policy == service.replica.workspace.policy
    other.close()
    apprentice = admin.update_service_configuration({**changed, "learningMode": "Apprentice"})
    assert apprentice["learningMode"] == "Apprentice"
    assert service.replica.workspace.policy.baseline.kind == "first"
    admin.update_service_configuration({**found, "learningMode": "Online"})
    assert service.replica.workspace.policy.mixture.apprentice is False

    for more, file in (
        ({"rewardWaitTime": "PT20M"}, "rewards.toml"),
        ({"defaultReward": 0.5}, "rewards.toml"),
        ({"modelExportFrequency": "PT1M"}, "service.toml"),
        ({"logRetentionDays": 90}, ""),
        ({"learningMode": "LoggingOnly"}, ""),
        ({"explorationPercentage": 1.5}, ""),
        ({"rewardWaitTime": "soon"}, ""),
    ):
        with pytest.raises(HttpResponseError) as refused:
            admin.update_service_configuration({**found, **more})
        assert refused.value.status_code == 400
        assert refused.value.error.target == next(iter(more))
        assert file in refused.value.error.message
    assert admin.get_service_configuration()["explorationPercentage"] == FLOOR


def test_learning_settings(admin: PersonalizerAdministrationClient) -> None:
    found = admin.get_policy()
    assert "--cb_adf" in found["arguments"]
    assert admin.update_policy({**found, "name": "renamed"}) == {**found, "name": "renamed"}
    assert admin.reset_policy() == admin.get_policy()
    with pytest.raises(HttpResponseError) as refused:
        admin.update_policy({"name": "bold", "arguments": f"{found['arguments']} --learning_rate 5"})
    assert refused.value.status_code == 400
    assert "policy.toml" in refused.value.error.message


def test_the_model_comes_out_and_goes_back_in(admin: PersonalizerAdministrationClient, service: Service) -> None:
    serves = service.replica.feed.current().version
    content = b"".join(admin.export_model())
    assert content[4:20].find(b"9.") >= 0, "Vowpal Wabbit's version stands at the head of its file"
    made = admin.get_model_properties()
    assert made["creationTime"] <= made["lastModifiedTime"]

    admin.reset_model()
    assert service.replica.feed.current().version == "none"
    assert admin.get_model_properties() == {}
    with pytest.raises(ResourceNotFoundError):
        admin.export_model()
    admin.import_model(BytesIO(content))
    assert service.replica.feed.current().version == serves

    for wrong in (content[:-1], b"anything", content[:-1] + bytes([content[-1] ^ 1])):
        with pytest.raises(HttpResponseError) as refused:
            admin.import_model(BytesIO(wrong))
        assert refused.value.status_code == 400
    assert service.replica.feed.current().version == serves
    with pytest.raises(HttpResponseError):
        admin.export_model(signed=True)


def test_the_log_is_told_and_stays(admin: PersonalizerAdministrationClient, service: Service) -> None:
    span = admin.get_log_properties()["dateRange"]
    assert datetime.datetime.fromisoformat(span["from"]).timestamp() == service.begun_s
    assert datetime.datetime.fromisoformat(span["to"]).timestamp() < service.clock.now_s
    with pytest.raises(HttpResponseError) as refused:
        admin.delete_logs()
    assert (refused.value.status_code, refused.value.error.code) == (400, "BadRequest")


def test_reading_and_changing_need_scopes_of_their_own(service: Service) -> None:
    client = Client(create_app(service.replica))
    made = {}
    with service.replica.database.write() as connection:
        for scope in ("report", "decide"):
            grant = Grant("", scope, frozenset({scope}))
            made[scope] = keys.add(connection, grant, actor="test", now_s=service.clock.now_s).text
        elsewhere = Grant("", "mail", frozenset({"report", "admin"}), frozenset({"email"}))
        made["mail"] = keys.add(connection, elsewhere, actor="test", now_s=service.clock.now_s).text
    service.replica.gate.follow()

    def status(name: str, method: str, path: str) -> int:
        headers = {**JSON, "ocp-apim-subscription-key": made[name]}
        return asyncio.run(client.send(method, f"/personalizer{path}", b"", headers=headers)).status

    assert status("report", "GET", "/configurations/service") == 200
    assert status("report", "DELETE", "/model") == 403
    for method, path in (("GET", "/model"), ("GET", "/configurations/policy"), ("DELETE", "/evaluations/x")):
        assert status("decide", method, path) == 403
        assert status("mail", method, path) == 403, "a key for other channels"


def test_the_series_follow_the_delta_method_by_hand() -> None:
    """Rewards 1, 0 with weights 2, 1: v = 2/3, variance (4 (1/3)^2 + 1 (2/3)^2) / 9 = 8/81."""
    sums = [Sums(0.0, 1.0, 2.0, 2.0, 4.0, 4.0, 4.0), Sums(300.0, 1.0, 1.0, 0.0, 1.0, 0.0, 0.0)]
    (first, both) = points(sums, since_s=0.0, until_s=600.0, every_s=300.0, rolling=False)
    assert (first.at, both.at) == (300.0, 600.0)
    found = value_of(both, (-10.0, 10.0))
    assert found is not None
    assert found.expected_reward == pytest.approx(2 / 3)
    half = 1.959963984540054 * (8 / 81) ** 0.5
    assert found.confidence_interval == pytest.approx([2 / 3 - half, 2 / 3 + half])
    alone = list(points(sums, since_s=0.0, until_s=600.0, every_s=300.0, rolling=True))
    assert [one.wr / one.w for one in alone] == [1.0, 0.0]
    assert len(list(points(sums, since_s=0.0, until_s=300.0, every_s=300.0, rolling=True))) == 1
