"""What the business may weigh an arm's expected gain by: the settings of arbitration; see `arbitrate`."""

import datetime
from collections.abc import Mapping
from functools import cached_property
from typing import Annotated

from msgspec import Meta

from bandit_nba.settings import Settings

Positive = Annotated[float, Meta(gt=0.0, le=1e9)]
Strength = Annotated[float, Meta(ge=0.0, le=4.0)]
GainStrength = Annotated[float, Meta(ge=0.1, le=4.0)]
CHANNEL = "channel"


class Strengths(Settings, frozen=True, kw_only=True):
    """The exponent of each factor: 1 as it is, 0 not at all (of the gain at least 0.1), above 1 more than it is."""

    gain: GainStrength = 1.0
    context_weight: Strength = 1.0
    value: Strength = 1.0
    lever: Strength = 1.0


class Lever(Settings, frozen=True, kw_only=True):
    """What the business wants more (above 1) or less of: a group, from the first moment to just before the last.

    Levers of one group that are valid at once multiply. A moment without a zone is UTC.
    """

    group: str
    lever: Positive
    valid_from: datetime.datetime | None = None
    valid_until: datetime.datetime | None = None


class ContextWeight(Settings, frozen=True, kw_only=True):
    """How much the arms of a group, or one action, count in some contexts; without either, all arms but "no action".

    fact: a declared category or boolean ("true", "false"), or "channel". values: the weight by its value; otherwise: of
    any other value, and where it is unknown. Several that meet one arm multiply.
    """

    fact: str
    values: Mapping[str, Positive]
    otherwise: Positive = 1.0
    group: str = ""
    action: str = ""


class TimedValue(Settings, frozen=True, kw_only=True, rename={"since": "from"}):
    """What one response to an action is worth from a moment on, in place of the catalogue's value."""

    action: str
    since: datetime.datetime
    value: Positive


class Arbitration(Settings, frozen=True, kw_only=True, dict=True):
    """priority = (expected reward - that of no action) x context weight x value x lever; see `arbitrate`.

    priority_range: the declared size of a large difference between two priorities, in the priority's unit; gaps are
    divided by it, so that exploration means the same in cents and in euros. levers: a table of group and lever, or a
    list with dates. values: those that change in time; values_file: a CSV or TOML file of the workspace that they are
    read from when it is opened, so that a stored policy holds them itself.
    """

    priority_range: Positive = 1.0
    use_value: bool = False
    levers: Mapping[str, Positive] | tuple[Lever, ...] = {}
    context_weights: tuple[ContextWeight, ...] = ()
    strength: Strengths = Strengths()
    values: tuple[TimedValue, ...] = ()
    values_file: str = ""

    @cached_property
    def all_levers(self) -> tuple[Lever, ...]:
        """The levers in either form as a list."""
        if isinstance(self.levers, Mapping):
            return tuple(Lever(group=group, lever=lever) for group, lever in self.levers.items())
        return self.levers
