"""What never leaves a client: numbers that are not finite; and in this process, whatever the API would refuse."""

import datetime
import math

import httpx2
import msgspec
import numpy as np
import pytest

from bandit_nba.client import AsyncClient, Client, LocalClient
from bandit_nba.errors import InputError, NbaError
from bandit_nba.online.messages import ActionRequest, DecisionRequest, Outcome, SlotRequest
from bandit_nba.store.tables import outcomes
from bandit_nba.workspace import init_workspace

DECIDED = {"action": "a", "treatment": None, "arm": "a", "probability": 1.0, "expectedReward": 0.0, "kind": "normal"}
DECIDED |= dict.fromkeys(("decidedAt", "validUntil"), "2026-05-04T09:30:00Z") | {"activateBy": None}
DECIDED |= dict.fromkeys(("modelVersion", "policyVersion", "catalogueVersion"), "v")


@pytest.fixture(scope="module")
def local(tmp_path_factory: pytest.TempPathFactory):
    path = tmp_path_factory.mktemp("checked") / "shop"
    init_workspace(path)
    with LocalClient(path) as client:
        yield client


@pytest.fixture
def sent() -> list[dict]:
    return []


@pytest.fixture
def remote(sent: list[dict]):
    def answer(request: httpx2.Request) -> httpx2.Response:
        sent.append(msgspec.json.decode(request.content))
        return httpx2.Response(201, json={"decisionId": "d", **DECIDED})

    with Client("http://test", transport=httpx2.MockTransport(answer)) as client:
        yield client


@pytest.mark.parametrize("number", [math.nan, math.inf, -math.inf, np.float32("nan")])
def test_a_number_that_is_not_finite_is_not_sent_as_unknown(remote: Client, sent: list[dict], number: float) -> None:
    calls = [
        lambda: remote.decide("web", facts={"tenure_months": number}),
        lambda: remote.decide("web", actions=[ActionRequest(id="a", features={"x": number})]),
        lambda: remote.tell("accept", decision_id="d", amount=number),
        lambda: remote.put_customers({"c": {"tenure_months": number}}),
        lambda: remote.tell_event("moved", customer_id="c", facts={"tenure_months": number}),
    ]
    for call in calls:
        with pytest.raises(InputError, match="finite"):
            call()
    assert sent == []


def test_what_was_said_is_sent_and_what_was_not_is_left_out(remote: Client, sent: list[dict]) -> None:
    remote.decide("web", facts={"a": np.float64(1.5), "b": np.int64(2), "c": np.bool_(True), "d": None}, slots=[])
    remote.decide("web", decision_id="")

    assert sent[0]["facts"] == {"a": 1.5, "b": 2, "c": True, "d": None}
    assert set(sent[0]) == {"channel", "decisionId", "facts", "slots"}  # the service says what is wrong with no slots
    assert sent[1] == {"channel": "web", "decisionId": ""}
    with pytest.raises(InputError, match="ndarray"):
        remote.decide("web", facts={"a": np.zeros(2)})


def test_what_could_never_be_reached_is_said_at_once() -> None:
    for made in (Client, AsyncClient):
        with pytest.raises(InputError, match="no address"):
            made("127.0.0.1:8080")
        with pytest.raises(InputError, match="no key") as wrong:
            made("http://127.0.0.1:8080", key="nba_0123 secret")
        assert "secret" not in str(wrong.value)
    Client("http://127.0.0.1:8080", key="nba_0123\n").close()  # as a file has it


@pytest.mark.parametrize(
    ("asked", "where"),
    [
        ({"decision_id": "a" * 257}, "decisionId"),
        ({"decision_id": "a\nb"}, "decisionId"),
        ({"decision_id": ""}, "decisionId"),
        ({"customer_id": "c" * 257}, "customerId"),
        ({"customer_id": 4711}, "customerId"),
        ({"top_k": 51}, "topK"),
        ({"top_k": 0}, "topK"),
        ({"slots": [SlotRequest(id=f"s{i}") for i in range(51)]}, "slots"),
        ({"actions": [ActionRequest(id="a", value=math.inf)]}, "actions[0].value"),
        ({"actions": [ActionRequest(id=f"a{i}") for i in range(1_001)]}, "actions"),
        ({"facts": {"tenure_months": math.nan}}, "facts.tenure_months"),
        ({"facts": {"no_such_fact": 1.0}}, "facts.no_such_fact"),
    ],
)
def test_this_process_refuses_what_the_api_refuses(local: LocalClient, asked: dict, where: str) -> None:
    with pytest.raises(NbaError) as refused:
        local.decide("web", **asked)
    assert refused.value.where == where


def test_at_the_limits_this_process_decides(local: LocalClient) -> None:
    assert local.decide("web", decision_id="a" * 256, customer_id="c" * 256, top_k=50).decision_id == "a" * 256
    assert len(local.decide("web", slots=[SlotRequest(id=f"s{i}") for i in range(50)]).slots) == 50


def test_a_refused_item_spoils_no_other(local: LocalClient) -> None:
    asked = [DecisionRequest(channel="web", decision_id=name) for name in ("x-1", "x" * 257, "x-2")]
    first, refused, second = local.decide_batch(asked)
    assert (first.decision_id, second.decision_id) == ("x-1", "x-2")
    assert isinstance(refused, NbaError)
    assert [isinstance(one, NbaError) for one in local.decide_batch(asked[1:2])] == [True]

    told = [
        Outcome(outcome_id="o-1", type="accept", decision_id="x-1", amount=math.nan),
        Outcome(outcome_id="o-2", type="accept", decision_id="x-1", amount=1.0),
        Outcome(outcome_id="o-3", type="accept", decision_id="x-1", amount=2e9),
        Outcome(outcome_id="o-4", type="accept", decision_id="x-1", occurred_at=datetime.datetime(2026, 5, 4)),
        Outcome(outcome_id="o" * 257, type="accept", decision_id="x-1"),
    ]
    kept = local.tell_batch(told)
    assert [one.receipt for one in kept] == ["invalid", "created", "invalid", "invalid", "invalid"]
    assert [one.error is None for one in kept] == [False, True, False, False, False]
    with local._replica.database.read() as connection:
        assert [row.id for row in connection.execute(outcomes.select())] == ["o-2"]
