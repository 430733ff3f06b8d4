"""A page of decisions: each item as it would be alone."""

import asyncio

from tests.serve.asgi_client import Client

PATH = "/v1/decisions/batch"


def ask(client: Client, page: object):
    return asyncio.run(client.post(PATH, page))


def item(i: int, **more: object) -> dict[str, object]:
    return {"decisionId": f"d-{i}", "customerId": f"c-{i}", "channel": "web", **more}


def test_a_page_is_answered_in_its_order_and_again_byte_for_byte(client: Client) -> None:
    page = [item(i) for i in range(1_000)]
    first, again = ask(client, page), ask(client, page)

    assert (first.status, again.status) == (201, 200)
    assert [r["decisionId"] for r in first.json["results"]] == [d["decisionId"] for d in page]
    assert [r["decision"] for r in first.json["results"]] == [r["decision"] for r in again.json["results"]]
    assert {r["status"] for r in again.json["results"]} == {200}
    alone = asyncio.run(client.post("/v1/decisions", page[7]))
    assert alone.json == first.json["results"][7]["decision"]


def test_one_bad_item_loses_no_other(client: Client) -> None:
    page = [item(1), item(2, channel="nowhere"), {"channel": 7}, item(1, facts={"senior": True}), item(3)]
    answered = ask(client, page)

    assert answered.status == 207
    results = answered.json["results"]
    assert [r["status"] for r in results] == [201, 422, 422, 422, 201]
    assert results[1]["problem"]["where"] == "channel"
    assert "decision" not in results[1]
    assert results[3]["problem"]["type"].endswith("id-conflict")


def test_an_item_without_an_id_gets_one(client: Client) -> None:
    (result,) = ask(client, [{"channel": "web"}]).json["results"]

    assert result["decisionId"] is None
    assert result["decision"]["decisionId"]


def test_pages_have_a_length(client: Client) -> None:
    assert ask(client, []).status == 422
    assert ask(client, [item(i) for i in range(1_001)]).status == 422
    assert ask(client, {"decisions": []}).status == 422
