"""A researcher's own Python file: run, and a function taken out of it."""

import importlib.util
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

from bandit_nba.errors import SettingsError


def function_of(path: Path, name: str, *, form: str, hint: str = "") -> Callable[..., Any]:
    """The function `name` of a file; form: how it is written, for errors; hint: where there is no such file.

    Raises
    ------
    SettingsError
        If there is no such file, it cannot be run, or it has no such function.
    """
    found = getattr(module_of(path, hint=hint), name, None)
    if not callable(found):
        raise SettingsError(f"has no function {form}", where=str(path))
    function: Callable[..., Any] = found
    return function


def module_of(path: Path, *, hint: str = "") -> ModuleType:
    """The file as a module, run anew at each call.

    Raises
    ------
    SettingsError
        If there is no such file, or it cannot be run.
    """
    if not path.is_file():
        raise SettingsError("no such file", where=str(path), hint=hint)
    spec = importlib.util.spec_from_file_location(path.stem.replace("-", "_"), path)
    if spec is None or spec.loader is None:
        raise SettingsError("is no Python file", where=str(path), allowed="a name that ends in .py")
    module = importlib.util.module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
    except Exception as error:
        raise SettingsError(f"cannot be run ({type(error).__name__}: {error})", where=str(path)) from error
    return module
