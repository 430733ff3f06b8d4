"""Arbitration's own file of values, and what of arbitration must agree with catalogue and channels."""

import csv
import datetime
from collections.abc import Collection, Iterable, Iterator
from pathlib import Path

import msgspec

from bandit_nba.catalogue import Catalogue
from bandit_nba.catalogue.load import epoch
from bandit_nba.decide.choice.weighing import CHANNEL, Arbitration, ContextWeight, TimedValue
from bandit_nba.decide.policy import Policy
from bandit_nba.errors import SettingsError
from bandit_nba.settings import Settings, convert, nearest, read_table

HEADER = ["action", "from", "value"]
MOST_VALUES = 100_000
_WHERE = "policy.toml: arbitration"


class _Table(Settings, frozen=True, kw_only=True):
    """A TOML file of values."""

    values: tuple[TimedValue, ...]


def with_values(policy: Policy, directory: Path) -> Policy:
    """The policy with the values of its file in it, so that whoever has the policy can make its decisions again.

    Raises
    ------
    SettingsError
        If the file is not one of the workspace, cannot be read, or a line of it is wrong.
    """
    settings = policy.arbitration
    if not settings.values_file:
        return policy
    place = f"{_WHERE}.values_file"
    if settings.values:
        raise SettingsError("values stand here and in a file", where=place, got=settings.values_file)
    path = directory / settings.values_file
    if not path.resolve().is_relative_to(directory.resolve()) or path.suffix not in (".csv", ".toml"):
        raise SettingsError(
            "is not a file of values", where=place, got=settings.values_file, allowed=".csv or .toml in the workspace"
        )
    values = _toml(path) if path.suffix == ".toml" else _csv(path)
    if len(values) > MOST_VALUES:
        raise SettingsError("holds too many values", where=path.name, got=len(values), allowed=f"{MOST_VALUES:,}")
    return msgspec.structs.replace(policy, arbitration=msgspec.structs.replace(settings, values=values))


def arbitration_problems(
    settings: Arbitration, catalogue: Catalogue, *, channels: Collection[str]
) -> Iterator[SettingsError]:
    """Each disagreement between arbitration and the catalogue's facts, groups and actions, or the channels."""
    groups = {*catalogue.groups, *(action.group for action in catalogue.actions)}
    for lever in settings.all_levers:
        yield from _unknown(lever.group, groups, where=f"{_WHERE}.levers", what="group")
        start, stop = lever.valid_from, lever.valid_until
        if start and stop and epoch(start) >= epoch(stop):
            yield SettingsError(
                "ends before it begins",
                where=f"{_WHERE}.levers: {lever.group}.valid_until",
                got=stop.isoformat(),
                allowed=f"later than valid_from, {start.isoformat()}",
            )
    for i, weight in enumerate(settings.context_weights):
        yield from _weight_problems(weight, catalogue, groups, channels, where=f"{_WHERE}.context_weights[{i}]")
    yield from _value_problems(settings, catalogue)


def _weight_problems(
    weight: ContextWeight, catalogue: Catalogue, groups: Collection[str], channels: Collection[str], *, where: str
) -> Iterator[SettingsError]:
    if weight.group and weight.action:
        yield SettingsError("is for a group or for an action, not for both", where=where, got=weight.action)
    if weight.group:
        yield from _unknown(weight.group, groups, where=f"{where}.group", what="group")
    if weight.action:
        yield from _unknown(weight.action, _actions(catalogue), where=f"{where}.action", what="action")
    kinds = {name: kind for name, kind in catalogue.facts.items() if kind in ("category", "boolean")}
    if weight.fact != CHANNEL and weight.fact not in kinds:
        known = [CHANNEL, *kinds]
        yield SettingsError(
            "is not a fact that weights can go by",
            where=f"{where}.fact",
            got=weight.fact,
            allowed='a declared category or boolean, or "channel"',
            hint=nearest(weight.fact, known),
        )
        return
    allowed = channels if weight.fact == CHANNEL else ("true", "false") if kinds[weight.fact] == "boolean" else None
    for value in weight.values if allowed is not None else ():
        yield from _unknown(value, allowed or (), where=f"{where}.values", what="value")


def _value_problems(settings: Arbitration, catalogue: Catalogue) -> Iterator[SettingsError]:
    where = settings.values_file or f"{_WHERE}.values"
    if settings.values and not settings.use_value:
        yield SettingsError("would not count", where=where, hint="set use_value = true under [arbitration]")
    known, seen = _actions(catalogue), set()
    for timed in settings.values:
        yield from _unknown(timed.action, known, where=where, what="action")
        step = timed.action, epoch(timed.since)
        if step in seen:
            got = f"{timed.action} from {timed.since.isoformat()}"
            yield SettingsError("stands twice", where=where, got=got, allowed="one value for a moment")
        seen.add(step)


def _actions(catalogue: Catalogue) -> list[str]:
    return [action.id for action in catalogue.actions]


def _unknown(name: str, known: Collection[str], *, where: str, what: str) -> Iterator[SettingsError]:
    if name not in known:
        allowed = "one of catalogue.toml" if what in ("group", "action") else ", ".join(known)
        yield SettingsError(f"unknown {what}", where=where, got=name, allowed=allowed, hint=nearest(name, known))


def _toml(path: Path) -> tuple[TimedValue, ...]:
    return convert(read_table(path), _Table, where=path.name).values


def _csv(path: Path) -> tuple[TimedValue, ...]:
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            return tuple(_lines(csv.reader(file), path.name))
    except FileNotFoundError:
        raise SettingsError("no such file", where=f"{_WHERE}.values_file", got=path.name) from None
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise SettingsError(f"cannot be read ({error})", where=path.name, allowed="CSV in UTF-8") from None


def _lines(rows: Iterable[list[str]], name: str) -> Iterator[TimedValue]:
    for number, row in enumerate(rows, start=1):
        cells = [cell.strip() for cell in row]
        if number == 1:
            if cells != HEADER:
                raise SettingsError("has another header", where=f"{name}: line 1", got=row, allowed=",".join(HEADER))
        elif any(cells):
            yield _timed(cells, where=f"{name}: line {number}")


def _timed(cells: list[str], *, where: str) -> TimedValue:
    try:
        action, since, value = cells
        table = {"action": action, "from": datetime.datetime.fromisoformat(since), "value": float(value)}
    except ValueError as error:
        raise SettingsError(
            f"is not a value ({error})", where=where, got=",".join(cells), allowed="action,2026-01-31T00:00:00Z,120.0"
        ) from None
    return convert(table, TimedValue, where=where)
