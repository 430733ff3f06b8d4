"""Worlds by name."""

import inspect
from collections.abc import Callable
from typing import Any

from bandit_nba.errors import SettingsError
from bandit_nba.settings import nearest
from simulators.telco import TelcoWorld
from simulators.world import World

_WORLDS: dict[str, Callable[..., World]] = {"telco": TelcoWorld}


def worlds() -> tuple[str, ...]:
    """Names that `make` knows."""
    return tuple(sorted(_WORLDS))


def make(name: str, **options: Any) -> World:
    """The world of this name, such as `make("telco", seed=1)`.

    Raises
    ------
    SettingsError
        If the name or an option is not known, or an option that has no default is missing.
    """
    build = _WORLDS.get(name)
    if build is None:
        raise SettingsError("unknown world", got=name, hint=nearest(name, _WORLDS))
    declared = inspect.signature(build).parameters
    for option in options:
        if option not in declared:
            raise SettingsError("unknown option", where=f"world {name}: {option}", hint=nearest(option, declared))
    for option, parameter in declared.items():
        if parameter.default is inspect.Parameter.empty and option not in options:
            raise SettingsError("missing option", where=f"world {name}: {option}", allowed=", ".join(declared))
    return build(**options)
