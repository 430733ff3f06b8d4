"""The body of a request: bounded in size and in time, whoever stands between the client and here."""

import asyncio
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from bandit_nba.online.alarms import Alarms
from serve import problem as problems
from serve.refusal import Refused, refused

ReceiveCallable = Callable[[], Awaitable[MutableMapping[str, Any]]]

MIB = 2**20
BODY_WITHIN_S = 10.0

_ALARMS = Alarms()


class ClientGone(Exception):  # noqa: N818 (nobody is left to be told of it)
    """The client closed the connection before its body was complete."""


async def read_body(receive: ReceiveCallable, *, limit_bytes: int) -> bytes:
    """The whole body; nearly always it is there at once, in one message.

    Raises
    ------
    Refused
        413 for a longer body, 408 for one that is not there in time.
    ClientGone
        If the client hangs up before.
    """
    task = asyncio.current_task()
    if task is None:
        raise RuntimeError("a body is read by a task")
    late = False

    def end() -> None:
        nonlocal late
        late = True
        task.cancel()

    bell = _ALARMS.set(task, BODY_WITHIN_S, end)  # `asyncio.timeout` makes a timer for each: 10 us instead of 1
    try:
        return await _whole(receive, limit_bytes)
    except asyncio.CancelledError:
        if late and task.uncancel() == 0:
            raise refused(problems.TOO_SLOW, f"the body must arrive within {BODY_WITHIN_S:g} s") from None
        raise
    finally:
        _ALARMS.take_off(task, bell)


async def _whole(receive: ReceiveCallable, limit_bytes: int) -> bytes:
    parts: list[bytes] = []
    size = 0
    while True:
        message = await receive()
        if message["type"] != "http.request":
            raise ClientGone
        part = message.get("body", b"")
        size += len(part)
        if size > limit_bytes:
            raise too_large(limit_bytes)
        parts.append(part)
        if not message.get("more_body", False):
            return parts[0] if len(parts) == 1 else b"".join(parts)


def too_large(limit_bytes: int) -> Refused:
    """The refusal of a longer body."""
    limit = f"{limit_bytes // MIB} MiB"
    return refused(problems.TOO_LARGE, f"a body here has at most {limit}", hint="send fewer items in one request")
