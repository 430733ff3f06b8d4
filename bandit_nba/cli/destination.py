"""Where a command is to write, looked at before the work, which may take long."""

import contextlib
import os
from pathlib import Path

from bandit_nba.errors import InputError

_SQLITE, _BESIDE = b"SQLite format 3\0", ("-wal", "-shm", "-journal")
_OF_A_WORKSPACE = ("data", "secrets", "training", "catalogue.toml", "rewards.toml", "policy.toml", "service.toml")


def writable(path: Path | None, *, option: str, workspace: Path | None = None) -> None:
    """Refuse a file that cannot be written there, or would be written over what the workspace lives on; None is none.

    Raises
    ------
    InputError
        If its directory is not there or closed to us, a directory stands at its place, or it is a store, wherever that
        lies, or one of the workspace's secrets or settings, or lies among them.
    """
    if path is None:
        return
    parent = path.absolute().parent
    if not parent.is_dir():
        raise InputError("there is no such directory", where=option, got=str(parent), hint="make it first")
    if path.is_dir():
        raise InputError("is a directory", where=option, got=str(path), allowed="a file's name")
    if workspace is not None:
        place, top = path.resolve(), workspace.resolve()
        if place.is_relative_to(top) and place.relative_to(top).parts[0] in _OF_A_WORKSPACE:
            raise InputError("belongs to the workspace; nothing is written over it", where=option, got=str(path))
    if _is_store(path):
        raise InputError("is a database; nothing is written over it", where=option, got=str(path))
    if not os.access(path if path.exists() else parent, os.W_OK):
        raise InputError("cannot be written", where=option, got=str(path), hint="name a place that is open to you")


def _is_store(path: Path) -> bool:
    """Whether an SQLite database stands there, or the log that one keeps beside it."""
    beside = [path.with_name(path.name.removesuffix(end)) for end in _BESIDE if path.name.endswith(end)]
    for file in filter(Path.is_file, (path, *beside)):  # a pipe would wait for somebody who writes
        with contextlib.suppress(OSError), file.open("rb") as opened:
            if opened.read(len(_SQLITE)) == _SQLITE:
                return True
    return False
