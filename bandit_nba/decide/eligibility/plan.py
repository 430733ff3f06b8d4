"""What of eligibility depends on the catalogue alone: dates, channels, owners, and which rule guards which arm."""

import datetime
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby

import numpy as np
import numpy.typing as npt

from bandit_nba.catalogue import Catalogue
from bandit_nba.catalogue.load import epoch
from bandit_nba.catalogue.rules import Check, CompiledRules
from bandit_nba.decide.batch import Removal, Stage
from bandit_nba.decide.columns import Bools, Floats, Ints
from bandit_nba.decide.eligibility.rule_columns import TruthPart, over_columns
from bandit_nba.errors import SettingsError

Codes = npt.NDArray[np.int16]

MAX_REMOVALS = 32_000  # reasons are counted in int16

_LEVELS = {"catalogue": "rule of the catalogue", "action": "rule of the action"}
_FAILED = " (could not be answered: a fact it needs is unknown, or it failed)"
_PROFILE = "the customer's profile cannot be read, and the action is not marked safe without it"


@dataclass(frozen=True)
class Level:
    """The rules that are asked together: those of one stage at one level.

    arms int64 (J,): the guarded arms, sorted by rule; rule_of int64 (J,): the rule of each. rules int64 (R,): the same
    rules, each once; rules[r] guards arms[starts[r]:starts[r + 1]]. untrue, failed int16 (J,): codes of removals.
    checks: the same as plain numbers (arm, rule, untrue, failed). A level guards an arm by at most one rule.
    """

    arms: Ints
    rules: Ints
    starts: Ints
    rule_of: Ints
    untrue: Codes
    failed: Codes
    checks: tuple[tuple[int, int, int, int], ...]


@dataclass(frozen=True)
class Plan:
    """The static part of eligibility for K arms; codes are those of `Eligibility.removed`.

    valid_from, valid_until: float64 (K,), seconds since the epoch, -inf and inf where open. channels: per channel that
    an arm names, bool (K,), may show it; elsewhere: for every other channel. safe: bool (K,). over_columns: per rule,
    how it is asked of whole columns, if it can be. owned: the members of the fact `owned` that matter, numbered;
    owned_of int64 (K,): those numbers, `len(owned)` for none. Each with its codes, int16 (K,).
    """

    arms: int
    valid_from: Floats
    valid_until: Floats
    early: Codes
    late: Codes
    dated: bool
    channels: dict[str, Bools]
    elsewhere: Bools
    off_channel: Codes
    safe: Bools
    unsafe: np.int16
    levels: tuple[Level, ...]
    over_columns: tuple[TruthPart | None, ...]
    owned: Mapping[str, int]
    owned_of: Ints
    owns: Codes
    removals: tuple[Removal, ...]


def plan(catalogue: Catalogue, rules: CompiledRules) -> Plan:
    """The static part of a catalogue's eligibility.

    Raises
    ------
    SettingsError
        If the catalogue has more different reasons to remove an arm than the log can count.
    """
    arms, codes = catalogue.arms, _Codes()
    moments = [(arm.action.valid_from, arm.action.valid_until) for arm in arms]
    members = sorted({arm.action.owned_as for arm in arms if arm.action.owned_as})
    owned = {member: number for number, member in enumerate(members)}
    named = {channel for arm in arms for channel in arm.channels}
    return Plan(
        arms=len(arms),
        valid_from=np.array([epoch(start) if start else -np.inf for start, _ in moments]),
        valid_until=np.array([epoch(stop) if stop else np.inf for _, stop in moments]),
        early=codes.of("validity", [f"valid from {_moment(start)}" if start else "" for start, _ in moments]),
        late=codes.of("validity", [f"valid until {_moment(stop)}" if stop else "" for _, stop in moments]),
        dated=any(start or stop for start, stop in moments),
        channels={name: np.array([not arm.channels or name in arm.channels for arm in arms]) for name in named},
        elsewhere=np.array([not arm.channels for arm in arms]),
        off_channel=codes.of("channel", [f"only on {', '.join(arm.channels)}" if arm.channels else "" for arm in arms]),
        safe=np.array([number == 0 or arm.action.safe_without_profile for number, arm in enumerate(arms)]),
        unsafe=codes.of("profile", [_PROFILE])[0],
        levels=tuple(_level(list(checks), codes) for _, checks in groupby(rules.checks, lambda c: (c.stage, c.level))),
        over_columns=tuple(over_columns(rule.tree, catalogue.facts) for rule in rules.rules),
        owned=owned,
        owned_of=np.array([owned.get(arm.action.owned_as, len(owned)) for arm in arms], dtype=np.int64),
        owns=codes.of("ownership", [f'owned: "{a.action.owned_as}"' if a.action.owned_as else "" for a in arms]),
        removals=codes.removals,
    )


class _Codes:
    """Numbers removals from 1; equal ones once."""

    def __init__(self) -> None:
        self._numbers: dict[Removal, int] = {}

    def of(self, stage: Stage, reasons: Iterable[str]) -> Codes:
        """The code of each reason, 0 where there is none."""
        return np.array([self._number(stage, reason) if reason else 0 for reason in reasons], dtype=np.int16)

    def _number(self, stage: Stage, reason: str) -> int:
        if len(self._numbers) >= MAX_REMOVALS:
            raise SettingsError("has too many different rules", where="catalogue", allowed=f"{MAX_REMOVALS:,} reasons")
        return self._numbers.setdefault(Removal(stage, reason), len(self._numbers) + 1)

    @property
    def removals(self) -> tuple[Removal, ...]:
        """All removals in the order of their codes."""
        return tuple(self._numbers)


def _level(checks: Sequence[Check], codes: _Codes) -> Level:
    ordered = sorted(checks, key=lambda check: (check.rule, check.arm))
    rule_of = np.array([check.rule for check in ordered], dtype=np.int64)
    rules, starts = np.unique(rule_of, return_index=True)
    stage = ordered[0].stage
    untrue = codes.of(stage, [_reason(check) for check in ordered])
    failed = codes.of(stage, [_reason(check) + _FAILED for check in ordered])
    return Level(
        arms=np.array([check.arm for check in ordered], dtype=np.int64),
        rules=rules,
        starts=starts,
        rule_of=rule_of,
        untrue=untrue,
        failed=failed,
        checks=tuple(
            (check.arm, check.rule, no, error)
            for check, no, error in zip(ordered, untrue.tolist(), failed.tolist(), strict=True)
        ),
    )


def _reason(check: Check) -> str:
    """In words, without the arm's own name: the removal stands beside it, and equal rules share one reason."""
    level = _LEVELS.get(check.level, f'rule of group "{check.name}"')
    return f"{level}: {' '.join(check.text.split())}"


def _moment(moment: datetime.datetime | None) -> str:
    return "" if moment is None else datetime.datetime.fromtimestamp(epoch(moment), datetime.UTC).isoformat()
