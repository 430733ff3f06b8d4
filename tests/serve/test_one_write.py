"""Answers leave in one write through uvicorn, whatever they are made of, and not a byte is lost or changed."""

import asyncio
import socket
import threading
from collections.abc import Iterator

import httptools
import pytest
import uvicorn
from starlette.types import Receive, Scope, Send
from uvicorn.protocols.http.h11_impl import H11Protocol
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from serve import direct
from serve.one_write import OneWrite, in_one_write

BODIES = {"/plain": [b"one body"], "/pieces": [b"two ", b"pieces"], "/large": [b"x" * 300_000], "/empty": [b""]}


async def app(scope: Scope, receive: Receive, send: Send) -> None:
    """Answers with the body of its path; "/broken" ends after the head, "/never" before it; "/read" reads first."""
    path = scope["path"]
    if path == "/read":
        await receive()
    if path == "/never":
        raise RuntimeError("before the head")
    parts = BODIES.get(path, [b"nobody"])
    size = b"%d" % sum(map(len, parts))
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", size)]})
    if path == "/broken":
        raise RuntimeError("after the head")
    for i, part in enumerate(parts):
        await send({"type": "http.response.body", "body": part, "more_body": i + 1 < len(parts)})


class Counting:
    """A transport that counts writes."""

    def __init__(self) -> None:
        self.writes: list[bytes] = []
        self.closed = False

    def write(self, data: bytes) -> None:
        self.writes.append(data)

    def close(self) -> None:
        self.closed = True

    def is_closing(self) -> bool:
        return self.closed


@pytest.fixture(params=[HttpToolsProtocol, H11Protocol])
def port(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[int]:
    """A real server with the short way in front of `app`."""
    monkeypatch.setattr(direct, "_here", [app])
    probe = socket.socket()
    probe.bind(("127.0.0.1", 0))
    config = uvicorn.Config(direct.Direct(app), http=request.param, log_level="critical", lifespan="off")
    server = uvicorn.Server(config)
    thread = threading.Thread(target=lambda: asyncio.run(server.serve(sockets=[probe])))
    thread.start()
    while not server.started:
        pass
    yield int(probe.getsockname()[1])
    server.should_exit = True
    thread.join(10.0)


class Answered:
    """Reads one answer, without knowing anything of the server."""

    def __init__(self) -> None:
        self.body = b""
        self.complete = False
        self.parser = httptools.HttpResponseParser(self)

    def on_body(self, body: bytes) -> None:
        self.body += body

    def on_message_complete(self) -> None:
        self.complete = True


def ask(connection: socket.socket, path: str, method: str = "GET") -> tuple[int, bytes, bool]:
    """Status, body and whether the connection stays, of one request on a connection that is kept."""
    connection.sendall(f"{method} {path} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
    answer = Answered()
    head_only = b""
    while not answer.complete:
        data = connection.recv(65_536)
        if not data:
            break
        if method == "HEAD":
            head_only += data
            if head_only.endswith(b"\r\n\r\n"):
                return int(head_only[9:12]), b"", True
        else:
            answer.parser.feed_data(data)
    return (answer.parser.get_status_code() if answer.body or answer.complete else 0), answer.body, answer.complete


def test_answers_are_whole_one_after_the_other_on_one_connection(port: int) -> None:
    with socket.create_connection(("127.0.0.1", port), timeout=5.0) as connection:
        for path in [*BODIES, *BODIES]:
            assert ask(connection, path) == (200, b"".join(BODIES[path]), True)
            assert ask(connection, path, "HEAD")[0] == 200


def test_a_client_that_asks_before_it_sends_its_body_is_told_to_go_on(port: int) -> None:
    with socket.create_connection(("127.0.0.1", port), timeout=5.0) as connection:
        connection.sendall(b"POST /read HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n")
        assert connection.recv(1_000).startswith(b"HTTP/1.1 100 ")
        connection.sendall(b"hello")
        assert connection.recv(1_000).startswith(b"HTTP/1.1 200 ")


def test_a_failure_before_the_head_is_a_500_and_one_after_it_ends_the_connection(port: int) -> None:
    with socket.create_connection(("127.0.0.1", port), timeout=5.0) as connection:
        assert ask(connection, "/never")[0] == 500
    with socket.create_connection(("127.0.0.1", port), timeout=5.0) as connection:
        connection.sendall(b"GET /broken HTTP/1.1\r\nHost: x\r\n\r\n")
        received = b""
        while data := connection.recv(65_536):
            received += data
    assert received.startswith(b"HTTP/1.1 200")
    assert received.endswith(b"\r\n\r\n")


def test_head_and_body_are_one_write_and_what_follows_goes_at_once() -> None:
    transport = Counting()
    held = OneWrite(transport)
    held.write(b"head ")
    assert transport.writes == []
    held.write(b"body")
    assert transport.writes == [b"head body"]
    held.write(b", more")
    held.flush()
    assert transport.writes == [b"head body", b", more"]


def test_what_is_held_is_written_before_the_end() -> None:
    transport = Counting()
    held = OneWrite(transport)
    held.write(b"head")
    held.close()
    assert transport.writes == [b"head"]
    assert held.is_closing()


def test_where_there_is_no_such_transport_nothing_is_touched() -> None:
    async def send(message: object) -> None:
        del message

    assert in_one_write(send) is None
