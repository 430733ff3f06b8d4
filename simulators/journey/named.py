"""Journey worlds by name: settings in `simulators/named_worlds/NAME.toml`, and the options that each takes.

A researcher's own personas, touchpoints and actions stand in a file of the same form: `make("my_shop.toml", seed=1)`.
"""

import tomllib
from collections.abc import Callable, Mapping
from importlib import resources
from pathlib import Path
from typing import Any, Literal

import msgspec

from bandit_nba.errors import SettingsError
from bandit_nba.settings import convert, nearest, read_table
from simulators.journey.settings import JourneySettings
from simulators.journey.world import JourneyWorld

FOLDER = "simulators.named_worlds"
NOTHING: Mapping[str, object] = {}
Places = Mapping[str, object]
DriftKind = Literal["gradual", "abrupt", "none"]
Wear = Literal["none", "moderate", "high"]

WEAR: Mapping[Wear, Places] = {
    "none": {
        "retention.fatigue": 0.0,
        "fatigue.opt_out": 0.0,
        "retention.source": "assumption: contacts drive nobody away",
    },
    "moderate": {
        "retention.fatigue": 0.25,
        "fatigue.opt_out": 0.0005,
        "retention.source": "assumption: weekly contacts multiply the hazard of leaving by 3",
    },
    "high": {},
}
"""The three settings of fatigue-trap; fixed, with docs/worlds.md, before any of them was run."""


def settings_of(name: str, overrides: Places = NOTHING) -> JourneySettings:
    """The settings of a shipped world, or of a file that ends in .toml, which may name a shipped one as its `base`.

    overrides: replace values by place, such as {"fatigue.half_life_weeks": 4.0}.

    Raises
    ------
    SettingsError
        If there is no such world, file or place, or a value does not fit.
    """
    if name.endswith(".toml"):
        where = Path(name).name
        table = _laid_over(_read(Path(name)), where=where)
    else:
        where = f"world {name}"
        table = _table(name)
    for place, value in overrides.items():
        put(table, place, value, where=where)
    return convert(table, JourneySettings, where=where)


def _table(name: str) -> dict[str, Any]:
    """A shipped world's."""
    file = resources.files(FOLDER) / f"{name.replace('-', '_')}.toml"
    if not file.is_file():
        raise SettingsError("unknown world", got=name, allowed=", ".join(sorted(WORLDS)), hint=nearest(name, WORLDS))
    return _laid_over(tomllib.loads(file.read_text(encoding="utf-8")), where=file.name)


def _read(path: Path) -> dict[str, Any]:
    if not path.is_file():
        raise SettingsError("no such file", where=str(path), hint="docs/worlds.md shows one that has a base")
    return read_table(path)


def _laid_over(own: dict[str, Any], *, where: str) -> dict[str, Any]:
    """A file's content, laid over its base: tables are merged, lists replaced, `overrides` put last."""
    base, places = own.pop("base", ""), own.pop("overrides", {})
    for key, value, kind in (("base", base, str), ("overrides", places, dict)):
        if not isinstance(value, kind):
            allowed = "the name of a shipped world" if kind is str else "a table of places and values"
            raise SettingsError("is not allowed", where=f"{where}: {key}", got=value, allowed=allowed)
    table = _merged(_table(base), own) if base else own
    for place, value in places.items():
        put(table, place, value, where=where)
    return table


def _merged(base: dict[str, Any], own: dict[str, Any]) -> dict[str, Any]:
    both = {
        key: _merged(base[key], value) if isinstance(value, dict) and isinstance(base.get(key), dict) else value
        for key, value in own.items()
    }
    return {**base, **both}


def put(table: dict[str, Any], place: str, value: object, *, where: str) -> None:
    """Replace one value; a part of a place names a key, or the `name`, `id` or `channel` of a table in a list."""
    *path, last = place.split(".")
    here: Any = table
    for part in path:
        here = _child(here, part, where=f"{where}: {place}")
    known = JourneySettings.__struct_fields__ if here is table else here
    if not isinstance(here, dict) or (here is table and last not in known):
        hint = nearest(last, known if isinstance(known, tuple) else ())
        raise SettingsError("no such place", where=where, got=place, hint=hint)
    here[last] = msgspec.to_builtins(value)


def _child(here: Any, part: str, *, where: str) -> Any:
    if isinstance(here, list):
        by_name = {str(item.get("name") or item.get("id") or item.get("channel")): item for item in here}
        if part in by_name:
            return by_name[part]
        raise SettingsError("no such entry", where=where, got=part, hint=nearest(part, by_name))
    keys = here if isinstance(here, dict) else {}
    if part in keys:
        return keys[part]
    raise SettingsError("no such place", where=where, got=part, hint=nearest(part, keys))


def telco_journey(
    *, seed: int, steps: int | None = None, best_fixed: float | None = None, overrides: Places = NOTHING
) -> JourneyWorld:
    """The 7,043 real Telco customers on their journey, weekly for two years."""
    return _world("telco-journey", seed, steps, best_fixed, overrides)


def bank_inbound(
    *, seed: int, steps: int | None = None, best_fixed: float | None = None, overrides: Places = NOTHING
) -> JourneyWorld:
    """A bank's inbound moments day by day: logins, cash machines, card payments; bookings and idle money as events."""
    return _world("bank-inbound", seed, steps, best_fixed, overrides)


def retail_lifecycle(
    *, seed: int, steps: int | None = None, best_fixed: float | None = None, overrides: Places = NOTHING
) -> JourneyWorld:
    """A shop without contracts, calibrated on CDNOW: buying, lapsing, winning back."""
    return _world("retail-lifecycle", seed, steps, best_fixed, overrides)


def insurance_life_events(
    *, seed: int, steps: int | None = None, best_fixed: float | None = None, overrides: Places = NOTHING
) -> JourneyWorld:
    """An insurer for whom the right moment is a house, a child, a car or a journey."""
    return _world("insurance-life-events", seed, steps, best_fixed, overrides)


def cold_start(
    *, seed: int, steps: int | None = None, best_fixed: float | None = None, overrides: Places = NOTHING
) -> JourneyWorld:
    """Telco, but all are prospects at first, and half of the actions arrive later."""
    return _world("cold-start", seed, steps, best_fixed, overrides)


def sparse_1pct(
    *, seed: int, steps: int | None = None, best_fixed: float | None = None, overrides: Places = NOTHING
) -> JourneyWorld:
    """Telco at a response rate of one per cent."""
    return _world("sparse-1pct", seed, steps, best_fixed, overrides)


def drift(
    *,
    seed: int,
    kind: DriftKind = "gradual",
    steps: int | None = None,
    best_fixed: float | None = None,
    overrides: Places = NOTHING,
) -> JourneyWorld:
    """Telco with tastes that turn: gradual over a year, abrupt at the half year, or none."""
    return _world("drift", seed, steps, best_fixed, {"drift.kind": kind, **overrides})


def fatigue_trap(
    *,
    seed: int,
    wear: Wear = "high",
    steps: int | None = None,
    best_fixed: float | None = None,
    overrides: Places = NOTHING,
) -> JourneyWorld:
    """Contacts that pay today and cost the customer tomorrow; wear: none, moderate or high."""
    return _world("fatigue-trap", seed, steps, best_fixed, {**WEAR[wear], **overrides})


def _world(name: str, seed: int, steps: int | None, best_fixed: float | None, overrides: Places) -> JourneyWorld:
    given: dict[str, object] = {"steps": steps, "uplift.best_fixed": best_fixed}
    chosen = {place: value for place, value in given.items() if value is not None}
    return JourneyWorld(settings_of(name, {**chosen, **overrides}), seed=seed, name=Path(name).stem)


def own(file: str) -> Callable[..., JourneyWorld]:
    """What makes the world of a researcher's own settings; its options are those of the shipped ones."""

    def build(
        *, seed: int, steps: int | None = None, best_fixed: float | None = None, overrides: Places = NOTHING
    ) -> JourneyWorld:
        return _world(file, seed, steps, best_fixed, overrides)

    return build


WORLDS: Mapping[str, Callable[..., JourneyWorld]] = {
    "bank-inbound": bank_inbound,
    "cold-start": cold_start,
    "drift": drift,
    "fatigue-trap": fatigue_trap,
    "insurance-life-events": insurance_life_events,
    "retail-lifecycle": retail_lifecycle,
    "sparse-1pct": sparse_1pct,
    "telco-journey": telco_journey,
}
