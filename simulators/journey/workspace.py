"""A journey world's workspace: the product's own files, written from the world's settings."""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path

import msgspec
import numpy as np

from bandit_nba.catalogue import Catalogue
from bandit_nba.workspace import init_workspace
from simulators.journey.catalogue import journey_catalogue
from simulators.journey.world import JourneyWorld

SHORTEST_WAIT_S = 0.01


def write_workspace(path: Path, world: JourneyWorld, *, wait_s: float | None = None) -> None:
    """Write a new workspace of this world, fresh secrets included.

    wait_s: how long a decision waits for its outcome; by default the world's horizon. Give seconds where the service is
    to live through a journey in minutes: actions then come and go by the fact `step`, not by the calendar.

    Raises
    ------
    SettingsError
        If there is a workspace already, or the directory cannot be written.
    """
    init_workspace(path)
    catalogue = world.catalogue if wait_s is None else live_catalogue(world)
    wait = world.horizon_s if wait_s is None else wait_s
    for name, text in texts(world, catalogue, wait_s=wait).items():
        (path / name).write_text(text, encoding="utf-8")


def live_catalogue(world: JourneyWorld) -> Catalogue:
    """The catalogue for a service that lives through steps faster than the calendar does."""
    return journey_catalogue(world.settings, world.people.facts.schema, live=True)


def texts(world: JourneyWorld, catalogue: Catalogue, *, wait_s: float) -> Mapping[str, str]:
    """File names and texts of the workspace."""
    return {
        "catalogue.toml": f"# {world.settings.title}: what can be done. Written from the world's settings.\n"
        + "\n".join(_toml(_plain(catalogue))),
        "rewards.toml": _rewards(wait_s),
        "policy.toml": _policy(world, catalogue),
        "service.toml": _service(world),
        "labels.toml": _LABELS,
    }


_LABELS = """\
# What facts are called where employees read why something was proposed.
[en.facts]
recent_contacts = "contacts lately"
"""


def _plain(catalogue: Catalogue) -> dict[str, object]:
    """The catalogue as plain data, without what is its default anyway."""
    found: dict[str, object] = msgspec.to_builtins(catalogue)
    return {key: value for key, value in _kept(found).items() if key != "contact_rules" or value}


def _kept(table: dict[str, object]) -> dict[str, object]:
    kept: dict[str, object] = {}
    for key, value in table.items():
        if isinstance(value, dict):
            kept[key] = _kept(value)
        elif isinstance(value, list | tuple):
            kept[key] = [_kept(item) if isinstance(item, dict) else item for item in value]
        elif value is not None:
            kept[key] = value
    return {key: value for key, value in kept.items() if value not in ("", [], {}, False)}


def _toml(table: dict[str, object], path: str = "") -> Iterator[str]:
    """Lines of a TOML document: plain keys, then tables, then lists of tables."""
    tables = {key: value for key, value in table.items() if isinstance(value, dict)}
    lists = {
        key: value
        for key, value in table.items()
        if isinstance(value, list) and value and all(isinstance(item, dict) for item in value)
    }
    for key, value in table.items():
        if key not in tables and key not in lists:
            yield f"{key} = {_value(key, value)}"
    for key, value in tables.items():
        yield f"\n[{path}{key}]"
        yield from _toml(value, f"{path}{key}.")
    for key, items in lists.items():
        for item in items:
            yield f"\n[[{path}{key}]]"
            yield from _toml(item, f"{path}{key}.")


def _value(key: str, value: object) -> str:
    if key in ("valid_from", "valid_until"):
        return str(value)  # a date-time stands without quotes
    return json.dumps(value, ensure_ascii=False)


def _rewards(wait_s: float) -> str:
    return f"""\
# What one decision earns: 1 if the customer responds within the wait, else 0.
unit = "response"
range = [0.0, 1.0]
aggregation = "max"
default = 0.0
wait = "PT{max(wait_s, SHORTEST_WAIT_S):.10g}S"

[outcomes.accept]
reward = 1.0
"""


def _policy(world: JourneyWorld, catalogue: Catalogue) -> str:
    names = [name for name in catalogue.facts if name not in ("consent", "awake", "step")]
    scales = _scales(world)
    lines = [
        "# From a customer to a probability for each action.",
        f'name = "{world.name}"',
        "",
        "[features]",
        f"customer = {json.dumps(names)}",
        'interactions = ["UA", "RA"]',
        *(f"\n[features.numbers.{name}]\nscale = {scales[name]:g}" for name in names if name in scales),
        "",
        "[learning.options]",
        "ftrl = true",
        "ftrl_alpha = 0.005",
        "ftrl_beta = 1.0",
        "",
        "[exploration]",
        'kind = "squarecb"',
        "scale = 1.0",
        "exponent = 0.5",
        "floor = 0.05",
    ]
    return "\n".join(lines) + "\n"


def _scales(world: JourneyWorld) -> dict[str, float]:
    """What numbers are divided by: their largest value in the population, or what they may reach in the world."""
    found = {"tenure_weeks": 208.0, "recency_weeks": 52.0, "purchases": 10.0, "recent_contacts": 4.0}
    for name, kind in world.people.facts.schema.items():
        column = world.people.facts.columns.get(name)
        if kind == "number" and isinstance(column, np.ndarray):
            found[name] = max(float(np.nanmax(np.abs(column))), 1.0)
    return found


def _service(world: JourneyWorld) -> str:
    lines = ["# How the service runs.", 'host = "127.0.0.1"', "port = 8080"]
    for touchpoint in world.settings.touchpoints:
        lines += [f"\n[channels.{touchpoint.channel}]", f'direction = "{touchpoint.direction}"', 'deadline = "PT5S"']
    return "\n".join(lines) + "\n"
