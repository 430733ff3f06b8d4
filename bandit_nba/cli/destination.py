"""Where a command is to write, looked at before the work, which may take long."""

import os
from pathlib import Path

from bandit_nba.errors import InputError

_OF_A_WORKSPACE = ("data", "secrets", "training", "catalogue.toml", "rewards.toml", "policy.toml", "service.toml")


def writable(path: Path | None, *, option: str, workspace: Path | None = None) -> None:
    """Refuse a file that cannot be written there, or would be written over what the workspace lives on; None is none.

    Raises
    ------
    InputError
        If its directory is not there or closed to us, a directory stands at its place, or it is the workspace's store,
        one of its secrets or settings, or lies among them.
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
    if not os.access(path if path.exists() else parent, os.W_OK):
        raise InputError("cannot be written", where=option, got=str(path), hint="name a place that is open to you")
