"""Runs the whole service on this machine until it is told to stop, and leaves no process behind."""

import contextlib
import io
import logging
import os
import signal
import socket
import sys
import tempfile
import time
import urllib.error
import urllib.request
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import FrameType

from bandit_nba.errors import RefusedError, SettingsError
from bandit_nba.online.replica import Replica
from bandit_nba.workspace import Workspace
from serve.app import create_app
from serve.environment import free_ports, variables
from serve.guard import ending, guarded, own, sweep
from serve.hang_up import stop_listening
from serve.tracing import tracing_from_environment

READY_WITHIN_S = 90.0
KEEP_ALIVE_S = 75
REQUEST_WITHIN_S = 30.0
HANG_UP_WITHIN_S = 3.0
KILLED_ENDS_WITHIN_S = 15.0
"""What a killed service has for its end: its guard gives Ray five seconds, and then ends what is left."""
_OBJECT_STORE_BYTES = 80 * 2**20  # the least that Ray takes; nothing large is passed around
_SHORT = Path("/tmp")  # noqa: S108 (mkdtemp makes a folder there that only its owner may read)
_PREFIX = "nba-"
_SIGNALS = (signal.SIGINT, signal.SIGTERM)


@dataclass(frozen=True)
class Address:
    """Where the service listens."""

    host: str
    port: int

    @property
    def url(self) -> str:
        """For clients on this machine, also where the service listens on all addresses."""
        host = "127.0.0.1" if self.host in ("0.0.0.0", "::") else self.host  # noqa: S104 (a comparison, no binding)
        return f"http://[{host}]:{self.port}" if ":" in host else f"http://{host}:{self.port}"


class _Stopped(BaseException):
    """A signal asked to stop; no `except Exception` on its way may keep it."""


def run(workspace: Workspace, address: Address, *, replicas: int, on_ready: Callable[[], None]) -> None:
    """Serve until SIGINT or SIGTERM; `on_ready` is called once decisions are answered.

    Raises
    ------
    SettingsError
        If the address cannot be listened on.
    RefusedError
        If the service does not become ready, or Ray was loaded before and has read its environment.
    """
    _refuse_loaded_ray()
    _wait_for_the_killed(address)
    _refuse_taken(address)
    _rehearse(workspace)
    name = uuid.uuid4().hex
    # For sockets, Ray's files and logs: only the owner may look inside. Sockets want a short path.
    sweep(_SHORT, _PREFIX)
    directory = Path(tempfile.mkdtemp(prefix=_PREFIX, dir=_SHORT))
    own(directory, name)
    with guarded(name, directory):
        os.environ.update(variables(directory, free_ports(), name=name))
        try:
            _listen_for_signals()
            _start(workspace, address, replicas=replicas, directory=directory)
            _listen_for_signals()  # Ray has put its own handler in the place of ours
            _wait_until_ready(address)
            on_ready()
            while True:
                signal.pause()
        except _Stopped:
            stop_listening(name, directory, within_s=HANG_UP_WITHIN_S)
        finally:
            _stop()


def _refuse_loaded_ray() -> None:
    if "ray" in sys.modules:
        raise RefusedError("Ray is loaded already in this process", hint="start the service in a process of its own")


def _wait_for_the_killed(address: Address) -> None:
    """While a service that was killed keeps the port: its guard is about to end what is left of it."""
    give_up = time.monotonic() + KILLED_ENDS_WITHIN_S
    while _taken(address) is not None and time.monotonic() < give_up and ending(_SHORT, _PREFIX):
        time.sleep(0.1)


def _taken(address: Address) -> OSError | None:
    """Why the address cannot be listened on, None if it can."""
    family = socket.AF_INET6 if ":" in address.host else socket.AF_INET
    try:
        with socket.socket(family) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind((address.host, address.port))
    except OSError as error:
        return error
    return None


def _refuse_taken(address: Address) -> None:
    if (error := _taken(address)) is not None:
        raise SettingsError(
            f"cannot be listened on ({error.strerror or error})",
            where=f"{address.host}:{address.port}",
            hint="another program has the port: stop it, or choose another with --port",
        ) from None


def _rehearse(workspace: Workspace) -> None:
    """Make a replica here first: what is wrong is then one clear error, and not pages of traces from Ray's workers."""
    replica = Replica.open(workspace)
    try:
        create_app(replica, tracing=tracing_from_environment())
    finally:
        replica.close()


def _listen_for_signals() -> None:
    def stop(_number: int, _frame: FrameType | None) -> None:
        for number in _SIGNALS:  # once is enough: a second one must not cut the orderly end short
            signal.signal(number, signal.SIG_IGN)
        raise _Stopped

    for number in _SIGNALS:
        signal.signal(number, stop)


def _start(workspace: Workspace, address: Address, *, replicas: int, directory: Path) -> None:
    """Start Ray, its front end, the replicas and the learner; returns when all of them run."""
    import ray
    from ray import serve as ray_serve
    from ray.serve.config import HTTPOptions

    from serve import deployments

    for name in ("ray", "ray.serve"):
        logging.getLogger(name).setLevel(logging.ERROR)
    # Twice the replicas: while they are replaced, each new one starts before its forerunner ends.
    wanted = 2 * replicas * deployments.REPLICA_CPUS + deployments.LEARNER_CPUS
    ray.init(
        address="local",
        num_cpus=max(os.cpu_count() or 1, int(wanted) + 1),
        include_dashboard=False,
        object_store_memory=_OBJECT_STORE_BYTES,
        logging_level=logging.ERROR,
        log_to_driver=False,
        _temp_dir=str(directory / "ray"),
    )
    options = HTTPOptions(
        host=address.host, port=address.port, keep_alive_timeout_s=KEEP_ALIVE_S, request_timeout_s=REQUEST_WITHIN_S
    )
    args = {"workspace": str(workspace.path), "replicas": str(replicas)}
    try:
        ray_serve.start(proxy_location="HeadOnly", http_options=options)
        ray_serve.run_many(
            [
                ray_serve.RunTarget(deployments.replicas(args), name="nba", route_prefix="/"),
                ray_serve.RunTarget(deployments.learner(args), name="nba-learner", route_prefix=None),
            ]
        )
    except RuntimeError as error:
        logs = directory / "ray" / "session_latest" / "logs"
        raise RefusedError(f"the service did not start: {error}", hint=f"more is in {logs}") from None


def _wait_until_ready(address: Address) -> None:
    give_up = time.monotonic() + READY_WITHIN_S
    last = ""
    while time.monotonic() < give_up:
        try:
            with urllib.request.urlopen(f"{address.url}/readyz", timeout=5):  # noqa: S310 (our own address)
                return
        except (urllib.error.URLError, OSError) as error:
            last = str(error)
        time.sleep(0.1)
    raise RefusedError(f"the service did not become ready within {READY_WITHIN_S:g} s ({last})", where=address.url)


def _stop() -> None:
    """End Serve in order (drain, close, publish), then Ray; whatever fails here must not keep the rest from ending."""
    import ray
    from ray import serve as ray_serve

    ends: tuple[Callable[[], None], ...] = (ray_serve.shutdown, ray.shutdown)
    with contextlib.redirect_stdout(io.StringIO()):  # where Ray prints that it has killed what it was asked to end
        for end in ends:
            with contextlib.suppress(Exception):
                end()
