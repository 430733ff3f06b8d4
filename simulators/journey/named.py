"""Journey worlds by name: settings in `simulators/worlds/NAME.toml`, and the options that each takes."""

from collections.abc import Callable, Mapping
from importlib import resources
from typing import Any

import msgspec

from bandit_nba.errors import SettingsError
from bandit_nba.settings import convert, nearest
from simulators.journey.settings import JourneySettings
from simulators.journey.world import JourneyWorld

FOLDER = "simulators.worlds"
NOTHING: Mapping[str, object] = {}


def settings_of(name: str, overrides: Mapping[str, object] = NOTHING) -> JourneySettings:
    """The settings of a shipped world; `overrides` replace values by place, such as {"fatigue.half_life_weeks": 4.0}.

    Raises
    ------
    SettingsError
        If there is no such world or place, or a value does not fit.
    """
    import tomllib

    file = resources.files(FOLDER) / f"{name.replace('-', '_')}.toml"
    if not file.is_file():
        raise SettingsError("unknown world", got=name)
    table = tomllib.loads(file.read_text(encoding="utf-8"))
    for place, value in overrides.items():
        _put(table, place, value, where=f"world {name}")
    return convert(table, JourneySettings, where=f"world {name}")


def _put(table: dict[str, Any], place: str, value: object, *, where: str) -> None:
    """Replace one value; a part of a place names a key, or the `name`, `id` or `channel` of a table in a list."""
    *path, last = place.split(".")
    here: Any = table
    for part in path:
        here = _child(here, part, where=f"{where}: {place}")
    known = JourneySettings.__struct_fields__ if here is table else here
    if not isinstance(here, dict) or (here is table and last not in known):
        names = here if isinstance(here, dict) else ()
        raise SettingsError("no such place", where=where, got=place, hint=nearest(last, names or known))
    here[last] = msgspec.to_builtins(value)


def _child(here: Any, part: str, *, where: str) -> Any:
    if isinstance(here, list):
        by_name = {item.get("name") or item.get("id") or item.get("channel"): item for item in here}
        if part in by_name:
            return by_name[part]
        raise SettingsError("no such entry", where=where, got=part, hint=nearest(part, [str(name) for name in by_name]))
    if isinstance(here, dict) and part in here:
        return here[part]
    raise SettingsError(
        "no such place", where=where, got=part, hint=nearest(part, here if isinstance(here, dict) else ())
    )


def telco_journey(
    *, seed: int, steps: int | None = None, best_fixed: float | None = None, overrides: Mapping[str, object] = NOTHING
) -> JourneyWorld:
    """Real Telco customers, weekly for two years."""
    return _world("telco-journey", seed, steps, best_fixed, overrides)


def _world(
    name: str, seed: int, steps: int | None, best_fixed: float | None, overrides: Mapping[str, object]
) -> JourneyWorld:
    given: dict[str, object] = {"steps": steps, "uplift.best_fixed": best_fixed}
    chosen = {place: value for place, value in given.items() if value is not None}
    return JourneyWorld(settings_of(name, {**chosen, **overrides}), seed=seed, name=name)


WORLDS: Mapping[str, Callable[..., JourneyWorld]] = {"telco-journey": telco_journey}
