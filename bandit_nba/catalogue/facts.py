"""Declared facts: the names and kinds of everything rules and features may read about a customer or a request."""

import math
from collections.abc import Mapping
from typing import Literal

from bandit_nba.errors import InputError
from bandit_nba.settings import nearest

FactKind = Literal["number", "boolean", "category", "set", "text"]
FactValue = float | bool | str | tuple[str, ...]
FactSchema = Mapping[str, FactKind]

MAX_TEXT = 1_000_000
MAX_SET = 1_000
MAX_NUMBER = 1e15


def all_checked(values: Mapping[str, object], schema: FactSchema, *, where: str = "") -> dict[str, FactValue | None]:
    """Each fact as its declared kind; raises as `checked` does, whose plainest cases are settled here: a request may
    have many.
    """
    out: dict[str, FactValue | None] = {}
    for name, value in values.items():
        kind = schema.get(name)
        if (type(value) is float and kind == "number" and -MAX_NUMBER <= value <= MAX_NUMBER) or (
            type(value) is str and kind == "category" and len(value) <= MAX_TEXT
        ):
            out[name] = value
        else:
            out[name] = checked(name, value, schema, where=where)
    return out


def checked(name: str, value: object, schema: FactSchema, *, where: str = "") -> FactValue | None:
    """One fact as its declared kind; `None` stays `None` (unknown).

    Raises
    ------
    InputError
        If the name is not declared, the kind differs, or a number is not finite or beyond 1e15.
    """
    place = f"{where}.{name}" if where else name
    kind = schema.get(name)
    if kind is None:
        raise InputError("unknown fact", where=place, hint=nearest(name, schema))
    if value is None:
        return None
    if kind == "number" and isinstance(value, int | float) and not isinstance(value, bool):
        if math.isfinite(value) and abs(value) <= MAX_NUMBER:
            return float(value)
        raise InputError("number out of range", where=place, got=value, allowed="finite, at most 1e15 in size")
    if kind == "boolean" and isinstance(value, bool):
        return value
    if kind in ("category", "text") and isinstance(value, str):
        if len(value) <= MAX_TEXT:
            return value
        raise InputError("text too long", where=place, got=len(value), allowed=f"at most {MAX_TEXT} characters")
    if kind == "set" and isinstance(value, list | tuple) and all(isinstance(v, str) for v in value):
        if len(value) <= MAX_SET:
            return tuple(sorted(set(value)))
        raise InputError("set too large", where=place, got=len(value), allowed=f"at most {MAX_SET} members")
    raise InputError("fact of another kind", where=place, got=value, allowed=f"{kind} ({_JSON[kind]})")


_JSON: Mapping[FactKind, str] = {
    "number": "a JSON number",
    "boolean": "true or false",
    "category": "a JSON string",
    "set": "a JSON array of strings",
    "text": "a JSON string",
}
