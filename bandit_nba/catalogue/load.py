"""Reading a catalogue, and every check that one table of it cannot make alone."""

import datetime
import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from pathlib import Path

from bandit_nba.catalogue.action import NO_ACTION, Action, Catalogue, Feature
from bandit_nba.catalogue.contact_rules import contact_problems
from bandit_nba.errors import SettingsError
from bandit_nba.settings import load, nearest

MAX_MONEY = 1e9
MAX_FEATURE = 1e15
MAX_FEATURE_TEXT = 1_000
RESERVED_FACTS = frozenset({"in", "true", "false", "null"})  # words that CEL cannot read after a dot
RESERVED_GROUP = "none"  # the group of "no action"

_ID = re.compile(r"[a-z0-9][a-z0-9_.-]{0,99}")
_ID_WORDS = "lower-case letters, digits, _ . and -, a letter or digit first, at most 100 characters"
_NAME = re.compile(r"[a-z][a-z0-9_]{0,63}")
_NAME_WORDS = "lower-case letters, digits and _, a letter first, at most 64 characters"


def load_catalogue(path: Path, *, channels: Collection[str]) -> Catalogue:
    """The catalogue in a TOML file, checked; `channels` are those the service declares.

    Raises
    ------
    SettingsError
        With file, key, value got, what is allowed and a hint, for the first mistake.
    """
    catalogue = load(path, Catalogue)
    for problem in catalogue_problems(catalogue, channels=channels, where=path.name):
        raise problem
    return catalogue


def catalogue_problems(catalogue: Catalogue, *, channels: Collection[str], where: str) -> Iterator[SettingsError]:
    """Each mistake in a catalogue that its types cannot express; `where` names the file."""
    yield from _fact_problems(catalogue, where)
    for name in catalogue.groups:
        yield from _id_problems(name, f"{where}: groups.{name}", reserved=RESERVED_GROUP)
    seen: set[str] = set()
    kinds: dict[str, type] = {}
    for i, action in enumerate(catalogue.actions):
        place = action_place(where, i, action)
        yield from _id_problems(action.id, f"{place}.id", reserved=NO_ACTION)
        if action.id in seen:
            yield SettingsError("the id is taken by another action", where=f"{place}.id", got=action.id)
        seen.add(action.id)
        yield from _action_problems(action, catalogue, place)
        yield from _channel_problems(action, channels, place)
        yield from _treatment_problems(action, kinds, place)
    yield from contact_problems(catalogue, channels=channels, where=where)


def action_place(where: str, index: int, action: Action) -> str:
    """How errors name an action: `catalogue.toml: actions[3] "phone_case"`."""
    return f'{where}: actions[{index}] "{action.id[:100]}"'


def epoch(moment: datetime.datetime) -> float:
    """Seconds since the epoch; a date and time without a zone is UTC."""
    return (moment if moment.tzinfo else moment.replace(tzinfo=datetime.UTC)).timestamp()


def _fact_problems(catalogue: Catalogue, where: str) -> Iterator[SettingsError]:
    for name in catalogue.facts:
        if not _NAME.fullmatch(name):
            yield SettingsError("is not a fact name", where=f"{where}: facts", got=name, allowed=_NAME_WORDS)
        elif name in RESERVED_FACTS:
            yield SettingsError(
                "is a word that rules cannot read as a fact", where=f"{where}: facts", got=name, hint="add a word to it"
            )
    owned = catalogue.facts.get("owned")
    if owned not in (None, "set"):
        yield SettingsError("holds what a customer owns", where=f"{where}: facts.owned", got=owned, allowed='"set"')


def _id_problems(name: str, place: str, *, reserved: str) -> Iterator[SettingsError]:
    if not _ID.fullmatch(name):
        yield SettingsError("is not an id", where=place, got=name, allowed=_ID_WORDS)
    elif name == reserved:
        yield SettingsError("is reserved for the built-in choice to do nothing", where=place, got=name)


def _action_problems(action: Action, catalogue: Catalogue, place: str) -> Iterator[SettingsError]:
    if action.kind == "none":
        yield SettingsError(
            "only the built-in no action has this kind",
            where=f"{place}.kind",
            got=action.kind,
            allowed='"offer", "service", "information", "retention"',
        )
    if catalogue.groups and action.group not in catalogue.groups:
        yield SettingsError(
            "unknown group",
            where=f"{place}.group",
            got=action.group,
            allowed="a group declared under [groups]",
            hint=nearest(action.group, catalogue.groups),
        )
    elif not catalogue.groups:
        yield from _id_problems(action.group, f"{place}.group", reserved=RESERVED_GROUP)
    for name, money in (("value", action.value), ("cost", action.cost)):
        if not 0.0 <= money <= MAX_MONEY:
            yield SettingsError("is out of range", where=f"{place}.{name}", got=money, allowed="from 0 to 1e9")
    if action.valid_from and action.valid_until and epoch(action.valid_from) >= epoch(action.valid_until):
        yield SettingsError(
            "ends before it begins",
            where=f"{place}.valid_until",
            got=action.valid_until.isoformat(),
            allowed=f"later than valid_from, {action.valid_from.isoformat()}",
        )
    if action.owned_as and catalogue.facts.get("owned") != "set":
        yield SettingsError(
            "needs to know what a customer owns",
            where=f"{place}.owned_as",
            got=action.owned_as,
            hint='declare owned = "set" under [facts]',
        )


def _channel_problems(action: Action, channels: Collection[str], place: str) -> Iterator[SettingsError]:
    yield from _names_problems(action.channels, channels, f"{place}.channels", "a channel of service.toml")
    own = action.channels or channels
    words = f"a channel of the action, {', '.join(own)}" if action.channels else "a channel of service.toml"
    for j, treatment in enumerate(action.treatments):
        yield from _names_problems(treatment.channels, own, f"{place}.treatments[{j}].channels", words)


def _names_problems(names: Iterable[str], known: Collection[str], place: str, allowed: str) -> Iterator[SettingsError]:
    seen: set[str] = set()
    for i, name in enumerate(names):
        if name not in known:
            yield SettingsError(
                "unknown channel", where=f"{place}[{i}]", got=name, allowed=allowed, hint=nearest(name, known)
            )
        elif name in seen:
            yield SettingsError("stands twice", where=f"{place}[{i}]", got=name)
        seen.add(name)


def _treatment_problems(action: Action, kinds: dict[str, type], place: str) -> Iterator[SettingsError]:
    yield from _feature_problems(action.features, kinds, f"{place}.features")
    seen: set[str] = set()
    for j, treatment in enumerate(action.treatments):
        own = f'{place}.treatments[{j}] "{treatment.id[:100]}"'
        yield from _id_problems(treatment.id, f"{own}.id", reserved="")
        if treatment.id in seen:
            yield SettingsError("the id is taken by another treatment of the action", where=own, got=treatment.id)
        seen.add(treatment.id)
        yield from _feature_problems(treatment.features, kinds, f"{own}.features")


def _feature_problems(features: Mapping[str, Feature], kinds: dict[str, type], place: str) -> Iterator[SettingsError]:
    """`kinds` remembers over the whole catalogue whether a feature is a number or text."""
    for name, value in features.items():
        kind = str if isinstance(value, str) else float
        if not _NAME.fullmatch(name):
            yield SettingsError("is not a feature name", where=place, got=name, allowed=_NAME_WORDS)
        elif isinstance(value, str) and len(value) > MAX_FEATURE_TEXT:
            yield SettingsError(
                "is too long", where=f"{place}.{name}", got=value, allowed=f"at most {MAX_FEATURE_TEXT} characters"
            )
        elif not isinstance(value, str) and not abs(value) <= MAX_FEATURE:
            yield SettingsError("is out of range", where=f"{place}.{name}", got=value, allowed="at most 1e15 in size")
        elif kinds.setdefault(name, kind) is not kind:
            yield SettingsError(
                "is a number in one action and text in another",
                where=f"{place}.{name}",
                got=value,
                allowed="one kind for all actions",
            )
