"""How a command fails: one clear block on stderr, a JSON problem on stdout where JSON was asked for, exit code 2."""

import errno
import functools
import sys
from collections.abc import Callable
from typing import ParamSpec

import typer

from bandit_nba.cli.printing import print_json, printable
from bandit_nba.errors import NbaError, StoreError

P = ParamSpec("P")

WRONG_INPUT = 2

_FULL = {errno.ENOSPC, errno.EDQUOT}
_REFUSALS = {
    *_FULL,
    *(errno.EFBIG, errno.EROFS, errno.EIO),
    *(errno.EACCES, errno.EPERM, errno.ENAMETOOLONG, errno.EMFILE, errno.ENFILE),
}
"""What no command can help: no room, no right, no working disk."""


def reported(command: Callable[P, None]) -> Callable[P, None]:
    """A command whose errors are told to people, and with `as_json=True` to machines; bugs keep their trace.

    Errors are `NbaError`s, and what the machine refuses.
    """

    @functools.wraps(command)
    def run(*args: P.args, **kwargs: P.kwargs) -> None:
        try:
            _told(command, *args, **kwargs)
        except NbaError as error:
            print(block(error), file=sys.stderr)
            if kwargs.get("as_json") is True:
                print_json({"problem": as_dict(error)})
            raise typer.Exit(WRONG_INPUT) from None

    return run


def _told(command: Callable[P, None], *args: P.args, **kwargs: P.kwargs) -> None:
    """The command, with what the machine refuses (a full disk, a closed directory) as an `NbaError`.

    Raises
    ------
    StoreError
    """
    try:
        command(*args, **kwargs)
    except OSError as error:
        if error.errno not in _REFUSALS:
            raise
        where = str(error.filename or "")
        hint = "make room, then give the same command again" if error.errno in _FULL else ""
        raise StoreError(f"the machine refused ({error.strerror or error})", where=where, hint=hint) from error


def block(error: NbaError) -> str:
    """An error in a few lines: what went wrong, where, the value got, what is allowed, and a hint."""
    parts = (("where", error.where), ("got", shown(error.got)), ("allowed", error.allowed), ("hint", error.hint))
    lines = [f"error: {error.what}", *(f"  {name:<8} {text}" for name, text in parts if text)]
    return "\n".join(printable(line, lines=True) for line in lines)


def as_dict(error: NbaError) -> dict[str, object]:
    """An error for machines; what is unknown is left out."""
    parts = {
        "kind": type(error).__name__,
        "what": error.what,
        "where": error.where,
        "got": shown(error.got),
        "allowed": error.allowed,
        "hint": error.hint,
    }
    return {name: text for name, text in parts.items() if text}


def shown(got: object) -> str:
    """A value as it may be printed: on one line, without control characters, at most 200 characters."""
    text = "" if got is None else repr(got)
    text = text.encode("utf-8", "backslashreplace").decode()
    return text if len(text) <= 200 else text[:197] + "..."
