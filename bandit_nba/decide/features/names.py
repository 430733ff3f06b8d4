"""What may be a feature: names that no value can imitate, and numbers that can be cut as declared."""

import itertools
import math
import re

from bandit_nba.catalogue import FactSchema
from bandit_nba.decide.policy import FeatureSettings, Number
from bandit_nba.errors import InputError, SettingsError
from bandit_nba.settings import nearest

CHANNEL = "channel"
OF_ARMS = ("arm", "action", "treatment", "group")
MOST_BINS = 100
SMALLEST_SCALE = 1e-12

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]{0,127}")  # no "=", no "?", never digits alone
_WORDS = "a letter or _ first, then letters, digits, _ . -, at most 128 characters"


def is_name(text: str) -> bool:
    """Whether a fact of this name can be a feature."""
    return _NAME.fullmatch(text) is not None


def check_settings(settings: FeatureSettings, schema: FactSchema, *, where: str = "features") -> None:
    """Refuse facts that are not declared, named twice or no names, and numbers that cannot be cut as declared."""
    seen: set[str] = {CHANNEL} if settings.channel else set()
    for table, names in (("customer", settings.customer), ("request", settings.request)):
        for name in names:
            place = f"{where}.{table}"
            if name not in schema:
                raise SettingsError("unknown fact", where=place, got=name, hint=nearest(name, schema))
            if not _NAME.fullmatch(name):
                raise SettingsError("is not a feature name", where=place, got=name, allowed=_WORDS)
            if name in seen:
                raise SettingsError("stands twice", where=place, got=name, hint=_twice(name))
            seen.add(name)
    for name, number in settings.numbers.items():
        if name not in seen or schema.get(name) != "number":
            numbers = [n for n in (*settings.customer, *settings.request) if schema[n] == "number"]
            raise SettingsError(
                "is not a number that the model sees", where=f"{where}.numbers", got=name, hint=nearest(name, numbers)
            )
        _check_number(number, f"{where}.numbers.{name}")


def check_arm_feature(name: str, *, where: str) -> None:
    """Refuse a declared feature of an arm whose name is taken or no name."""
    if not _NAME.fullmatch(name):
        raise InputError("is not a feature name", where=where, got=name, allowed=_WORDS)
    if name in OF_ARMS:
        raise InputError(
            "a feature of this name is given to every arm", where=where, got=name, hint="choose another name"
        )


def _twice(name: str) -> str:
    return (
        "channel = true adds it already" if name == CHANNEL else "a fact is the customer's or the request's, not both"
    )


def _check_number(number: Number, where: str) -> None:
    if number.scale < SMALLEST_SCALE:
        raise SettingsError("is too small", where=f"{where}.scale", got=number.scale, allowed="1e-12 to 1e9")
    bins = number.bins
    if len(bins) > MOST_BINS:
        raise SettingsError("has too many edges", where=f"{where}.bins", got=len(bins), allowed=f"at most {MOST_BINS}")
    if not all(map(math.isfinite, bins)) or any(low >= high for low, high in itertools.pairwise(bins)):
        raise SettingsError(
            "is not a list of edges", where=f"{where}.bins", got=list(bins), allowed="increasing numbers"
        )
