"""An answer leaves in one write: head and body apart are two system calls here and wake the front end twice.

ASGI hands over the head and the body one after the other, and uvicorn writes each of them at once. Where its transport
can be reached behind `send`, the head is held until the body comes; elsewhere nothing changes.
"""

from typing import Any

from starlette.types import Send


class OneWrite:
    """Stands in the place of the transport for one request: what is written first leaves together with the next."""

    __slots__ = ("_begun", "_held", "_transport")

    def __init__(self, transport: Any) -> None:
        self._transport = transport
        self._held = b""
        self._begun = False

    def write(self, data: bytes) -> None:
        """Hold the first bytes; write all others, the next behind those that are held."""
        if not self._begun and data.startswith(b"HTTP/1.1 1"):  # "100 Continue": the client waits for it with its body
            self._transport.write(data)
        elif not self._begun:
            self._begun, self._held = True, data
        else:
            if self._held:
                data, self._held = self._held + data, b""
            self._transport.write(data)

    def flush(self) -> None:
        """Write what is still held: the head of an answer without a body, or of one that was broken off."""
        if self._held:
            self._transport.write(self._held)
            self._held = b""

    def close(self) -> None:
        """Write what is held, and close."""
        self.flush()
        self._transport.close()

    def is_closing(self) -> bool:
        """Whether the connection is at its end."""
        return bool(self._transport.is_closing())


def in_one_write(send: Send) -> OneWrite | None:
    """Have the answer to a request leave in one write, if `send` is uvicorn's; call `flush` at the end."""
    cycle = getattr(send, "__self__", None)
    transport = getattr(cycle, "transport", None)
    if cycle is None or transport is None or getattr(cycle, "response_started", True):
        return None
    cycle.transport = held = OneWrite(transport)
    return held
