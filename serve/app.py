"""The HTTP API as a plain ASGI application: all of it works without Ray."""

import asyncio
import re
from collections.abc import Sequence
from itertools import groupby
from urllib.parse import quote

from starlette.routing import Route, Router
from starlette.types import ASGIApp

from bandit_nba.online.replica import Replica
from serve import openapi
from serve import problem as problems
from serve.doorman import Doorman
from serve.endpoint import (
    Call,
    Endpoint,
    Operation,
    ReceiveCallable,
    Reply,
    Scope,
    SendCallable,
    reply_of,
    send_reply,
)
from serve.personalizer import administration, events
from serve.personalizer.errors import explained
from serve.refusal import refused
from serve.routes import catalogue, customers, decisions, health, metrics, models, outcomes
from serve.routes import events as happenings
from serve.tracing import Tracing
from serve.traffic import Traffic


def create_app(replica: Replica, *, tracing: Tracing | None = None) -> "App":
    """The API of one replica. Whoever serves it closes the replica: by ASGI's lifespan, or by `replica.close()`.

    tracing: None for no traces.
    """
    traffic = Traffic()
    operations = [
        *decisions.operations(replica),
        *outcomes.operations(replica),
        *customers.operations(replica),
        *happenings.operations(replica),
        *catalogue.operations(replica),
        *models.operations(replica),
        *health.operations(replica),
        metrics.operation(replica, traffic),
        *events.operations(replica),
        *administration.operations(replica),
    ]
    return App([*operations, _documentation(operations)], replica, traffic, tracing)


class App:
    """Routes requests by their path as it was sent, so that a percent sign in an id never makes a new segment."""

    def __init__(
        self, operations: Sequence[Operation], replica: Replica, traffic: Traffic, tracing: Tracing | None
    ) -> None:
        doorman = Doorman(replica.gate)
        paths = groupby(sorted(operations, key=lambda o: _rank(o.path)), key=lambda o: o.path)
        endpoints = {path: Endpoint(list(same), doorman, traffic, tracing) for path, same in paths}
        self._plain = {path: endpoint for path, endpoint in endpoints.items() if "{" not in path}
        self._router = Router([Route(path, endpoint) for path, endpoint in endpoints.items()], redirect_slashes=False)
        self._router.default = _no_route(offers_personalizer=replica.workspace.service.personalizer is not None)
        self._replica = replica

    async def __call__(self, scope: Scope, receive: ReceiveCallable, send: SendCallable) -> None:
        """Serve one HTTP request, or the server's start and stop."""
        if scope["type"] == "lifespan":
            await self._lifespan(receive, send)
        elif scope["type"] == "http":
            raw = scope.get("raw_path") or quote(scope["path"]).encode()
            path = scope["path"] = raw.partition(b"?")[0].decode("latin-1")
            await self._plain.get(path, self._router)(scope, receive, send)

    async def _lifespan(self, receive: ReceiveCallable, send: SendCallable) -> None:
        while True:
            message = await receive()
            if message["type"] == "lifespan.shutdown":
                await asyncio.to_thread(self._replica.close)
            await send({"type": f"{message['type']}.complete"})
            if message["type"] == "lifespan.shutdown":
                return


def _no_route(*, offers_personalizer: bool) -> ASGIApp:
    """What answers where there is no address; Personalizer's clients hear of it in their own words."""

    async def answer(scope: Scope, _receive: ReceiveCallable, send: SendCallable) -> None:
        path = scope["path"]
        theirs = path == events.SECOND or path.startswith(f"{events.SECOND}/")
        hint = _NOT_OFFERED if theirs and not offers_personalizer else "GET /openapi.json lists all addresses"
        shown = _CUSTOMER.sub(r"\1{customerId}", path)[:200]
        error = refused(problems.NO_ROUTE, f"no route {shown}", hint=hint)
        await send_reply(send, (explained if theirs else reply_of)(error), with_body=scope.get("method") != "HEAD")

    return answer


_CUSTOMER = re.compile(r"^(/v1/customers/)[^/]+")  # a raw id, which no error tells back
_NOT_OFFERED = "service.toml has no [personalizer]; `nba init DIR --template personalizer` makes a workspace that has"


def _documentation(operations: Sequence[Operation]) -> Operation:
    text = openapi.document(operations)

    async def describe(_: Call) -> Reply:
        return Reply(200, text)

    return Operation(
        method="GET",
        path="/openapi.json",
        name="getOpenapi",
        summary="This document.",
        handler=describe,
        replies={200: (dict,)},
    )


def _rank(path: str) -> tuple[bool, bool, str]:
    """The addresses asked most come first; the router tries them in order."""
    return "{" in path, not path.startswith("/v1/decisions"), path
