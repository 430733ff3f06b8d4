"""A body that is not as declared: what the decoder says of it, with the place, the value got and the name meant.

Made only where a body was refused, from the body itself and the declared type: what is right costs nothing.
"""

import functools
import re
from collections.abc import Iterator, Sequence
from typing import Any

import msgspec
from msgspec import inspect

from bandit_nba.settings import nearest

_AT = re.compile(r" - at `\$(?P<at>[^`]*)`$")
_STEP = re.compile(r"\.([A-Za-z_]\w*)|\[(\d+)\]")
_UNKNOWN = re.compile(r"unknown field `(?P<name>[^`]*)`$")
_MISSING = re.compile(r"missing required field `(?P<name>[^`]*)`$")
_PATTERN = re.compile(r"Expected `str` matching regex ")  # which the caller should not have to read
_EXPECTED = re.compile(r"Expected (?P<allowed>.+?)(?:, got `[^`]*`)?$")
_SOMEWHERE = "[...]"
_LONGEST = 200
_MOST_ENTRIES = 100
"""Of an object that is searched for the entry that is wrong."""

Step = str | int


class WrongBody(msgspec.ValidationError):
    """The decoder's words, where of the body they apply, what stands there, what may, and a hint."""

    def __init__(self, what: str, *, where: str = "", got: str = "", allowed: str = "", hint: str = "") -> None:
        super().__init__(what)
        self.what, self.where, self.got, self.allowed, self.hint = what, where, got, allowed, hint


_known = functools.lru_cache(maxsize=64)(inspect.type_info)  # a page may hold a thousand wrong items


def told(error: msgspec.DecodeError, body: bytes, takes: Sequence[Any]) -> msgspec.DecodeError:
    """`error`, and where it says too little of the body, a `WrongBody`. takes: what the body may be."""
    if not takes:  # what could not be decoded is none of the caller's
        return error
    if not body:
        return msgspec.DecodeError("the body is empty")
    at = _AT.search(str(error))
    place = at["at"] if at else ""
    what = str(error)[: at.start()] if at else str(error)
    if not isinstance(error, msgspec.ValidationError) or _PATTERN.match(what):
        return error
    try:
        data = msgspec.json.decode(body)
        steps = _steps(place) if _SOMEWHERE not in place else _entry(data, place, str(error), takes)
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        return error
    if steps is None:
        return error
    found = _value(data, steps)
    if missing := _MISSING.search(what):
        return WrongBody("is missing", where=_place([*steps, missing["name"]]))
    if unknown := _UNKNOWN.search(what):
        names = {name for kind in takes for name in _fields(_known(kind), steps)}
        hint = nearest(unknown["name"], names) if names else ""
        return WrongBody("unknown field", where=_place([*steps, unknown["name"]]), hint=hint)
    expected = _EXPECTED.match(what)
    allowed = expected["allowed"] if expected else ""
    return WrongBody(_lower(what), where=_place(steps) or "body", got=_short(found, what), allowed=allowed)


def _steps(at: str) -> list[Step] | None:
    """ ".slots[1].id" as names and places; None where a part has no name, as with the values of facts."""
    found = list(_STEP.finditer(at))
    if "".join(step[0] for step in found) != at:
        return None
    return [step[1] if step[1] is not None else int(step[2]) for step in found]


def _entry(data: Any, place: str, said: str, takes: Sequence[Any]) -> list[Step] | None:
    """The place of the first entry of an object, such as facts, of which the decoder says this; it names none."""
    before, _, after = place.partition(_SOMEWHERE)
    steps, rest = _steps(before), _steps(after)
    holder = None if steps is None else _value(data, steps)
    if steps is None or rest is None or not isinstance(holder, dict) or len(holder) > _MOST_ENTRIES:
        return None
    entries = list(holder.items())
    while len(entries) > 1:  # by halves: what is said of a part is said of the whole
        half = entries[: len(entries) // 2]
        holder.clear()
        holder.update(half)
        entries = half if said in _said_of(data, takes) else entries[len(half) :]
    holder.clear()
    holder.update(entries)
    return [*steps, entries[0][0], *rest] if entries and said in _said_of(data, takes) else None


def _said_of(data: Any, takes: Sequence[Any]) -> Iterator[str]:
    for kind in takes:
        try:
            msgspec.convert(data, kind)
        except msgspec.ValidationError as error:
            yield str(error)


def _value(data: Any, steps: Sequence[Step]) -> Any:
    for step in steps:
        if isinstance(data, dict) and isinstance(step, str):
            data = data.get(step)
        elif isinstance(data, list) and isinstance(step, int) and step < len(data):
            data = data[step]
        else:
            return None
    return data


def _fields(kind: inspect.Type, steps: Sequence[Step]) -> Iterator[str]:
    """The names of the fields that an object there may have."""
    if isinstance(kind, inspect.Metadata):
        yield from _fields(kind.type, steps)
    elif isinstance(kind, inspect.UnionType):
        for one in kind.types:
            yield from _fields(one, steps)
    elif isinstance(kind, inspect.StructType):
        if not steps:
            yield from (field.encode_name for field in kind.fields)
        for field in kind.fields:
            if steps and field.encode_name == steps[0]:
                yield from _fields(field.type, steps[1:])
    elif isinstance(kind, inspect.ListType | inspect.VarTupleType) and steps and isinstance(steps[0], int):
        yield from _fields(kind.item_type, steps[1:])


def _place(steps: Sequence[Step]) -> str:
    text = "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in steps)
    return text.removeprefix(".")


def _short(value: Any, what: str) -> str:
    """A plain value; what holds others is told by its kind already, or by how many it holds."""
    if isinstance(value, dict | list) and " of length " in what:
        return f"{len(value):,} items"
    if value is None or isinstance(value, dict | list):
        return ""
    text = repr(value)
    return text if len(text) <= _LONGEST else text[: _LONGEST - 3] + "..."


def _lower(text: str) -> str:
    return text if text.startswith("JSON") else text[:1].lower() + text[1:]
