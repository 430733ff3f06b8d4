"""One logged decision as a file tells it, and what is wrong with those that cannot be used."""

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from bandit_nba.decide.inline import InlineAction
from bandit_nba.errors import InputError

TOLERANCE = 1e-6
"""How far a row's probabilities may be from one together: files often keep six digits."""

MOST_REWARD = 1e6
_ALONE = "1, or more arms to choose from; a column of possible arms goes by --mapping arms=COLUMN"
MOST_TEXT = 256

LEAST_PROPENSITY = 1e-12
"""What is less likely is never seen; its weight would swamp all others, and below 1e-308 be no number."""

_NO_TEXT = re.compile("[\x00-\x1f\x7f-\x9f\ud800-\udfff]")
"""Control characters, which no id may have over HTTP either, and halves of surrogate pairs."""


@dataclass(frozen=True, kw_only=True)
class LogRow:
    """One decision that was made elsewhere. number: of the row or line in its file, from 1. id: "" where it has none.

    arms, probabilities: the eligible arms and the chance of each; where the file knows the chosen one's alone, the
    others share the rest evenly, which no weight ever reads. facts: of the customer and the request. actions: the arms
    with their features, () where the file has none. decided_at: seconds since the epoch, None where the file has none.
    skipped: why the log itself says that this row is to be left out, "" otherwise.
    """

    number: int
    id: str
    arm: str
    arms: tuple[str, ...]
    probabilities: tuple[float, ...]
    reward: float
    customer: str = ""
    channel: str = ""
    decided_at: float | None = None
    facts: Mapping[str, Any] = field(default_factory=dict)
    actions: tuple[InlineAction, ...] = ()
    skipped: str = ""

    @property
    def propensity(self) -> float:
        """The chance of the chosen arm."""
        return self.probabilities[self.arms.index(self.arm)]


@dataclass(frozen=True)
class Rejected:
    """A row that cannot be used, with the field that is wrong; `content`: the beginning of what the file has."""

    number: int
    id: str
    field: str
    why: str
    got: str
    allowed: str
    content: str = ""


class RowError(InputError):
    """A row is wrong; `field` names what of it."""

    def __init__(self, what: str, *, field: str, got: object = None, allowed: str = "") -> None:
        super().__init__(what, where=field, got=got, allowed=allowed)
        self.field = field


def rejected(error: InputError, *, number: int, identifier: str = "", content: str = "") -> Rejected:
    """What to tell of a row that is wrong."""
    return Rejected(number, identifier, error.where, error.what, repr(error.got)[:200], error.allowed, content[:2_000])


def distribution(
    arm: str, arms: Sequence[str], probabilities: Sequence[float] | None, propensity: float | None
) -> tuple[tuple[str, ...], tuple[float, ...]]:
    """The row's arms and the chance of each, if they can be what was drawn from.

    Raises
    ------
    RowError
        If a number is no probability, the chosen arm is not among the arms or had no chance, or the sum is not one.
    """
    known = tuple(arms)
    if arm not in known:
        raise RowError("is not among the arms of its row", field="arm", got=arm, allowed=", ".join(known)[:200])
    if len(set(known)) != len(known):
        raise RowError("an arm stands twice", field="arms", got=known)
    at = known.index(arm)
    if probabilities is None:
        return known, _spread(len(known), at, checked_propensity(propensity))
    if len(probabilities) != len(known):
        allowed = f"{len(known)} numbers, one per arm"
        raise RowError("are not one per arm", field="probabilities", got=len(probabilities), allowed=allowed)
    if not all(math.isfinite(p) and 0.0 <= p <= 1.0 + TOLERANCE for p in probabilities):
        raise RowError("are no probabilities", field="probabilities", got=list(probabilities), allowed="0 to 1")
    total = math.fsum(probabilities)
    if abs(total - 1.0) > TOLERANCE:
        raise RowError("do not add up to one", field="probabilities", got=total, allowed="1")
    chosen = checked_propensity(probabilities[at])
    if propensity is not None and abs(checked_propensity(propensity) - chosen) > TOLERANCE:
        raise RowError("is not what the distribution says", field="propensity", got=propensity, allowed=f"{chosen:g}")
    exact = abs(total - 1.0) <= 1e-12
    return known, tuple(probabilities) if exact else tuple(p / total for p in probabilities)


def checked_propensity(value: object) -> float:
    """A number above 0 (at least 1e-12) and at most 1."""
    number = finite(value, "propensity")
    if not LEAST_PROPENSITY <= number <= 1.0 + TOLERANCE:
        allowed = f"(0, 1], at least {LEAST_PROPENSITY:g}"
        raise RowError("is no probability of what was chosen", field="propensity", got=value, allowed=allowed)
    return min(number, 1.0)


def checked_reward(value: object) -> float:
    """A finite number of at most 1e6 in size."""
    number = finite(value, "reward")
    if abs(number) > MOST_REWARD:
        raise RowError("is too large", field="reward", got=value, allowed="at most 1e6 in size")
    return number


def finite(value: object, name: str) -> float:
    """A finite number, also where the file has it as text."""
    try:
        number = float(value)  # type: ignore[arg-type]  # what is no number is refused here
    except (TypeError, ValueError):
        raise RowError("is no number", field=name, got=value, allowed="a finite number") from None
    except OverflowError:  # JSON knows integers of any length
        raise RowError("is not finite", field=name, got="a huge integer", allowed="a finite number") from None
    if not math.isfinite(number) or isinstance(value, bool):
        raise RowError("is not finite", field=name, got=value, allowed="a finite number")
    return number


def named(value: object, name: str, *, most: int = MOST_TEXT) -> str:
    """A text that is not empty; whole numbers count by their digits."""
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    text = "" if value is None or isinstance(value, float) else str(value)
    if not text or len(text) > most or _NO_TEXT.search(text):
        allowed = f"1 to {most} characters, none of them a control character"
        raise RowError("is no name", field=name, got=value, allowed=allowed)
    return text


def _spread(size: int, at: int, propensity: float) -> tuple[float, ...]:
    if size == 1:
        if propensity < 1.0 - TOLERANCE:
            raise RowError("is below one for the only arm", field="propensity", got=propensity, allowed=_ALONE)
        return (1.0,)
    rest = (1.0 - propensity) / (size - 1)
    return tuple(propensity if k == at else rest for k in range(size))
