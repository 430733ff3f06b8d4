"""A small HTTP client on asyncio: keeps its connection, and says exactly what came back or that nothing did."""

import asyncio
import json
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Reply:
    """What came back. status 0: the connection ended without an answer; -1: it could not be made."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        """The body as plain data."""
        return json.loads(self.body)


REFUSED = Reply(-1, {}, b"")
GONE = Reply(0, {}, b"")


class Wire:
    """One connection at a time to one port of this machine."""

    def __init__(self, port: int, key: str) -> None:
        self._port = port
        self._key = key
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def decide(self, decision: str) -> Reply:
        """Ask for a decision."""
        body = json.dumps({"decisionId": decision, "channel": "web", "facts": {"r2": 0.5}}).encode()
        return await self.send("POST", "/v1/decisions", body)

    async def send(self, method: str, path: str, body: bytes = b"") -> Reply:
        """One request; the connection is made where there is none."""
        head = self.head(method, path, len(body))
        try:
            if self._streams is None:
                self._streams = await asyncio.open_connection("127.0.0.1", self._port)
        except OSError:
            return REFUSED
        reader, writer = self._streams
        try:
            writer.write(head + body)
            await writer.drain()
            reply = await read_reply(reader)
        except (OSError, asyncio.IncompleteReadError, ValueError):
            reply = GONE
        if reply.status == 0 or reply.headers.get("connection") == "close":
            self.close()
        return reply

    def head(self, method: str, path: str, length: int) -> bytes:
        """The request's headers."""
        return (
            f"{method} {path} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {self._key}\r\n"
            f"Content-Type: application/json\r\nContent-Length: {length}\r\n\r\n"
        ).encode()

    def close(self) -> None:
        """End the connection."""
        if self._streams is not None:
            self._streams[1].close()
            self._streams = None


async def read_reply(reader: asyncio.StreamReader) -> Reply:
    """Read one whole answer. Raises `asyncio.IncompleteReadError` if the connection ends before."""
    lines = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
    headers = {k.strip().lower(): v.strip() for k, _, v in (line.partition(":") for line in lines[1:] if line)}
    body = await reader.readexactly(int(headers.get("content-length", "0")))
    return Reply(int(lines[0].split()[1]), headers, body)
