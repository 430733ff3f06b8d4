"""The OpenAPI document shows an example of every body and of every main answer, and each is what its type says."""

import asyncio
from contextlib import suppress
from pathlib import Path
from typing import Any

import msgspec
import pytest

from bandit_nba.online.replica import Replica
from bandit_nba.workspace import init_workspace, open_workspace
from serve.app import App, create_app
from serve.endpoint import JSON, Operation
from tests.serve.asgi_client import Client


@pytest.fixture
def app(tmp_path: Path):
    """With everything there is: the template that offers Personalizer's addresses."""
    init_workspace(tmp_path / "shop", template="personalizer")
    replica = Replica.open(open_workspace(tmp_path / "shop"))
    yield create_app(replica)
    replica.close()


def operations(app: App) -> list[Operation]:
    return [one for route in app._router.routes for one in route.endpoint.operations.values()]


def fits(example: object, kinds: tuple[Any, ...]) -> bool:
    for kind in kinds:
        with suppress(msgspec.ValidationError):
            msgspec.convert(example, kind)
            return True
    return False


def test_every_example_is_what_its_type_says(app: App) -> None:
    for one in operations(app):
        if one.takes and one.takes != (bytes,):
            assert one.example is not None, f"{one.name} shows no body"
            assert all(fits(shown, one.takes) for shown in (one.example, *one.examples.values())), one.name
        main = next(iter(one.replies.values()))
        if main and one.answers == JSON and one.path != "/openapi.json":
            assert one.shows is not None, f"{one.name} shows no answer"
            assert fits(one.shows, main), one.name


def test_the_document_holds_them_and_the_query(app: App) -> None:
    paths = asyncio.run(Client(app).get("/openapi.json")).json["paths"]

    assert paths["/v1/events"]["post"]["requestBody"]["content"][JSON]["example"]["type"] == "travel_booked"
    shown = paths["/v1/models"]["get"]["responses"]["200"]["content"][JSON]["example"]
    assert shown["items"][0]["state"] == "serves"
    limit = next(p for p in paths["/v1/models"]["get"]["parameters"] if p["name"] == "limit")
    assert limit["schema"] == {"type": "integer", "minimum": 1, "maximum": 500, "default": 50}


def test_every_way_to_ask_for_a_decision_is_shown_and_taken(app: App) -> None:
    asked = asyncio.run(Client(app).get("/openapi.json")).json["paths"]["/v1/decisions"]["post"]
    shown = asked["requestBody"]["content"][JSON]["examples"]

    assert list(shown) == ["plain", "ranking", "slots", "actionsBroughtAlong", "shownLater"]
    for one in shown.values():
        assert asyncio.run(Client(app).post("/v1/decisions", one["value"])).status == 201


def test_a_known_id_is_spoken_of_only_where_there_is_one(app: App) -> None:
    paths = asyncio.run(Client(app).get("/openapi.json")).json["paths"]

    assert "Known already" in paths["/v1/decisions"]["post"]["responses"]["200"]["description"]
    for path in ("/v1/status", "/v1/customers/{customerId}/decisions", "/v1/decisions/{decisionId}"):
        assert paths[path]["get"]["responses"]["200"]["description"] == "Done"


def test_links_lead_to_operations_and_their_parameters(app: App) -> None:
    paths = asyncio.run(Client(app).get("/openapi.json")).json["paths"]
    found = {said["operationId"]: said for methods in paths.values() for said in methods.values()}
    links = [
        link
        for said in found.values()
        for answer in said["responses"].values()
        for link in answer.get("links", {}).values()
    ]

    assert len(links) >= 10
    for link in links:
        taken = {parameter["name"] for parameter in found[link["operationId"]]["parameters"]}
        assert set(link["parameters"]) <= taken
