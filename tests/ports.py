"""Ports for services that tests start: none that the system gives to somebody else before the service has it."""

import itertools
import os
import socket
from contextlib import suppress

FIRST, LAST = 12_000, 30_000  # below those from which the kernel serves whoever takes any (32,768 on)

_numbers = itertools.count(os.getpid() * 97)  # processes of one run begin at places of their own


def free_port() -> int:
    """A port of 127.0.0.1 that nobody listens on, another one each time."""
    for number in _numbers:
        port = FIRST + number % (LAST - FIRST)
        with socket.socket() as probe, suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port
    raise AssertionError("there are always more numbers")
