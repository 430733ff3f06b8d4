"""TOML files as typed, frozen settings; every mistake is named with file, key, value and what is allowed."""

import hashlib
import math
import re
import tomllib
from pathlib import Path
from typing import TypeVar

import msgspec

from bandit_nba.errors import SettingsError
from bandit_nba.settings.duration import seconds
from bandit_nba.settings.names import nearest
from bandit_nba.settings.problems import problems

__all__ = ["Settings", "convert", "load", "nearest", "parse", "problems", "read_table", "seconds", "version_of"]

T = TypeVar("T")

MAX_FILE = 32_000_000
_OWN_CHECK = re.compile(
    r"^`(?P<key>[^`]+)` (?P<what>.*?)(?:, got (?P<got>.*?))?(?: - at `\$\.?(?P<at>[^`]*)`)?$", re.DOTALL
)
_LINE = re.compile(r"\s*\(at line (?P<line>\d+), column (?P<column>\d+)\)")


class Settings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Base of every settings table: frozen, and a key that is not declared is refused."""


def load(path: Path, kind: type[T]) -> T:
    """Read one TOML file as `kind`; raises `SettingsError` that names file, key, value got and what is allowed."""
    return convert(read_table(path), kind, where=path.name)


def read_table(path: Path) -> dict[str, object]:
    """One TOML file as plain data; raises `SettingsError` where it cannot be read or is not TOML."""
    try:
        if path.stat().st_size > MAX_FILE:
            raise SettingsError("is too large", where=str(path), allowed=f"at most {MAX_FILE:,} bytes")
        text = path.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        raise SettingsError(
            "no such file", where=str(path), hint="`nba init DIR` writes a complete workspace into a new directory"
        ) from None
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(f"cannot be read ({error})", where=str(path), allowed="TOML in UTF-8") from None
    return _table(text, where=path.name)


def parse(text: str, kind: type[T], *, where: str) -> T:
    """`text` (TOML) as `kind`; `where` names the file in errors."""
    return convert(_table(text, where=where), kind, where=where)


def convert(data: object, kind: type[T], *, where: str) -> T:
    """Plain data as `kind`, with the same errors as `parse`.

    A settings type may check what its fields' types cannot say in `__post_init__`, with
    ``ValueError("`key` must ..., got ...")``: the key goes into the place.
    """
    try:
        if _finite(data):
            return msgspec.convert(data, kind, strict=True)
        reason = "is not a finite number"
    except msgspec.ValidationError as error:
        reason = str(error)
    raise next(problems(data, kind, where=where), _own_check(reason, where))


def version_of(value: object) -> str:
    """Twelve hex digits that name a definition: SHA-256 over its canonical JSON."""
    return hashlib.sha256(msgspec.json.encode(value, order="sorted")).hexdigest()[:12]


def _own_check(reason: str, where: str) -> SettingsError:
    """The error of a type's own `__post_init__`."""
    match = _OWN_CHECK.match(reason)
    if not match:
        return SettingsError(reason, where=where)
    place = f"{match['at']}.{match['key']}" if match["at"] else match["key"]
    return SettingsError(match["what"], where=f"{where}: {place}", got=match["got"])


def _table(text: str, *, where: str) -> dict[str, object]:
    try:
        return tomllib.loads(text)
    except RecursionError:
        raise SettingsError("is nested too deeply", where=where) from None
    except ValueError as error:  # TOMLDecodeError, and whole numbers of thousands of digits
        raise _syntax_error(str(error), text, where) from None


def _syntax_error(message: str, text: str, where: str) -> SettingsError:
    """tomllib's message with the line in the place, the line's text, and a hint for the mistakes people make."""
    match = _LINE.search(message)
    what = message.split(" (at ")[0]
    lines = text.splitlines() or [""]
    number = int(match["line"]) if match else len(lines)
    got = lines[min(number, len(lines)) - 1].strip()
    hint = ""
    if "hex value" in what or "Unescaped" in what or ("\\" in got and '"' in got):
        hint = "write a backslash as \\\\, or the text in 'single quotes'"
    elif "Cannot overwrite" in what or "Cannot declare" in what:
        hint = "a key or table is written twice"
    elif "Invalid value" in what:
        hint = 'text stands in "quotes"; true and false are lower-case; numbers have no leading zero'
    return SettingsError(f"is not valid TOML ({what})", where=f"{where}: line {number}", got=got, hint=hint)


def _finite(data: object) -> bool:
    """Whether no number in it is infinite or NaN."""
    if isinstance(data, float):
        return math.isfinite(data)
    if isinstance(data, dict):
        return all(_finite(value) for value in data.values())
    return all(_finite(value) for value in data) if isinstance(data, list) else True
