"""Every mistake in plain data against a settings type, in words; msgspec names only the first, without its key."""

import datetime
import math
import re
from collections.abc import Iterator
from typing import cast

from msgspec import inspect

from bandit_nba.errors import SettingsError
from bandit_nba.settings.names import nearest

_PATTERNS = {
    "^[a-z][a-z0-9_]{0,63}$": "lower-case letters, digits and _, a letter first, at most 64 characters",
    "^[a-z0-9][a-z0-9_.-]{0,63}$|^$": "lower-case letters, digits and _ . -, at most 64 characters",
    "^[URA]{2,3}$": "two or three of the letters U (customer), R (request) and A (action)",
}


def problems(data: object, kind: object, *, where: str) -> Iterator[SettingsError]:
    """Each mistake of `data` (from TOML) against the settings type `kind`, in the order of the data."""
    yield from _walk(data, inspect.type_info(kind), where, "")


def _walk(data: object, kind: inspect.Type, where: str, at: str) -> Iterator[SettingsError]:
    while isinstance(kind, inspect.Metadata):
        kind = kind.type
    kind = _member(data, kind)
    if isinstance(kind, inspect.StructType) and isinstance(data, dict):
        yield from _struct(data, kind, where, at)
    elif isinstance(kind, inspect.DictType) and isinstance(data, dict):
        for name, value in data.items():
            yield from _walk(name, kind.key_type, where, _join(at, name))
            yield from _walk(value, kind.value_type, where, _join(at, name))
    elif isinstance(kind, inspect.VarTupleType | inspect.ListType) and isinstance(data, list | tuple):
        for i, value in enumerate(data):
            yield from _walk(value, kind.item_type, where, at + _index(i, value))
    elif isinstance(kind, inspect.TupleType) and isinstance(data, list | tuple) and len(data) == len(kind.item_types):
        for i, (value, item) in enumerate(zip(data, kind.item_types, strict=True)):
            yield from _walk(value, item, where, at + _index(i, value))
    elif not _fits(data, kind):
        got = data if data == "" or isinstance(data, bool | int | float | str | list) else _named(data)
        yield SettingsError(_what(data), where=_place(where, at), got=got, allowed=_words(kind), hint=_hint(data, kind))


def _member(data: object, kind: inspect.Type) -> inspect.Type:
    """The one type of a union that a table or a list can be meant for, so that mistakes inside it are named."""
    wanted: tuple[type[inspect.Type], ...] = ()
    if isinstance(data, dict):
        wanted = (inspect.StructType, inspect.DictType)
    elif isinstance(data, list | tuple):
        wanted = (inspect.VarTupleType, inspect.ListType, inspect.TupleType)
    members = [one for one in kind.types if isinstance(one, wanted)] if isinstance(kind, inspect.UnionType) else []
    return members[0] if len(members) == 1 else kind


def _struct(data: dict[str, object], kind: inspect.StructType, where: str, at: str) -> Iterator[SettingsError]:
    fields = {field.encode_name: field for field in kind.fields}
    for name, value in data.items():
        if name in fields:
            yield from _walk(value, fields[name].type, where, _join(at, name))
        else:
            yield SettingsError(
                "unknown key",
                where=_place(where, at),
                got=name,
                allowed=", ".join(fields),
                hint=nearest(name, fields),
            )
    for name, field in fields.items():
        if field.required and name not in data:
            yield SettingsError(
                f'the key "{name}" is missing', where=_place(where, at), allowed=f"{name} = {_words(field.type)}"
            )


def _fits(data: object, kind: inspect.Type) -> bool:
    """Whether a leaf is what its type allows."""
    if isinstance(kind, inspect.UnionType):
        return any(next(_walk(data, one, "", ""), None) is None for one in kind.types)
    if isinstance(kind, inspect.LiteralType):
        return any(type(data) is type(value) and data == value for value in kind.values)
    if isinstance(kind, inspect.FloatType | inspect.IntType):
        return _number_fits(data, kind)
    if isinstance(kind, inspect.StrType):
        return isinstance(data, str) and not _pattern_missed(data, kind)
    if isinstance(kind, inspect.BoolType):
        return isinstance(data, bool)
    if isinstance(kind, inspect.DateTimeType):
        return isinstance(data, datetime.datetime)
    return isinstance(kind, inspect.AnyType)


def _number_fits(data: object, kind: inspect.FloatType | inspect.IntType) -> bool:
    whole = isinstance(kind, inspect.IntType)
    if isinstance(data, bool) or not isinstance(data, int if whole else int | float):
        return False
    try:
        value = float(cast(float, data))
    except OverflowError:
        return False
    return (
        math.isfinite(value)
        and (kind.ge is None or value >= kind.ge)
        and (kind.gt is None or value > kind.gt)
        and (kind.le is None or value <= kind.le)
        and (kind.lt is None or value < kind.lt)
    )


def _pattern_missed(data: str, kind: inspect.StrType) -> bool:
    return kind.pattern is not None and re.search(kind.pattern, data) is None


def _words(kind: inspect.Type) -> str:
    """What a type allows, for people."""
    if isinstance(kind, inspect.Metadata):
        described = (kind.extra_json_schema or {}).get("description")
        return str(described) if described else _words(kind.type)
    if isinstance(kind, inspect.UnionType):
        return " or ".join(_words(one) for one in kind.types if not isinstance(one, inspect.NoneType))
    if isinstance(kind, inspect.LiteralType):
        return ", ".join(_quoted(value) for value in kind.values)
    if isinstance(kind, inspect.StrType):
        pattern = kind.pattern or ""
        return _PATTERNS.get(pattern, f"text that matches {pattern}" if pattern else "text")
    if isinstance(kind, inspect.FloatType | inspect.IntType):
        return ("a whole number" if isinstance(kind, inspect.IntType) else "a finite number") + _bounds(kind)
    if isinstance(kind, inspect.TupleType):
        return "a list of " + " and ".join(_words(one) for one in kind.item_types)
    if isinstance(kind, inspect.VarTupleType | inspect.ListType):
        return f"a list, each item {_words(kind.item_type)}"
    return _KINDS.get(type(kind), "something else")


_KINDS: dict[type[inspect.Type], str] = {
    inspect.BoolType: "true or false",
    inspect.DateTimeType: "a date with a time, such as 2026-01-31T00:00:00Z",
    inspect.StructType: "a table",
    inspect.DictType: "a table",
}


def _bounds(kind: inspect.FloatType | inspect.IntType) -> str:
    above = "" if kind.gt is None else f" above {kind.gt:,}"
    low = "" if kind.ge is None else f" from {kind.ge:,}"
    high = "" if kind.le is None else (f" to {kind.le:,}" if low else f", at most {kind.le:,}")
    below = "" if kind.lt is None else f" below {kind.lt:,}"
    return above + low + high + below


def _what(data: object) -> str:
    return "is not a finite number" if isinstance(data, float) and not math.isfinite(data) else "is not allowed"


def _hint(data: object, kind: inspect.Type) -> str:
    members = kind.types if isinstance(kind, inspect.UnionType) else (kind,)
    if isinstance(data, str):
        literals = [value for one in members if isinstance(one, inspect.LiteralType) for value in one.values]
        if literals:
            return nearest(data, literals)
        wants = tuple(type(one) for one in members)
        if data in ("true", "false") and inspect.BoolType in wants:
            return f"write it without quotes: {data}"
        if (inspect.FloatType in wants or inspect.IntType in wants) and data.strip().replace(".", "", 1).isdecimal():
            return f"write it without quotes: {data.strip()}"
        if any(isinstance(one, inspect.VarTupleType | inspect.ListType) for one in members):
            return f"write it in brackets: [{_quoted(data)}]"
    elif type(data) is datetime.date and any(isinstance(one, inspect.DateTimeType) for one in members):
        return f"write {data.isoformat()}T00:00:00Z"
    elif isinstance(data, int | float) and any(isinstance(one, inspect.StrType) for one in members):
        return f'write it in quotes: "{str(data).lower()}"'
    return ""


def _named(data: object) -> str:
    if isinstance(data, datetime.date | datetime.time):
        return data.isoformat()
    return "a table" if isinstance(data, dict) else type(data).__name__


def _quoted(value: object) -> str:
    return f'"{value}"' if isinstance(value, str) else str(value)


def _index(i: int, value: object) -> str:
    """`[3]`, and the table's own id beside it where it has one."""
    own = value.get("id") if isinstance(value, dict) else None
    return f'[{i}] "{own}"' if isinstance(own, str) and len(own) <= 100 else f"[{i}]"


def _join(at: str, name: object) -> str:
    return f"{at}.{name}" if at else str(name)


def _place(where: str, at: str) -> str:
    return f"{where}: {at}" if at else where
