"""The folder for a command's results, made and tried before the work, which may take long."""

import tempfile
from pathlib import Path

from bandit_nba.errors import InputError

_IN_THE_WAY = "a file stands there, or on the way to it"
_CLOSED = "name a place that is open to you"


def result_folder(name: str, *, option: str) -> Path:
    """The folder of this name, made where it is not there, in which files can be written.

    Raises
    ------
    InputError
        If the name is empty, a file stands at its place or on the way to it, or it is closed to us.
    """
    if not name:
        raise InputError("is empty", where=option, got=name, allowed="a folder's name", hint='"." is where you are')
    path = Path(name)
    try:
        path.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=path):
            pass
    except (FileExistsError, NotADirectoryError):
        allowed = "a folder, or the name of one that is not there yet"
        raise InputError("is no folder", where=option, got=name, allowed=allowed, hint=_IN_THE_WAY) from None
    except (OSError, ValueError) as error:
        why = getattr(error, "strerror", None) or error
        allowed = "a folder in which files can be written"
        raise InputError(f"cannot be written ({why})", where=option, got=name, allowed=allowed, hint=_CLOSED) from None
    return path
