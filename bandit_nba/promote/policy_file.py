"""A policy as the TOML file that it could have been read from; what is as the defaults say is left out."""

import datetime
import math
import re
from collections.abc import Mapping, Sequence

import msgspec

from bandit_nba.decide.policy import Policy

_BARE = re.compile(r"[A-Za-z0-9_-]+")
_ESCAPES = {'"': '\\"', "\\": "\\\\", "\n": "\\n", "\t": "\\t", "\r": "\\r"}


def policy_toml(policy: Policy, *, comments: Sequence[str] = ()) -> str:
    """The file's text, which reads back as an equal policy. Values that came from a file of their own stay there."""
    if policy.arbitration.values_file:
        arbitration = msgspec.structs.replace(policy.arbitration, values=())
        policy = msgspec.structs.replace(policy, arbitration=arbitration)
    content = _without(_plain(policy), _plain(Policy()))
    lines = [f"# {_one_line(comment)}" for comment in comments]
    return "\n".join([*lines, *_table(content, ())]) + "\n"


def _plain(policy: Policy) -> Mapping[str, object]:
    plain: Mapping[str, object] = msgspec.to_builtins(policy, builtin_types=(datetime.datetime,))
    return plain


def _without(content: Mapping[str, object], defaults: Mapping[str, object]) -> dict[str, object]:
    """What differs from the defaults, table by table; the name always stands."""
    left: dict[str, object] = {}
    for key, value in content.items():
        default = defaults.get(key)
        if isinstance(value, dict) and isinstance(default, dict) and default:
            value = _without(value, default)
            if value:
                left[key] = value
        elif value is not None and (value != default or key == "name"):
            left[key] = value
    return left


def _table(content: Mapping[str, object], path: tuple[str, ...]) -> list[str]:
    """Simple values first, then each table under its heading."""
    tables = {key: value for key, value in content.items() if isinstance(value, dict)}
    lines = [f"{_key(key)} = {_value(value)}" for key, value in content.items() if key not in tables]
    for key, value in tables.items():
        below = (*path, key)
        inner = _table(value, below)
        heading = f"[{'.'.join(map(_key, below))}]"
        lines += inner if inner and inner[0] == "" and value else ["", heading, *inner]
    return lines


def _value(value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return f'"{"".join(_escaped(c) for c in value)}"'
    if isinstance(value, float) and math.isfinite(value):
        return repr(value)
    if isinstance(value, int):
        return str(value)
    if isinstance(value, datetime.datetime):
        return value.isoformat()
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(_value, value))}]"
    if isinstance(value, dict):
        cells = (f"{_key(k)} = {_value(v)}" for k, v in value.items() if v is not None)
        return f"{{ {', '.join(cells)} }}"
    raise TypeError(f"no TOML for {value!r}")


def _key(key: str) -> str:
    return key if _BARE.fullmatch(key) else _value(key)


def _escaped(c: str) -> str:
    if c in _ESCAPES:
        return _ESCAPES[c]
    return f"\\u{ord(c):04x}" if ord(c) < 32 or ord(c) == 127 else c


def _one_line(text: str) -> str:
    return "".join(c if c.isprintable() else " " for c in text)
