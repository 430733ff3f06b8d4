"""What stands behind the question mark of an address: declared, checked, and told by the OpenAPI document."""

import datetime
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal
from urllib.parse import parse_qsl

from bandit_nba.errors import InputError

MOST_CHARACTERS = 1_000


@dataclass(frozen=True, kw_only=True)
class Free:
    """A parameter that may have any value of its kind. low, high: of a number; default: what counts without it."""

    kind: Literal["string", "integer", "moment"] = "string"
    default: str = ""
    low: int = 0
    high: int = 2**31 - 1
    required: bool = False
    says: str = ""

    def check(self, name: str, value: str) -> None:
        """Raise `InputError` where the value is none of its kind."""
        if self.kind == "integer":
            allowed = f"a whole number from {self.low:,} to {self.high:,}"
            if not (value.isascii() and value.isdigit() and self.low <= int(value[:20]) <= self.high):
                raise InputError("is not allowed", where=name, got=value[:100], allowed=allowed)
        elif self.kind == "moment":
            moment(value, where=name)
        elif len(value) > MOST_CHARACTERS:
            raise InputError("is too long", where=name, got=len(value), allowed=f"at most {MOST_CHARACTERS} characters")


Parameter = tuple[str, ...] | Free
"""The values that a parameter may have, the first of which counts without it; or any of a kind."""

Parameters = Mapping[str, Parameter]


def read(declared: Parameters, sent: bytes) -> dict[str, str]:
    """Every declared parameter with its value; what is not declared is refused.

    Raises
    ------
    InputError
        For a name that is not declared, a value that is not allowed, or one that is missing.
    """
    found = {name: one.default if isinstance(one, Free) else one[0] for name, one in declared.items()}
    named = set()
    for name, value in parse_qsl(sent.decode("latin-1"), keep_blank_values=True):
        one = declared.get(name)
        if one is None:
            raise InputError("unknown parameter", where="query", got=name, allowed=", ".join(declared))
        if isinstance(one, Free):
            one.check(name, value)
        elif value not in one:
            raise InputError("is not allowed", where=name, got=value, allowed=", ".join(one))
        found[name] = value
        named.add(name)
    for name, one in declared.items():
        if isinstance(one, Free) and one.required and name not in named:
            raise InputError("is missing", where=name)
    return found


def described(name: str, one: Parameter) -> dict[str, Any]:
    """A parameter as OpenAPI says it."""
    if not isinstance(one, Free):
        schema: dict[str, Any] = {"type": "string", "enum": list(one), "default": one[0]}
        return {"name": name, "in": "query", "schema": schema}
    if one.kind == "integer":
        schema = {"type": "integer", "minimum": one.low, "maximum": one.high}
        schema |= {"default": int(one.default)} if one.default else {}
    elif one.kind == "moment":
        schema = {"type": "string", "format": "date-time"}
    else:
        schema = {"type": "string", "maxLength": MOST_CHARACTERS}
    said: dict[str, Any] = {"name": name, "in": "query", "schema": schema}
    said |= {"description": one.says} if one.says else {}
    return said | ({"required": True} if one.required else {})


def moment(text: str, *, where: str) -> datetime.datetime:
    """A time in ISO 8601; one without a zone is UTC. Raises `InputError`."""
    try:
        found = datetime.datetime.fromisoformat(text)
    except ValueError:
        raise InputError("is no time", where=where, got=text[:100], allowed="ISO 8601") from None
    return found if found.tzinfo else found.replace(tzinfo=datetime.UTC)
