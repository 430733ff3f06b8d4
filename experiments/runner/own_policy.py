"""A researcher's own policy, out of a file that a sweep names: `options = { kind = "own", file = "mine.py" }`."""

import inspect
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from bandit_nba.errors import SettingsError
from simulators.own_file import function_of

RUNNERS = ("kind", "file", "sha256", "batch")
"""Options that are the runner's; the others are the keyword arguments of the function."""


def own(options: Mapping[str, Any], function: str, subject: Any, *, seed: int) -> Any:
    """What `function(subject, *, seed, **options)` of the file gives; the file is Python and is run.

    Raises
    ------
    SettingsError
        If there is no such file or function, or it does not take these options.
    """
    if not isinstance(options.get("file"), str):
        raise SettingsError("names no file", where="sweep.toml: policies.options", hint='file = "my_policy.py"')
    path = Path(options["file"])
    make = function_of(
        path, function, form=f"{function}(..., *, seed)", hint="files are named from sweep.toml's folder"
    )
    rest = {key: value for key, value in options.items() if key not in RUNNERS}
    try:
        inspect.signature(make).bind(subject, seed=seed, **rest)
    except TypeError as error:
        hint = f"its options are the keyword arguments of {function}"
        raise SettingsError(f"{function} does not take this ({error})", where=str(path), hint=hint) from None
    return make(subject, seed=seed, **rest)
