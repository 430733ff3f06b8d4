"""POST /v1/events changes a profile once and may ask for a decision; a customer's profile and decisions."""

import asyncio
import datetime
import threading

import pytest
import sqlalchemy as sa

from bandit_nba.access.grant import Grant
from bandit_nba.online.replica import Replica
from bandit_nba.store import keys as key_store
from bandit_nba.store.tables import customer_events, decisions
from tests.serve.asgi_client import JSON, Answered, Client
from tests.serve.conftest import Clock

EVENT = {"eventId": "e-1", "customerId": "kd-4711", "type": "moved", "facts": {"internet": "dsl"}}


def tell(client: Client, **more: object) -> Answered:
    return asyncio.run(client.post("/v1/events", {**EVENT, **more}))


def profile(client: Client, customer: str = "kd-4711") -> Answered:
    return asyncio.run(client.get(f"/v1/customers/{customer}"))


def listed(client: Client, customer: str = "kd-4711", query: str = "", key: str = "") -> Answered:
    headers = {"authorization": f"Bearer {key}"} if key else {}
    path = f"/v1/customers/{customer}/decisions{query}"
    return asyncio.run(client.send("GET", path, b"", headers=headers))


def test_an_event_changes_facts_once(client: Client) -> None:
    asyncio.run(
        client.put("/v1/customers", [{"customerId": "kd-4711", "facts": {"tenure_months": 3, "internet": "none"}}])
    )
    first = tell(client)
    changed = tell(client, eventId="e-2", facts={"internet": "fiber", "tenure_months": None})
    again = tell(client)

    assert (first.status, first.json) == (
        201,
        {"eventId": "e-1", "receipt": "created", "outdated": [], "decision": None},
    )
    assert changed.status == 201
    assert (again.status, again.json["receipt"]) == (200, "duplicate")
    assert profile(client).json["facts"] == {"internet": "fiber"}
    other = tell(client, facts={"internet": "none"})
    assert (other.status, other.json["type"], other.json["where"]) == (422, "urn:nba:problem:id-conflict", "eventId")
    assert profile(client).json["facts"] == {"internet": "fiber"}


def test_an_event_makes_the_profile_where_there_is_none(client: Client) -> None:
    assert profile(client).status == 404
    tell(client)

    assert profile(client).json["facts"] == {"internet": "dsl"}


def test_an_older_event_that_comes_later_changes_nothing_newer(client: Client, clock: Clock) -> None:
    def at(seconds_ago: float) -> str:
        return datetime.datetime.fromtimestamp(clock.now_s - seconds_ago, datetime.UTC).isoformat()

    tell(client, eventId="newer", facts={"internet": "fiber"}, occurredAt=at(10))
    late = tell(client, eventId="older", facts={"internet": "dsl", "tenure_months": 3}, occurredAt=at(20))
    assert (late.status, late.json["outdated"]) == (201, ["internet"])
    assert profile(client).json["facts"] == {"internet": "fiber", "tenure_months": 3.0}

    tell(client, eventId="gone", facts={"tenure_months": None}, occurredAt=at(5))
    tell(client, eventId="before it went", facts={"tenure_months": 4}, occurredAt=at(6))
    assert profile(client).json["facts"] == {"internet": "fiber"}

    asyncio.run(client.put("/v1/customers", [{"customerId": "kd-4711", "facts": {"internet": "none"}}]))
    stale = tell(client, eventId="before the profile", facts={"internet": "dsl", "tenure_months": 5}, occurredAt=at(1))
    assert stale.json["outdated"] == ["internet", "tenure_months"]
    now = tell(client, eventId="now", facts={"internet": "dsl"})
    assert now.json["outdated"] == []
    assert profile(client).json["facts"] == {"internet": "dsl"}


def test_an_event_is_answered_with_the_decision_that_it_calls_for(client: Client, replica: Replica) -> None:
    decide = {"channel": "web", "facts": {"consent_marketing": True}}
    first = tell(client, decide=decide)
    again = tell(client, decide=decide)

    assert (first.status, again.status) == (201, 200)
    assert first.json["decision"] == again.json["decision"]
    assert first.json["decision"]["decisionId"] == "event:e-1"
    logged = asyncio.run(client.get("/v1/decisions/event:e-1")).json
    assert "fiber_upgrade/speed" in {choice["arm"] for choice in logged["choices"]}, "the event's own fact is seen"
    with replica.database.read() as connection:
        assert connection.execute(sa.select(sa.func.count()).select_from(decisions)).scalar_one() == 1


@pytest.mark.parametrize(
    ("more", "where"),
    [
        ({"facts": {"shoe_size": 42}}, "facts.shoe_size"),
        ({"facts": {"internet": 3}}, "facts.internet"),
        ({"occurredAt": "1970-01-01T00:00:00Z"}, "occurredAt"),
        ({"decide": {"channel": "nowhere"}}, "decide.channel"),
        ({"eventId": "x" * 255, "decide": {"channel": "web"}}, "eventId"),
        ({"decide": {"channel": "web", "customerId": "1"}}, "decide.customerId"),
    ],
)
def test_what_cannot_be_is_refused_and_nothing_kept(client: Client, replica: Replica, more: dict, where: str) -> None:
    refused = tell(client, **more)

    assert (refused.status, refused.json["where"]) == (422, where)
    assert profile(client).status == 404
    with replica.database.read() as connection:
        assert connection.execute(sa.select(customer_events)).all() == []


def test_events_of_one_customer_at_once_lose_no_fact(client: Client, replica: Replica) -> None:
    kinds = replica.workspace.catalogue.facts
    numbers = [name for name, kind in kinds.items() if kind == "number"][:4]
    threads = [
        threading.Thread(target=tell, args=(client,), kwargs={"eventId": name, "facts": {name: i}})
        for i, name in enumerate(numbers)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert profile(client).json["facts"] == {name: float(i) for i, name in enumerate(numbers)}


def test_what_was_decided_for_a_customer_newest_first(client: Client, clock: Clock) -> None:
    assert listed(client).status == 404
    for i in range(5):
        clock.now_s += i % 2  # two at the same moment each
        said = {"decisionId": f"d-{i}", "customerId": "kd-4711", "channel": "web"}
        asyncio.run(client.post("/v1/decisions", said))
    asyncio.run(client.post("/v1/decisions", {"decisionId": "else", "customerId": "1", "channel": "web"}))

    found, query = [], "?limit=2"
    while query:
        page = listed(client, query=query).json
        found.append([one["decisionId"] for one in page["items"]])
        query = f"?limit=2&cursor={page['nextCursor']}" if page["nextCursor"] else ""
    assert found == [["d-4", "d-3"], ["d-2", "d-1"], ["d-0"]]
    one, whole = page["items"][0], asyncio.run(client.get("/v1/decisions/d-0")).json
    assert one == {name: whole[name] for name in one}


def test_a_key_for_some_channels_sees_those_alone(client: Client, replica: Replica) -> None:
    mine, others, *_ = replica.workspace.service.channels
    for channel in (mine, others):
        said = {"decisionId": channel, "customerId": "kd-4711", "channel": channel}
        assert asyncio.run(client.post("/v1/decisions", said)).status == 201
    asyncio.run(client.post("/v1/decisions", {"decisionId": "x", "customerId": "2", "channel": others}))
    tell(client)
    scopes = frozenset({"read", "outcome", "decide", "customers"})
    with replica.database.write() as connection:
        limited = Grant("", "web", scopes, frozenset({mine}))
        key = key_store.add(connection, limited, actor="test", now_s=replica.now_s()).text
    replica.gate.follow()

    assert [one["decisionId"] for one in listed(client, key=key).json["items"]] == [mine]
    assert listed(client, "2", key=key).body == listed(client, "nobody", key=key).body
    assert listed(client, "2", key=key).status == 404
    headers = {**JSON, "authorization": f"Bearer {key}"}
    assert asyncio.run(client.post("/v1/events", {**EVENT, "eventId": "e-9"}, headers=headers)).status == 403


@pytest.mark.parametrize("path", ["/v1/customers/a%00b", "/v1/decisions/%1f", "/v1/models/%C2%85", "/v1/customers/%ff"])
def test_an_address_that_names_nothing_is_not_found(client: Client, path: str) -> None:
    assert asyncio.run(client.get(path)).status == 404


def test_telling_events_is_not_deciding(client: Client, replica: Replica) -> None:
    with replica.database.write() as connection:
        grant = Grant("", "crm", frozenset({"outcome"}))
        key = key_store.add(connection, grant, actor="test", now_s=replica.now_s()).text
    replica.gate.follow()
    headers = {**JSON, "authorization": f"Bearer {key}"}

    assert asyncio.run(client.post("/v1/events", EVENT, headers=headers)).status == 201
    more = {**EVENT, "eventId": "e-2", "decide": {"channel": "web"}}
    assert asyncio.run(client.post("/v1/events", more, headers=headers)).status == 403
