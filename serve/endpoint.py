"""One address of the API as an ASGI application: reads a bounded body, calls a handler, answers or explains."""

import itertools
import logging
import os
import re
import time
from collections.abc import Awaitable, Callable, Mapping, MutableMapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import unquote

import msgspec

from bandit_nba.access.scopes import Scope as AccessScope
from serve import logs, parameters, wrong_body
from serve import problem as problems
from serve.body import MIB as MIB
from serve.body import ClientGone, read_body, too_large
from serve.body import ReceiveCallable as ReceiveCallable
from serve.doorman import ANYBODY, Caller, Doorman
from serve.parameters import Parameters
from serve.problem import Kind, Problem
from serve.refusal import Headers, Refused, refused
from serve.tracing import Tracing
from serve.traffic import Traffic

log = logging.getLogger("nba.serve")

Scope = MutableMapping[str, Any]
SendCallable = Callable[[MutableMapping[str, Any]], Awaitable[None]]

JSON = "application/json"
NDJSON = "application/x-ndjson"

TEXT = "text/plain; version=0.0.4; charset=utf-8"
"""Of Prometheus' exposition format."""

OCTETS = "application/octet-stream"

_SECURITY = (
    (b"x-content-type-options", b"nosniff"),
    (b"cache-control", b"no-store"),
    (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'"),
    (b"referrer-policy", b"no-referrer"),
)
_HEADERS = {
    media: ((b"content-type", media.encode()), *_SECURITY) for media in (JSON, problems.MEDIA_TYPE, TEXT, OCTETS)
}
_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f]")
_NUMBERS = itertools.count(int.from_bytes(os.urandom(8), "big"))
"""Of requests without a name, from a random start. Asking the system for each lets go of the interpreter, and beside a
busy decider the loop then waits for it: 270 us a request."""
_REQUEST_ID = re.compile(rb"[A-Za-z0-9._-]{1,64}")


class Call(msgspec.Struct, frozen=True):
    """A request as handlers see it: parameters of the path and of the query (decoded), the body, and who calls."""

    params: Mapping[str, str]
    body: bytes
    media_type: str = JSON
    query: Mapping[str, str] = {}
    caller: Caller = ANYBODY


class Reply(msgspec.Struct, frozen=True):
    """A response: its body's bytes are sent as they are."""

    status: int
    body: bytes
    media_type: str = JSON
    headers: Headers = ()


Handler = Callable[[Call], Awaitable[Reply]]


@dataclass(frozen=True)
class Operation:
    """A method on a path: its handler, and all that the OpenAPI document says of it.

    takes: what the body may be, none for no body. media_types: how it may be written. replies: by status, what the
    body may be, the main answer first. limit_bytes: longer bodies are refused with 413. refuses: what can go wrong
    beyond what all share. example: of the body, examples: more of them by name; shows: of the main answer. query:
    parameters behind the question mark, see `parameters`. scope: what a key must be good for; None for what everybody
    may ask. answers: the media type of replies. explain: makes the answer to an error, where it is not `reply_of`.
    """

    method: str
    path: str
    name: str
    summary: str
    handler: Handler
    replies: Mapping[int, tuple[Any, ...]]
    takes: tuple[Any, ...] = ()
    media_types: tuple[str, ...] = (JSON,)
    limit_bytes: int = MIB
    refuses: tuple[Kind, ...] = ()
    example: Any = None
    examples: Mapping[str, Any] = field(default_factory=dict)
    shows: Any = None
    query: Parameters = field(default_factory=dict)
    scope: AccessScope | None = None
    answers: str = JSON
    explain: "Callable[[Exception], Reply] | None" = None


class Endpoint:
    """All operations of one path, and who is let in to them; without a doorman everybody is. tracing: None for none."""

    def __init__(
        self,
        operations: Sequence[Operation],
        doorman: Doorman | None = None,
        traffic: Traffic | None = None,
        tracing: Tracing | None = None,
    ) -> None:
        self.operations = {o.method: o for o in operations}
        self._tracing = tracing
        self._doorman = doorman
        self._traffic = traffic or Traffic()
        self._explain = next((o.explain for o in operations if o.explain is not None), reply_of)
        self.allow = ", ".join(sorted({*self.operations, *(["HEAD"] if "GET" in self.operations else [])}))

    async def __call__(self, scope: Scope, receive: ReceiveCallable, send: SendCallable) -> None:
        """Serve one request; never raises but for the server's own trouble with the connection."""
        method = scope["method"]
        headers = dict(scope["headers"])  # of one that was sent twice the last counts
        operation = self.operations.get("GET" if method == "HEAD" else method)
        if self._tracing is None or operation is None:
            await self._serve(operation, scope, headers, receive, send)
        else:
            with self._tracing.request(method, operation.path, operation.name, headers) as seen:
                seen.status = await self._serve(operation, scope, headers, receive, send)

    async def _serve(
        self,
        operation: Operation | None,
        scope: Scope,
        headers: Mapping[bytes, bytes],
        receive: ReceiveCallable,
        send: SendCallable,
    ) -> int | None:
        """The status of the answer; None where the client has gone before."""
        begun, method = time.perf_counter(), scope["method"]
        named = _request_id(headers)
        logs.request_id.set(named.decode("latin-1"))
        call = None
        try:
            if operation is None:
                raise refused(problems.METHOD, f"{method} is not offered here", allow=self.allow)
            caller = self._admitted(operation, headers, scope.get("client"))
            call = await _call(operation, scope, headers, receive, caller)
            reply = await operation.handler(call)
        except ClientGone:
            self._traffic.gone += 1
            return None
        except Exception as error:  # noqa: BLE001 (the boundary: whatever happens inside, the caller hears of it)
            if call is not None and isinstance(error, msgspec.DecodeError) and operation and call.media_type == JSON:
                error = wrong_body.told(error, call.body, operation.takes)
            reply = self._explain(error)
        await send_reply(send, reply, with_body=method != "HEAD", named=named)
        name = "other" if operation is None else operation.name
        self._traffic.answered(name, reply.status, time.perf_counter() - begun)
        return reply.status

    def _admitted(self, operation: Operation, headers: Mapping[bytes, bytes], client: tuple[str, int] | None) -> Caller:
        if self._doorman is None or operation.scope is None:
            return ANYBODY
        return self._doorman.admit(operation.scope, headers, client)


def _request_id(headers: Mapping[bytes, bytes]) -> bytes:
    """What the client calls its request, where that is a plain word; otherwise a new one."""
    sent = headers.get(b"x-request-id")
    if sent is not None and _REQUEST_ID.fullmatch(sent):
        return sent
    return b"%016x" % (next(_NUMBERS) & 0xFFFF_FFFF_FFFF_FFFF)


def reply_of(error: Exception) -> Reply:
    """The answer that explains `error`."""
    if isinstance(error, Refused):
        return problem_reply(error.kind, error.problem, error.headers)
    return problem_reply(problems.kind_of(error), problem_of(error))


def problem_of(error: BaseException) -> Problem:
    """`error` in words for the client; what is the service's own trouble is told to its log as well."""
    if isinstance(error, Refused):
        return error.problem
    kind = problems.kind_of(error)
    if kind is problems.INTERNAL:
        log.error("a handler failed", exc_info=error)
    elif kind is problems.NO_STORE:
        log.error("the store failed: %s", error)
    return problems.problem_of(error)


def problem_reply(kind: Kind, problem: Problem, headers: Headers = ()) -> Reply:
    """A problem as a response, with Retry-After where trying again makes sense."""
    if kind.retry_after_s:
        headers = (*headers, (b"retry-after", str(kind.retry_after_s).encode()))
    return Reply(kind.status, msgspec.json.encode(problem), problems.MEDIA_TYPE, headers)


async def send_reply(send: SendCallable, reply: Reply, *, with_body: bool = True, named: bytes = b"") -> None:
    """Send `reply` in two messages; `named` is the request's id."""
    headers = [*_HEADERS[reply.media_type], (b"content-length", b"%d" % len(reply.body)), *reply.headers]
    if named:
        headers.append((b"x-request-id", named))
    await send({"type": "http.response.start", "status": reply.status, "headers": headers})
    await send({"type": "http.response.body", "body": reply.body if with_body else b""})


async def _call(
    operation: Operation, scope: Scope, headers: Mapping[bytes, bytes], receive: ReceiveCallable, caller: Caller
) -> Call:
    params = {name: _decoded(value) for name, value in scope.get("path_params", {}).items()}
    query = parameters.read(operation.query, scope.get("query_string", b"")) if operation.query else {}
    if not operation.takes:
        return Call(params, b"", query=query, caller=caller)
    media_type = _media_type(headers.get(b"content-type", b""), operation)
    if headers.get(b"content-encoding", b"identity").lower() != b"identity":
        hint = "send it as it is, without Content-Encoding"
        raise refused(problems.CONTENT_TYPE, "compressed bodies are not taken", hint=hint)
    length = headers.get(b"content-length", b"")
    if length.isdigit() and int(length) > operation.limit_bytes:
        raise too_large(operation.limit_bytes)
    return Call(params, await read_body(receive, limit_bytes=operation.limit_bytes), media_type, query, caller)


def _media_type(header: bytes, operation: Operation) -> str:
    """The body's media type without its parameters, if the operation takes it."""
    for known in operation.media_types:
        if header == known.encode():
            return known
    essence, _, parameters = header.decode("latin-1").partition(";")
    charset = parameters.strip().lower().replace('"', "")
    if essence.strip().lower() in operation.media_types and charset in ("", "charset=utf-8", "charset=utf8"):
        return essence.strip().lower()
    allowed = " or ".join(operation.media_types)
    raise refused(problems.CONTENT_TYPE, f"this address takes {allowed}", hint=f"send `Content-Type: {allowed}`")


def _decoded(segment: str) -> str:
    """A path segment without its percent signs; what is not UTF-8 or holds a control character names nothing."""
    if "%" not in segment:
        return segment
    try:
        name = unquote(segment, errors="strict")
    except UnicodeDecodeError:
        raise refused(problems.UNKNOWN_ID, "the address is not valid UTF-8") from None
    if _CONTROL.search(name):
        raise refused(problems.UNKNOWN_ID, "the address holds a control character")
    return name
