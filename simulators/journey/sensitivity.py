"""How much each assumption matters: `python -m simulators.journey.sensitivity WORLD`.

Every number whose source says "assumption", those of personas, touchpoints, actions and life events too, is halved and
doubled, one at a time, and two figures are played anew with the same chances: the money a customer brings without any
action, and what the myopic policy adds. Numbers that would leave their range are left out there.
"""

import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

from bandit_nba.errors import SettingsError
from simulators.journey.named import settings_of
from simulators.journey.rollout import compare, myopic_money, nothing, play
from simulators.journey.settings import ASSUMPTION
from simulators.journey.world import JourneyWorld

FACTORS = (0.5, 2.0)
LEFT_OUT = (
    "uplift.best_fixed",  # fixes the level: a target, not an assumption about customers
    *("steps", "step_days", "horizon_hours", "population.profiles"),  # what is looked at, and how finely
)

LISTS_BY_NAME = {"personas": "name", "touchpoints": "channel", "actions": "id", "life_events": "name"}

Varied = float | Sequence[Any]


@dataclass(frozen=True)
class Effect:
    """One number changed: money without action, and the gain of the myopic policy with its standard error."""

    place: str
    value: Varied | None
    base: float
    gain: float
    se: float


def assumptions(name: str) -> Mapping[str, Varied]:
    """Each assumed number that is not zero, by its place in the settings.

    A number is assumed where the source of its table, or of the table around it, begins with "assumption", or says the
    word and names the number's key. Lists of numbers, such as weekdays, are varied together; of delays the means are.
    """
    settings: dict[str, Any] = msgspec.to_builtins(settings_of(name))
    return dict(_leaves(settings, "", assumed=True))


def _leaves(table: dict[str, Any], place: str, *, assumed: bool) -> Iterator[tuple[str, Varied]]:
    for key, value in table.items():
        at, own = f"{place}{key}", _is_assumed(str(table["source"]), key) if "source" in table else assumed
        if isinstance(value, dict):
            yield from _leaves(value, f"{at}.", assumed=own)
        elif isinstance(value, list | tuple) and key in LISTS_BY_NAME:
            for item in value:
                yield from _leaves(item, f"{at}.{item[LISTS_BY_NAME[key]]}.", assumed=own)
        elif own and at not in LEFT_OUT and _varies(value):
            yield at, value


def _is_assumed(source: str, key: str) -> bool:
    return source.startswith(ASSUMPTION) or (ASSUMPTION in source and bool(re.search(rf"\b{key}\b", source)))


def _varies(value: object) -> bool:
    if isinstance(value, list | tuple):
        return any(_varies(item["mean_hours"] if isinstance(item, dict) else item) for item in value)
    return isinstance(value, int | float) and not isinstance(value, bool) and value != 0


def times(value: Varied, factor: float) -> Varied:
    """So much of it; whole numbers stay whole, of delays the means are taken."""
    if not isinstance(value, float | int):
        return [
            {**item, "mean_hours": item["mean_hours"] * factor} if isinstance(item, dict) else times(item, factor)
            for item in value
        ]
    return round(value * factor) if isinstance(value, int) else value * factor


def effect(name: str, place: str, value: Varied | None, *, seed: int, n: int, steps: int) -> Effect | None:
    """Play the world with one number changed (None: as it is); None where the number is out of range."""
    try:
        overrides: dict[str, object] = {} if value is None else {place: value}
        world = JourneyWorld(settings_of(name, overrides), seed=seed, name=name)
    except SettingsError:
        return None
    gain = compare(world, myopic_money, nothing, n=n, steps=steps)
    base = play(world, nothing, n=n, steps=steps).value.mean
    return Effect(place=place, value=value, base=base, gain=gain.mean, se=gain.se)


def sensitivity(name: str, *, seed: int = 1, n: int = 1_000, steps: int = 52) -> Iterator[Effect]:
    """The world as it is first, then each assumption halved and doubled."""
    first = effect(name, "as it is", None, seed=seed, n=n, steps=steps)
    if first is not None:
        yield first
    for place, value in assumptions(name).items():
        for factor in FACTORS:
            found = effect(name, place, times(value, factor), seed=seed, n=n, steps=steps)
            if found is not None:
                yield found


def main(name: str) -> None:
    """Print the table."""
    sys.stdout.write("| assumption | value | money without action | gain of the myopic policy |\n|---|---|---|---|\n")
    for e in sensitivity(name):
        value = e.value if isinstance(e.value, float | int) else float("nan")
        sys.stdout.write(f"| {e.place} | {value:g} | {e.base:.1f} | {e.gain:+.2f} +- {e.se:.2f} |\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 else "telco-journey")
