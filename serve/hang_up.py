"""The first step of an orderly end: no new connection, and an answer to every request that has been taken."""

import contextlib
import os
import signal
import time
from pathlib import Path

from serve.front_end import ENDING
from serve.guard import processes_of


def stop_listening(name: str, directory: Path, *, within_s: float) -> bool:
    """Have the front end of the service `name` take no new connection, answer what it has taken, and end.

    A connection that is kept alive is told with its next answer that it ends. Ray would start another front end once
    the replicas go; from now on the script does not.

    Returns
    -------
    Whether it ended within `within_s` seconds: nothing is left to be answered then.
    """
    (directory / ENDING).touch()
    give_up = time.monotonic() + within_s
    told: set[int] = set()
    while running := [process for process in processes_of(name, directory) if _is_front_end(process)]:
        for process in set(running) - told:
            with contextlib.suppress(ProcessLookupError):
                os.kill(process, signal.SIGUSR1)
        told.update(running)
        if time.monotonic() > give_up:
            return False
        time.sleep(0.05)
    return True


def _is_front_end(process: int) -> bool:
    try:
        return Path(f"/proc/{process}/comm").read_text().strip() == "haproxy"
    except OSError:
        return False
