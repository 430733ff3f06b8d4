"""How much each assumption matters: `python -m simulators.journey.sensitivity WORLD`.

Every number of every table whose source says "assumption" is halved and doubled, one at a time, and two figures are
played anew with the same chances: the money a customer brings without any action, and what the myopic policy adds.
Numbers that would leave their range are left out there.
"""

import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import msgspec

from bandit_nba.errors import SettingsError
from simulators.journey.named import settings_of
from simulators.journey.rollout import compare, myopic_money, nothing, play
from simulators.journey.settings import ASSUMPTION
from simulators.journey.world import JourneyWorld

FACTORS = (0.5, 2.0)
TABLES = ("uplift", "fatigue", "retention", "care", "calendar", "lifecycle", "drift", "limits", "purchases", "contract")
LEFT_OUT = ("best_fixed",)  # fixes the level: a target, not an assumption about customers


@dataclass(frozen=True)
class Effect:
    """One number changed: money without action, and the gain of the myopic policy with its standard error."""

    place: str
    value: float
    base: float
    gain: float
    se: float


def assumptions(name: str) -> Mapping[str, float]:
    """Each assumed number above zero, by its place in the settings."""
    settings: dict[str, object] = msgspec.to_builtins(settings_of(name))
    return dict(_numbers(settings))


def _numbers(settings: dict[str, object]) -> Iterator[tuple[str, float]]:
    for table in TABLES:
        content = settings.get(table)
        if isinstance(content, dict) and ASSUMPTION in str(content["source"]):
            yield from _leaves(content, table)


def _leaves(content: dict[str, object], place: str) -> Iterator[tuple[str, float]]:
    for key, value in content.items():
        if isinstance(value, dict):
            yield from _leaves(value, f"{place}.{key}")
        elif isinstance(value, float) and value > 0.0 and key not in LEFT_OUT:
            yield f"{place}.{key}", value


def effect(name: str, place: str, value: float | None, *, seed: int, n: int, steps: int) -> Effect | None:
    """Play the world with one number changed (None: as it is); None where the number is out of range."""
    try:
        overrides: dict[str, object] = {} if value is None else {place: value}
        world = JourneyWorld(settings_of(name, overrides), seed=seed, name=name)
    except SettingsError:
        return None
    gain = compare(world, myopic_money, nothing, n=n, steps=steps)
    base = play(world, nothing, n=n, steps=steps).value.mean
    return Effect(place=place, value=value or 0.0, base=base, gain=gain.mean, se=gain.se)


def sensitivity(name: str, *, seed: int = 1, n: int = 1_000, steps: int = 52) -> Iterator[Effect]:
    """The world as it is first, then each assumption halved and doubled."""
    first = effect(name, "as it is", None, seed=seed, n=n, steps=steps)
    if first is not None:
        yield first
    for place, value in assumptions(name).items():
        for factor in FACTORS:
            found = effect(name, place, value * factor, seed=seed, n=n, steps=steps)
            if found is not None:
                yield found


def main(name: str) -> None:
    """Print the table."""
    sys.stdout.write("| assumption | value | money without action | gain of the myopic policy |\n|---|---|---|---|\n")
    for e in sensitivity(name):
        sys.stdout.write(f"| {e.place} | {e.value:g} | {e.base:.1f} | {e.gain:+.2f} +- {e.se:.2f} |\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 else "telco-journey")
