"""Work spread over processes on Ray: a cluster of its own on this machine, or one that runs already."""

import os
import socket
from collections.abc import Callable, Iterator, Sequence
from typing import Any, TypeVar

from bandit_nba.errors import RefusedError

S = TypeVar("S")
W = TypeVar("W")
R = TypeVar("R")

KNOCK_S = 5.0
ONE_THREAD = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")


class OnRay:
    """A `promote.spread.Spread`. workers: pieces at a time. address: of a cluster that runs, "" for one of its own."""

    def __init__(self, *, workers: int, address: str = "") -> None:
        self._workers = workers
        self._address = address

    def __call__(self, work: Callable[[S, W], R], shared: S, pieces: Sequence[W]) -> Iterator[R]:
        """Each piece is a task of one processor; what all share is sent to each machine once.

        Raises
        ------
        RefusedError
            If the cluster cannot be reached.
        """
        self._knock()
        os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
        import ray

        self._join(ray)
        try:
            task, kept = ray.remote(num_cpus=1, max_retries=2)(work), ray.put(shared)
            waiting, flying = list(reversed(pieces)), list[Any]()
            while waiting or flying:
                while waiting and len(flying) < self._workers:
                    flying.append(task.remote(kept, waiting.pop()))
                ready, flying = ray.wait(flying, num_returns=1)
                yield ray.get(ready[0])
        finally:
            ray.shutdown()

    def _join(self, ray: Any) -> None:
        where: dict[str, Any] = {"address": self._address}
        if not self._address:
            where = {"address": "local", "num_cpus": self._workers, "include_dashboard": False}
        try:
            ray.init(runtime_env={"env_vars": ONE_THREAD}, configure_logging=False, log_to_driver=False, **where)
        except (ConnectionError, RuntimeError, ValueError) as error:
            raise self._unreachable(error) from error

    def _knock(self) -> None:
        """Ray itself waits for minutes before it says that nobody is there."""
        host, _, port = self._address.removeprefix("ray://").rpartition(":")
        if not (host and port.isdigit()):
            return
        try:
            socket.create_connection((host.strip("[]"), int(port)), timeout=KNOCK_S).close()
        except (OSError, OverflowError) as error:
            raise self._unreachable(error) from error

    def _unreachable(self, error: Exception) -> RefusedError:
        first = str(error).partition("\n")[0]
        return RefusedError(
            f"the Ray cluster cannot be reached ({first})",
            where="--ray",
            got=self._address or "a cluster on this machine",
            hint="without --ray the search starts a cluster here; --workers 0 needs none",
        )
