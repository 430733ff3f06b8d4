"""Drives an ASGI application as a server would, without a socket."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote

import msgspec

JSON = {"content-type": "application/json"}


@dataclass(frozen=True)
class Answered:
    """What came back."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        """The body as plain data."""
        return msgspec.json.decode(self.body)


class Client:
    """Sends requests to one application; the path is taken as it stands, percent signs included."""

    def __init__(self, app: Any) -> None:
        self._app = app

    async def post(self, path: str, data: object, **more: Any) -> Answered:
        """POST `data` as JSON; bytes are sent as they are."""
        return await self.send("POST", path, data if isinstance(data, bytes) else msgspec.json.encode(data), **more)

    async def put(self, path: str, data: object, **more: Any) -> Answered:
        """PUT `data` as JSON; bytes are sent as they are."""
        return await self.send("PUT", path, data if isinstance(data, bytes) else msgspec.json.encode(data), **more)

    async def get(self, path: str) -> Answered:
        """GET."""
        return await self.send("GET", path, b"", headers={})

    async def send(
        self, method: str, path: str, body: bytes, *, headers: Mapping[str, str] = JSON, parts: int = 1
    ) -> Answered:
        """One request, its body in `parts` messages."""
        size = -(-len(body) // parts) or 1
        pieces = [body[i : i + size] for i in range(0, len(body), size)] or [b""]
        messages = [
            {"type": "http.request", "body": piece, "more_body": i + 1 < len(pieces)} for i, piece in enumerate(pieces)
        ]
        return await self.exchange(method, path, messages, headers=headers)

    async def exchange(
        self,
        method: str,
        path: str,
        messages: Sequence[Any],
        *,
        headers: Mapping[str, str] = JSON,
        then_silence: bool = False,
    ) -> Answered:
        """One request as the given messages; after the last one the client is gone, or says nothing for a minute."""
        waiting = iter(messages)
        sent: list[Any] = []

        async def receive() -> Any:
            message = next(waiting, None)
            if message is None and then_silence:
                await asyncio.sleep(60.0)
            return message or {"type": "http.disconnect"}

        async def send(message: Any) -> None:
            sent.append(message)

        scope = {
            "type": "http",
            "asgi": {"version": "3.0"},
            "http_version": "1.1",
            "method": method,
            "path": unquote(path.partition("?")[0]),
            "raw_path": path.encode(),
            "query_string": path.partition("?")[2].encode(),
            "root_path": "",
            "headers": [(name.lower().encode(), value.encode()) for name, value in headers.items()],
        }
        await self._app(scope, receive, send)
        if not sent:
            return Answered(0, {}, b"")
        start, *rest = sent
        found = {name.decode(): value.decode() for name, value in start["headers"]}
        return Answered(start["status"], found, b"".join(message["body"] for message in rest))
