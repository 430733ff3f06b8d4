"""TOML files as typed, frozen settings; every mistake is named with file, key, value and what is allowed."""

import datetime
import difflib
import hashlib
import math
import re
import tomllib
from pathlib import Path
from typing import TypeVar, get_args, get_origin, get_type_hints

import msgspec

from bandit_nba.errors import SettingsError

T = TypeVar("T")

_AT = re.compile(r"^(?P<what>.*?)(?: - at `(?P<at>[^`]*)`)?$", re.DOTALL)
_UNKNOWN = re.compile(r"unknown field `(?P<name>[^`]*)`")
_DURATION = re.compile(
    r"^P(?:(?P<days>\d+(?:\.\d+)?)D)?(?:T(?:(?P<hours>\d+(?:\.\d+)?)H)?(?:(?P<minutes>\d+(?:\.\d+)?)M)?(?:(?P<seconds>\d+(?:\.\d+)?)S)?)?$"
)


class Settings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Base of every settings table: frozen, and a key that is not declared is refused."""


def load(path: Path, kind: type[T]) -> T:
    """Read one TOML file as `kind`; raises `SettingsError` that names file, key, value got and what is allowed."""
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(
            f"cannot be read ({error})", where=str(path), hint="`nba init DIR` writes a complete workspace"
        ) from None
    return parse(text, kind, where=path.name)


def parse(text: str, kind: type[T], *, where: str) -> T:
    """`text` (TOML) as `kind`; `where` names the file in errors."""
    try:
        data = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise SettingsError(f"is not valid TOML ({error})", where=where) from None
    return convert(data, kind, where=where)


def convert(data: object, kind: type[T], *, where: str) -> T:
    """Plain data as `kind`, with the same errors as `parse`."""
    _refuse_non_finite(data, where, "")
    try:
        return msgspec.convert(data, kind, strict=True)
    except msgspec.ValidationError as error:
        raise _explained(error, data, kind, where) from None


def version_of(value: object) -> str:
    """Twelve hex digits that name a definition: SHA-256 over its canonical JSON."""
    return hashlib.sha256(msgspec.json.encode(value, order="sorted")).hexdigest()[:12]


def seconds(duration: str, *, where: str) -> float:
    """An ISO-8601 duration of days, hours, minutes and seconds ("PT30M", "P7D") in seconds, above zero."""
    match = _DURATION.match(duration)
    parts = {name: float(part) for name, part in match.groupdict().items() if part} if match else {}
    total = datetime.timedelta(**parts).total_seconds() if parts else 0.0
    if not 0.0 < total <= 366 * 86_400 * 10:
        raise SettingsError(
            "is not a usable duration",
            where=where,
            got=duration,
            allowed='ISO-8601, above zero, at most ten years, such as "PT30S", "PT12H" or "P7D"',
        )
    return total


def nearest(name: str, names: object) -> str:
    """A hint that names the most similar of `names`, or lists them."""
    known = sorted(str(n) for n in names)  # type: ignore[attr-defined]
    close = difflib.get_close_matches(name, known, n=3, cutoff=0.5)
    if close:
        return "did you mean " + " or ".join(f'"{c}"' for c in close) + "?"
    return "known: " + ", ".join(known[:20]) if known else "none is declared"


def _refuse_non_finite(data: object, where: str, at: str) -> None:
    if isinstance(data, float) and not math.isfinite(data):
        raise SettingsError("is not a finite number", where=f"{where}: {at}", got=data, allowed="finite numbers")
    if isinstance(data, dict):
        for name, value in data.items():
            _refuse_non_finite(value, where, f"{at}.{name}" if at else str(name))
    if isinstance(data, list):
        for i, value in enumerate(data):
            _refuse_non_finite(value, where, f"{at}[{i}]")


def _explained(error: msgspec.ValidationError, data: object, kind: object, where: str) -> SettingsError:
    match = _AT.match(str(error))
    what, at = (match["what"], match["at"] or "$") if match else (str(error), "$")
    keys = re.findall(r"\.([A-Za-z0-9_\-]+)|\[(\d+)\]|\[(\.\.\.)\]", at)
    value: object = data
    for name, index, _ in keys:
        if isinstance(value, dict) and name:
            value = value.get(name)
        elif isinstance(value, list) and index:
            value = value[int(index)]
        else:
            value = None
    unknown = _UNKNOWN.search(what)
    place = f"{where}: {at.removeprefix('$').removeprefix('.')}" if at != "$" else where
    if unknown:
        fields = _fields_at(kind, [name for name, index, _ in keys])
        return SettingsError(
            f"unknown key `{unknown['name']}`",
            where=place,
            allowed=", ".join(fields),
            hint=nearest(unknown["name"], fields),
        )
    scalar = value if isinstance(value, str | int | float | bool | list) else None
    return SettingsError(what[0].lower() + what[1:], where=place, got=scalar)


def _fields_at(kind: object, names: list[str]) -> list[str]:
    """Field names of the settings type that `names` leads to; list indices arrive as empty names."""
    for name in names:
        kind = _inner(kind)
        if isinstance(kind, type) and issubclass(kind, msgspec.Struct) and name:
            encoded = dict(zip(kind.__struct_encode_fields__, kind.__struct_fields__, strict=True))
            kind = get_type_hints(kind).get(encoded.get(name, name))
    kind = _inner(kind)
    if isinstance(kind, type) and issubclass(kind, msgspec.Struct):
        return list(kind.__struct_encode_fields__)
    return []


def _inner(kind: object) -> object:
    """Strip unions, lists and mappings down to the settings type they hold."""
    while get_origin(kind) is not None:
        args = [a for a in get_args(kind) if a is not type(None) and a is not Ellipsis]
        structs = [a for a in args if get_origin(a) or (isinstance(a, type) and issubclass(a, msgspec.Struct))]
        if not structs:
            return kind
        kind = structs[-1]
    return kind
