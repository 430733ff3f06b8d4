"""Personalizer's features, any JSON objects, as facts of a request and as features of its actions.

Objects are flattened: {"device": {"os": "ios"}} is the feature "device.os" with the value "ios"; a list gives one
feature per element; true is 1, false and null are left out, as in VW's JSON. A context feature that has the name and
the kind of a declared fact becomes it. All others become words of one set, "name=value", since a set may hold any
words. A number there is cut into quarters of a decade (neighbours differ by a factor of 10^(1/4) = 1.78): a model of
words cannot interpolate, so numbers that are nearly equal must be one word. Declare a fact where that is too coarse.
"""

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from bandit_nba.catalogue.facts import FactSchema
from bandit_nba.decide.features.names import OF_ARMS
from bandit_nba.decide.inline import MOST_FEATURES
from bandit_nba.errors import InputError

MOST_WORDS = 200
MOST_TEXT = 200
PER_DECADE = 4
DEEPEST = 10

_FORBIDDEN = re.compile(r"[^A-Za-z0-9_.-]")
_Value = float | str | bool


def context_facts(
    features: Sequence[Mapping[str, Any]], schema: FactSchema, *, words: str
) -> dict[str, float | bool | str | list[str] | None]:
    """Facts of a request. words: the declared set for what has no fact of its own.

    Raises
    ------
    InputError
        If there are too many features, or they are nested too deeply.
    """
    facts: dict[str, float | bool | str | list[str] | None] = {}
    found: dict[str, None] = {}
    for name, value in _flat(features, where="contextFeatures"):
        kind = schema.get(name)
        if name != words and kind is not None and _fits(value, kind) and name not in facts:
            facts[name] = float(value) if kind == "number" else value
        else:
            found[_word(name, value)] = None
    if len(found) > MOST_WORDS:
        raise InputError("are too many", where="contextFeatures", got=len(found), allowed=f"at most {MOST_WORDS}")
    if words and found:
        facts[words] = list(found)
    return facts


def action_features(features: Sequence[Mapping[str, Any]] | None, *, where: str) -> dict[str, float | str]:
    """Features of an action by name; several values of one name are told apart by number.

    Raises
    ------
    InputError
        If there are too many, or they are nested too deeply.
    """
    found: dict[str, float | str] = {}
    for name, value in _flat(features or (), where=where):
        sound = _sound(name)
        unique, i = sound, 1
        while unique in found:
            i += 1
            unique = f"{sound}.{i}"
        found[unique] = float(value) if isinstance(value, (bool, int, float)) else value
    if len(found) > MOST_FEATURES:
        raise InputError("are too many", where=where, got=len(found), allowed=f"at most {MOST_FEATURES}")
    return found


def binned(value: float) -> str:
    """The quarter of a decade that a number lies in, by its lower end: 5.0 -> "3.2", -5.0 -> "-3.2", 0 -> "0"."""
    if value == 0.0:
        return "0"
    step = math.floor(math.log10(abs(value)) * PER_DECADE + 1e-9)
    return f"{math.copysign(10.0 ** (step / PER_DECADE), value):.2g}"


def _flat(features: Sequence[Mapping[str, Any]], *, where: str) -> Iterator[tuple[str, _Value]]:
    for one in features:
        yield from _leaves(one, "", where=where, depth=0)


def _leaves(data: Any, name: str, *, where: str, depth: int) -> Iterator[tuple[str, _Value]]:
    if depth > DEEPEST:
        raise InputError("are nested too deeply", where=where, allowed=f"at most {DEEPEST} levels")
    if isinstance(data, Mapping):
        for key, value in data.items():
            yield from _leaves(value, f"{name}.{key}" if name else key, where=where, depth=depth + 1)
    elif isinstance(data, list):
        for value in data:
            yield from _leaves(value, name, where=where, depth=depth + 1)
    elif isinstance(data, str):
        yield name, _text(data)
    elif isinstance(data, (bool, int, float)) and data is not False:
        yield name, data


def _fits(value: _Value, kind: str) -> bool:
    if isinstance(value, bool):
        return kind == "boolean"
    if isinstance(value, str):
        return kind in ("category", "text")
    return kind == "number"


def _word(name: str, value: _Value) -> str:
    if value is True:
        return _text(name)
    if isinstance(value, str):
        return _text(f"{name}={value}")
    return _text(f"{name}~{binned(float(value))}")


def _sound(name: str) -> str:
    """A name that a feature may have."""
    sound = _FORBIDDEN.sub("_", name)[:100]
    if not sound or not (sound[0].isalpha() or sound[0] == "_") or sound in OF_ARMS:
        sound = f"f_{sound}"
    return sound


def _text(text: str) -> str:
    """At most `MOST_TEXT` printable characters."""
    return "".join(c if c.isprintable() else " " for c in text[:MOST_TEXT]) or " "
