"""Durations in settings: a small, unambiguous part of ISO 8601."""

import datetime
import re
from functools import lru_cache

from bandit_nba.errors import SettingsError

MAX_S = 366 * 86_400 * 10
_DURATION = re.compile(
    r"P(?:(?P<days>\d{1,9}(?:\.\d{1,9})?)D)?"
    r"(?:T(?=\d)(?:(?P<hours>\d{1,9}(?:\.\d{1,9})?)H)?"
    r"(?:(?P<minutes>\d{1,9}(?:\.\d{1,9})?)M)?(?:(?P<seconds>\d{1,9}(?:\.\d{1,9})?)S)?)?",
    re.ASCII,
)


@lru_cache(maxsize=1_024)
def seconds(duration: str, *, where: str) -> float:
    """An ISO-8601 duration of days, hours, minutes and seconds ("PT30M", "P7D") in seconds, above zero."""
    match = _DURATION.fullmatch(duration)
    parts = {name: float(part) for name, part in match.groupdict().items() if part} if match else {}
    total = datetime.timedelta(**parts).total_seconds() if parts else 0.0
    if not 0.0 < total <= MAX_S:
        raise SettingsError(
            "is not a usable duration",
            where=where,
            got=duration,
            allowed='ISO-8601, above zero, at most ten years, such as "PT30S", "PT12H" or "P7D"',
            hint=_hint(duration),
        )
    return total


def _hint(duration: str) -> str:
    """The duration that was probably meant: "30m" -> "PT30M"."""
    match = re.fullmatch(r"\s*[pP]?[tT]?(\d{1,6}(?:\.\d{1,6})?)\s*([smhdSMHD])\w*\s*", duration)
    if re.fullmatch(r"\s*[pP]\d+[mMyYwW]\s*", duration):
        return 'months, years and weeks are not of one length: write days, such as "P30D"'
    if not match or float(match[1]) == 0.0:
        return ""
    unit = match[2].upper()
    return f'did you mean "P{"" if unit == "D" else "T"}{match[1]}{unit}"?'
