"""What a caller says, before it is sent or decided: plain values, finite numbers, in this process the API's limits too.

JSON has no NaN: without a look at each number it would be sent as null, which means unknown.
"""

import math
import re
from typing import Any, TypeVar

import msgspec

from bandit_nba.errors import InputError

T = TypeVar("T", bound=msgspec.Struct)

_AT = re.compile(r" - at `\$\.?(?P<at>[^`]*)`$")
_PATTERN = re.compile(r"^Expected `str` matching regex ")


def plain(message: msgspec.Struct) -> dict[str, Any]:
    """`message` as JSON's own values; numbers of numpy become Python's.

    Raises
    ------
    InputError
        For a number that is not finite, and for what JSON cannot say.
    """
    try:
        data: dict[str, Any] = msgspec.to_builtins(message, enc_hook=_number)
    except (TypeError, ValueError, RecursionError) as error:
        raise InputError("cannot be sent", where="request", got=str(error)[:200]) from None
    _require_finite(data, "")
    return data


def checked(message: T) -> T:
    """`message` as the service would have read it, with all its limits.

    Raises
    ------
    InputError
        For whatever the service would refuse in its form.
    """
    try:
        return msgspec.convert(plain(message), type(message))
    except msgspec.ValidationError as error:
        at = _AT.search(str(error))
        what = str(error)[: at.start()] if at else str(error)
        if _PATTERN.match(what):
            what = "holds a control character"
        raise InputError(what[:1].lower() + what[1:], where=at["at"] if at else "request") from None


def _number(value: Any) -> Any:
    """A scalar of numpy's as Python's own."""
    item = getattr(value, "item", None)
    if item is None or getattr(value, "ndim", None) != 0:
        raise TypeError(f"a {type(value).__name__} is no value of JSON")
    return item()


def _require_finite(data: Any, where: str) -> None:
    if isinstance(data, float):
        if not math.isfinite(data):
            raise InputError("number out of range", where=where, got=data, allowed="finite numbers")
    elif isinstance(data, dict):
        for name, value in data.items():
            if value.__class__ is not str:
                _require_finite(value, f"{where}.{name}".removeprefix("."))
    elif isinstance(data, list):
        for i, value in enumerate(data):
            if value.__class__ is not str:
                _require_finite(value, f"{where}[{i}]")
