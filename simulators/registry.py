"""Worlds by name."""

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from bandit_nba.errors import SettingsError
from bandit_nba.settings import convert, nearest
from simulators.bakeoff import BakeoffWorld
from simulators.journey import named
from simulators.replay_obd import replay_obd
from simulators.telco import TelcoWorld

_WORLDS: dict[str, Callable[..., Any]] = {
    "bakeoff": BakeoffWorld,
    "replay-obd": replay_obd,
    "telco": TelcoWorld,
    **named.WORLDS,
}


@dataclass(frozen=True)
class Listed:
    """A world for people: what it is about, and its options with their defaults ("" where there is none)."""

    name: str
    summary: str
    options: Mapping[str, str]


def worlds() -> tuple[str, ...]:
    """Names that `make` knows."""
    return tuple(sorted(_WORLDS))


def register(name: str, build: Callable[..., Any]) -> None:
    """Make a world known under a name, from whose keyword-only parameters its options are read.

    Raises
    ------
    SettingsError
        If the name is taken.
    """
    if name in _WORLDS:
        raise SettingsError("there is a world of this name", got=name)
    _WORLDS[name] = build


def listed() -> tuple[Listed, ...]:
    """All worlds with their options."""
    return tuple(_listed(name, _WORLDS[name]) for name in worlds())


def make(name: str, **options: Any) -> Any:
    """The world of this name, such as `make("telco-journey", seed=1)`, or of a file: `make("my_world.py", seed=1)`.

    A file of Python is run; one of TOML holds settings of a journey, `make("my_shop.toml", seed=1, steps=26)`.

    Gives a `simulators.world.World` (customers who are asked once: telco) or a `simulators.world.Journey` (customers
    who are decided for again and again); see `nba world list`.

    Raises
    ------
    SettingsError
        If the name or an option is not known, an option that has no default is missing, or one is of another type
        than the world declares.
    """
    if name.endswith(".py"):
        from simulators.check import load_world

        return load_world(Path(name), **options)
    build = named.own(name) if name.endswith(".toml") else _WORLDS.get(name)
    if build is None:
        raise SettingsError("unknown world", got=name, allowed=", ".join(worlds()), hint=nearest(name, _WORLDS))
    declared = inspect.signature(build).parameters
    for option in options:
        if option not in declared:
            raise SettingsError("unknown option", where=f"world {name}: {option}", hint=nearest(option, declared))
    for option, parameter in declared.items():
        if parameter.default is inspect.Parameter.empty and option not in options:
            raise SettingsError("missing option", where=f"world {name}: {option}", allowed=", ".join(declared))
    return build(**{option: _checked(name, declared[option], value) for option, value in options.items()})


def _checked(world: str, option: inspect.Parameter, value: object) -> object:
    """The value as the option's declared type; a world of one's own need not declare any."""
    plain = value.item() if isinstance(value, np.generic) else value
    kind: Any = option.annotation
    if kind is inspect.Parameter.empty or isinstance(kind, str):
        return plain
    return convert(plain, kind, where=f"world {world}: {option.name}")


def _listed(name: str, build: Callable[..., Any]) -> Listed:
    options = {}
    for option, parameter in inspect.signature(build).parameters.items():
        given = parameter.default is not inspect.Parameter.empty
        options[option] = repr(parameter.default) if given else ""
    summary = (inspect.getdoc(build) or "").split("\n")[0]
    return Listed(name=name, summary=summary, options=options)
