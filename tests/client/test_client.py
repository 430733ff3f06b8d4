"""The clients against the real application on a real socket, and against servers that misbehave."""

import asyncio
import contextlib
import inspect
import random
import time
from collections.abc import Callable, Iterator

import httpx2
import msgspec
import pytest

from bandit_nba.access.grant import Grant
from bandit_nba.client import AsyncClient, Client, LocalClient, Patience, ServiceError, UnreachableError, calls
from bandit_nba.client.patience import pause_s
from bandit_nba.online.messages import DecisionAnswer, DecisionRequest, TriggeredDecision
from bandit_nba.online.replica import Replica
from bandit_nba.store import keys
from bandit_nba.store.tables import api_keys
from bandit_nba.workspace import init_workspace, open_workspace
from serve.app import create_app
from tests.machine import time_lost
from tests.serving import serving

QUICK = Patience(timeout_s=1.0, within_s=3.0, tries=4, first_pause_s=0.001, longest_pause_s=0.01)


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory):
    path = tmp_path_factory.mktemp("client") / "shop"
    init_workspace(path)
    return path


@pytest.fixture(scope="module")
def service(directory) -> Iterator[tuple[str, Replica]]:
    replica = Replica.open(open_workspace(directory))
    with serving(create_app(replica)) as url:
        yield url, replica


def test_the_loop_from_python(service) -> None:
    with Client(service[0], patience=QUICK) as nba:
        kept = nba.put_customers({"kd-4711": {"tenure_months": 14.0, "internet": "dsl", "consent_marketing": True}})
        decision = nba.decide("web", customer_id="kd-4711", facts={"data_left_share": 0.1}, top_k=3)
        again = nba.decide(
            "web", customer_id="kd-4711", facts={"data_left_share": 0.1}, top_k=3, decision_id=decision.decision_id
        )
        told = nba.tell("accept", decision_id=decision.decision_id, outcome_id="o-1")
        twice = nba.tell("accept", decision_id=decision.decision_id, outcome_id="o-1")
        picked = nba.pick(decision.decision_id, decision.arm)

        assert kept["kept"] == 1
        assert again == decision
        assert 0.0 < decision.probability <= 1.0
        assert len(decision.ranking) == 3
        assert (told.receipt, twice.receipt) == ("created", "duplicate")
        assert picked.arm == decision.arm
        assert nba.decision(decision.decision_id)["probability"] == decision.probability
        assert nba.explain(decision.decision_id, language="de").decision_id == decision.decision_id
        assert nba.status()["decisions"]["total"] >= 1


def test_customers_events_catalogue_and_models_from_python(service) -> None:
    with Client(service[0], patience=QUICK) as nba:
        wanted = TriggeredDecision(channel="web")
        told = nba.tell_event("moved", customer_id="c/1", facts={"internet": "dsl"}, event_id="e-1", decide=wanted)
        again = nba.tell_event("moved", customer_id="c/1", facts={"internet": "dsl"}, event_id="e-1", decide=wanted)
        removed = nba.tell_event("left", customer_id="c/1", facts={"internet": None})
        page = nba.customer_decisions("c/1", limit=1)

        assert (told.receipt, again.receipt, removed.receipt) == ("created", "duplicate", "created")
        assert told.decision is not None
        assert told.decision == again.decision
        assert nba.customer("c/1")["facts"] == {}
        assert [one["decisionId"] for one in page["items"]] == [told.decision.decision_id]
        first = nba.catalogue()["actions"][0]
        assert nba.action(first["id"]) == first
        assert nba.models(limit=3)["items"] == []
        assert nba.publish_model("newest", why="as it was")["follows"] is True
        for refused in (lambda: nba.model("none such"), lambda: nba.roll_back_model("none such")):
            with pytest.raises(ServiceError) as unknown:
                refused()
            assert unknown.value.status == 404


def test_both_clients_offer_every_call_with_its_parameters_and_words() -> None:
    built = {
        name: call
        for name, call in vars(calls).items()
        if inspect.isfunction(call) and "Call[" in str(inspect.signature(call).return_annotation)
    }
    offered = {name for name in dir(Client) if not name.startswith("_")} - {"close", "send"}

    assert offered == {name for name in built if not name.startswith("_")}
    for client in (Client("http://test"), AsyncClient("http://test")):
        for name in offered:
            method = getattr(client, name)
            assert inspect.signature(method).parameters == inspect.signature(built[name]).parameters, name
            assert method.__doc__ == built[name].__doc__, name
    assert str(inspect.signature(Client.decision)) == "(self, decision_id: str) -> dict[str, typing.Any]"


def test_ids_with_any_characters_reach_their_decision(service) -> None:
    with Client(service[0]) as nba:
        for name in ("a/b?c#d", "ä €", "100%25", "..", "batch/../x"):
            assert nba.decide("web", decision_id=name).decision_id == name
            assert nba.decision(name)["decisionId"] == name


def test_a_page_tells_which_items_were_refused(service) -> None:
    with Client(service[0]) as nba:
        found = nba.decide_batch([DecisionRequest(channel="web"), DecisionRequest(channel="nowhere")])

    assert [result.status for result in found] == [201, 422]
    assert found[0].decision is not None
    assert found[1].problem is not None
    assert found[1].problem["where"] == "channel"


def test_awaiting_gives_the_same(service) -> None:
    async def ask() -> list[DecisionAnswer]:
        async with AsyncClient(service[0]) as nba:
            return await asyncio.gather(*(nba.decide("web", decision_id=f"async-{i}") for i in range(50)))

    answers = asyncio.run(ask())
    with Client(service[0]) as nba:
        assert [nba.decide("web", decision_id=f"async-{i}") for i in range(50)] == answers


def test_refusals_say_where_and_what_is_allowed(service) -> None:
    with Client(service[0]) as nba, pytest.raises(ServiceError) as refused:
        nba.decide("wep")

    assert refused.value.status == 422
    assert refused.value.where == "channel"
    assert refused.value.type == "urn:nba:problem:invalid-value"


def test_a_key_is_sent_and_never_shown(service) -> None:
    url, replica = service
    with replica.database.write() as connection:
        wanted = Grant("", "client-test", frozenset({"decide"}))
        key = keys.add(connection, wanted, actor="test", now_s=time.time())
    try:
        replica.gate.follow()
        with Client(url, key=key.text) as nba:
            assert nba.decide("web").probability > 0.0
            with pytest.raises(ServiceError) as refused:
                nba.status()
        with Client(url) as nobody, pytest.raises(ServiceError) as unknown:
            nobody.decide("web")
        assert (refused.value.status, unknown.value.status) == (403, 401)
        assert key.text not in repr(refused.value) + str(refused.value) + repr(nba)
    finally:
        with replica.database.write() as connection:
            connection.execute(api_keys.delete())
        replica.gate.follow()


def sent_by(answers: list[Callable[[], httpx2.Response]]) -> tuple[httpx2.MockTransport, list[httpx2.Request]]:
    """A server that answers as told, one after the other, the last one for good."""
    seen: list[httpx2.Request] = []

    def answer(request: httpx2.Request) -> httpx2.Response:
        seen.append(request)
        return answers[min(len(seen), len(answers)) - 1]()

    return httpx2.MockTransport(answer), seen


def broken() -> httpx2.Response:
    raise httpx2.ConnectError("nobody is there")


def busy() -> httpx2.Response:
    return httpx2.Response(503, headers={"retry-after": "0"}, json={"title": "busy", "status": 503})


def told() -> httpx2.Response:
    return httpx2.Response(201, json={"outcomeId": "o", "receipt": "created", "later": "field"})


def test_it_asks_again_with_the_same_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(time, "sleep", lambda _: None)
    transport, seen = sent_by([broken, busy, broken, told])
    with Client("http://test", patience=QUICK, transport=transport) as nba:
        assert nba.tell("accept", customer_id="c").receipt == "created"

    assert len({request.content for request in seen}) == 1
    assert msgspec.json.decode(seen[0].content)["outcomeId"]
    assert len(seen) == 4


def test_patience_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(time, "sleep", lambda _: None)
    transport, seen = sent_by([broken])
    with Client("http://test", patience=QUICK, transport=transport) as nba, pytest.raises(UnreachableError) as gone:
        nba.decide("web")
    assert len(seen) == QUICK.tries
    assert "same ids" in gone.value.hint

    transport, seen = sent_by([busy])
    with Client("http://test", patience=QUICK, transport=transport) as nba, pytest.raises(ServiceError) as refused:
        nba.decide("web")
    assert (refused.value.status, len(seen)) == (503, QUICK.tries)


def test_a_refusal_for_good_is_not_asked_again() -> None:
    transport, seen = sent_by([lambda: httpx2.Response(422, json={"detail": "no", "where": "channel"})])
    with Client("http://test", transport=transport) as nba, pytest.raises(ServiceError):
        nba.decide("web")

    assert len(seen) == 1


def test_it_never_waits_longer_than_it_was_told_to() -> None:
    transport, _ = sent_by([lambda: httpx2.Response(503, headers={"retry-after": "3600"}, json={"detail": "later"})])
    begun = time.monotonic()
    with (
        time_lost() as lost,
        Client("http://test", patience=QUICK, transport=transport) as nba,
        pytest.raises(ServiceError, match="later"),
    ):
        nba.decide("web")

    assert time.monotonic() - begun < 1.0 + lost.seconds


def test_pauses_are_drawn_up_to_a_growing_bound() -> None:
    patience = Patience(tries=6, first_pause_s=0.1, longest_pause_s=0.5)
    drawn = [list(patience.pauses(random.Random(seed))) for seed in range(2_000)]

    bounds = [max(pauses[i] for pauses in drawn) for i in range(5)]
    assert bounds == pytest.approx([0.1, 0.2, 0.4, 0.5, 0.5], rel=0.01)
    assert min(pauses[4] for pauses in drawn) < 0.01
    assert pause_s(0.1, "2") == 2.1  # those who were asked to wait alike do not come back together
    assert pause_s(0.1, "soon") == 0.1


def test_fields_of_a_newer_service_are_left_out_where_they_are_and_nowhere_else() -> None:
    page = {"results": [{"outcomeId": "o", "receipt": "created", "fancy": 1, "problem": {"fancy": 2}}], "results2": []}
    call = calls.tell_batch([])

    (result,) = call.read(201, msgspec.json.encode(page))
    assert (result.outcome_id, result.problem) == ("o", {"fancy": 2})


def test_in_this_process_decisions_are_the_service_s_own(service, directory) -> None:
    with contextlib.closing(LocalClient(directory)) as local, Client(service[0]) as remote:
        here = local.decide("web", customer_id="kd-4711", decision_id="local-1")
        there = remote.decide("web", customer_id="kd-4711", decision_id="local-1")
        assert here == there
        assert local.model_version == here.model_version

        times = []
        for i in range(200):
            begun = time.process_time()  # of all threads; how fast the disk is and who else runs is not theirs
            local.decide("web", decision_id=f"local-quick-{i}")
            times.append(time.process_time() - begun)
    print(f"in-process decision, durable: median {sorted(times)[100] * 1e3:.2f} ms of CPU time")
    assert sorted(times)[100] < 0.02
