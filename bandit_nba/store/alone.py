"""One process at a time at a folder of files that no database guards."""

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from bandit_nba.errors import StoreBusyError


@contextmanager
def alone(folder: Path, *, at: str) -> Iterator[None]:
    """Hold the folder, which is made where there is none; the system lets go of it when a process dies.

    at: what the other is at, in words.

    Raises
    ------
    StoreBusyError
        If another process holds it.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / ".lock").open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise StoreBusyError(f"another process {at}", where=str(folder)) from None
        yield
