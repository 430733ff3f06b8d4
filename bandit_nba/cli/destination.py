"""Where a command is to write, looked at before the work, which may take long."""

import os
from pathlib import Path

from bandit_nba.errors import InputError


def writable(path: Path | None, *, option: str) -> None:
    """Refuse a file that cannot be written there; None is none.

    Raises
    ------
    InputError
        If its directory is not there or closed to us, or a directory stands at its place.
    """
    if path is None:
        return
    parent = path.absolute().parent
    if not parent.is_dir():
        raise InputError("there is no such directory", where=option, got=str(parent), hint="make it first")
    if path.is_dir():
        raise InputError("is a directory", where=option, got=str(path), allowed="a file's name")
    if not os.access(path if path.exists() else parent, os.W_OK):
        raise InputError("cannot be written", where=option, got=str(path), hint="name a place that is open to you")
