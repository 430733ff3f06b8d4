"""What must stand in the environment before Ray starts, since Ray reads most of its settings when it is imported.

Front end: HAProxy beside Ray Serve, in its fast mode. Ports and files are of this service alone, so that two services
on one machine do not meet.
"""

import contextlib
import os
import secrets
import socket
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import bandit_nba
from bandit_nba.errors import RefusedError
from serve.front_end import install
from serve.guard import MARK


@dataclass(frozen=True)
class Ports:
    """Where the front end tells of itself, and Ray's own proxy, which takes over while no replica is known."""

    stats: int
    metrics: int
    fallback_http: int
    fallback_grpc: int


def free_ports() -> Ports:
    """Four ports that nobody listens on now."""
    with contextlib.ExitStack() as stack:
        probes = [stack.enter_context(socket.socket()) for _ in range(4)]
        for probe in probes:
            probe.bind(("", 0))
        return Ports(*(int(probe.getsockname()[1]) for probe in probes))


def variables(directory: Path, ports: Ports, *, name: str) -> dict[str, str]:
    """All variables for one service; `directory` is private to it, exists, and its path is short (it holds sockets)."""
    front_end = install(directory, private=(ports.stats, ports.metrics))
    if front_end is None:
        raise RefusedError("HAProxy is not installed", hint='on Linux it comes with `pip install "ray[serve]"`')
    return {
        MARK: name,
        "RAY_SERVE_HAPROXY_BINARY_PATH": str(front_end),
        "PYTHONPATH": os.pathsep.join(_import_path()),
        # The fast mode, and its files.
        "RAY_SERVE_ENABLE_HA_PROXY": "1",
        "RAY_SERVE_THROUGHPUT_OPTIMIZED": "1",
        "RAY_SERVE_HTTP_PROXY_CALLBACK_IMPORT_PATH": "serve.direct.middlewares",
        "RAY_SERVE_HAPROXY_NBTHREAD": "1",
        "RAY_SERVE_HAPROXY_CONFIG_FILE_LOC": str(directory / "haproxy.cfg"),
        "RAY_SERVE_HAPROXY_SOCKET_PATH": str(directory / "admin.sock"),
        "RAY_SERVE_HAPROXY_METRICS_SOCKET_PATH": str(directory / "metrics.sock"),
        "RAY_SERVE_HAPROXY_SERVER_STATE_BASE": str(directory),
        "RAY_SERVE_HAPROXY_SERVER_STATE_FILE": str(directory / "server-state"),
        "RAY_SERVE_HAPROXY_STATS_PORT": str(ports.stats),
        "RAY_SERVE_HAPROXY_METRICS_PORT": str(ports.metrics),
        "RAY_SERVE_FALLBACK_PROXY_HTTP_PORT": str(ports.fallback_http),
        "RAY_SERVE_FALLBACK_PROXY_GRPC_PORT": str(ports.fallback_grpc),
        # A line to a Python process and one to syslog for each request cost a fifth of the throughput, and would hold
        # decision ids.
        "RAY_SERVE_HAPROXY_METRICS_ENABLED": "0",
        "RAY_SERVE_HAPROXY_LOG_TARGET": "127.0.0.1:514 sample 1:1000000000",
        # Ray's defaults keep idle clients for an hour and stop within two minutes.
        "RAY_SERVE_HAPROXY_TIMEOUT_CLIENT_S": "75",
        "RAY_SERVE_HAPROXY_TIMEOUT_SERVER_S": "75",
        "RAY_SERVE_HAPROXY_HARD_STOP_AFTER_S": "15",
        "RAY_SERVE_DIRECT_INGRESS_MIN_DRAINING_PERIOD_S": "1",
        # Ray runs workers at nice 15, which on a shared machine makes every answer wait for whatever else runs.
        "RAY_worker_niceness": "0",
        "RAY_USAGE_STATS_ENABLED": "0",
        # Ray's own ports are open on all interfaces: only who has this service's token is heard. Not kept on disk.
        "RAY_AUTH_MODE": "token",
        "RAY_AUTH_TOKEN": secrets.token_hex(32),
        "RAY_ENABLE_UV_RUN_RUNTIME_ENV": "0",  # or `uv run` makes Ray build a new environment in each worker
        "OMP_NUM_THREADS": os.environ.get("OMP_NUM_THREADS", "1"),
    }


def _import_path() -> Iterator[str]:
    """Where workers import this project from: where this process does, installed or not."""
    root = str(Path(bandit_nba.__file__).resolve().parents[1])
    known = [part for part in os.environ.get("PYTHONPATH", "").split(os.pathsep) if part]
    yield from dict.fromkeys([root, *known])
