"""Contact rules asked of many customers at once: which arms their past contacts take out, and why.

A window is half-open, (now - within, now], so that no stretch of time as long as the window ever holds more contacts
than its cap allows. All times are compared with the request's own `decided_at`. Contacts and answers that another
machine's clock has put into the future count as well: in doubt a customer is left alone.

An answer counts from its receipt, also where it comes late. Of contacts older than `within` + `pause` + the longest
wait for outcomes a rule knows nothing, nor of their answers. An action belongs to the group that the present catalogue
gives it; one that the catalogue no longer knows counts for channels, directions and all contacts only.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from bandit_nba.catalogue import Catalogue, ContactRule
from bandit_nba.catalogue.contact_rules import IGNORED
from bandit_nba.decide.batch import Removal, Requests
from bandit_nba.decide.columns import Bools, Coded, Floats, Ints

if TYPE_CHECKING:
    from bandit_nba.decide.eligibility.history import History

Codes = npt.NDArray[np.int16]
Wording = Callable[[ContactRule, str], str]

NO_UNIT = -1
MAX_PLANS = 8
_plans: dict[str, tuple["_Rule", ...]] = {}


def contact_removals(catalogue: Catalogue, history: "History", requests: Requests) -> tuple[Codes, tuple[Removal, ...]]:
    """What contact rules take out for N requests of K arms.

    Returns codes int16 (N, K), 0 where an arm stays, else 1 + index into the removals: the first rule in the order of
    the catalogue that takes it out. Column 0, "no action", is always 0.
    """
    codes: Codes = np.zeros((len(requests), len(catalogue.arms)), dtype=np.int16)
    numbers: dict[Removal, int] = {}
    rows = np.repeat(np.arange(len(requests)), np.diff(history.indptr))
    if not len(rows):
        return codes, ()
    past = _Past(history=history, rows=rows, now=requests.decided_at[rows], size=len(requests))
    most = int(np.diff(history.indptr).max())
    for rule in _rules(catalogue):
        if rule.rule.max is not None and most < rule.rule.max:  # nobody has that many contacts of any kind
            continue
        concerned = _by_arm(rule, past) if rule.by_arm else _by_request(rule, past, requests.channels)
        for hit, wording in _hits(rule, past, concerned):
            if hit.any():
                _take_out(codes, hit, wording, rule, concerned, numbers)
    return codes, tuple(numbers)


def may_remove(catalogue: Catalogue, most: int) -> bool:
    """Whether any rule could take out an arm of a customer with at most so many contacts of any kind."""
    return most > 0 and any(rule.rule.max is None or rule.rule.max <= most for rule in _rules(catalogue))


def lookback_s(catalogue: Catalogue, *, wait_s: float) -> float:
    """How far back any of the contact rules looks, in seconds; wait_s: the longest wait for outcomes."""
    return max((_horizon_s(rule, wait_s) for rule in _rules(catalogue)), default=0.0)


def reads_answers(catalogue: Catalogue) -> bool:
    """Whether any contact rule asks for outcomes."""
    return any(rule.outcomes for rule in catalogue.contact_rules)


@dataclass(frozen=True)
class _Rule:
    """A rule with its numbers. Rules by action or group count per unit: units by name, unit_of an action, and of each
    arm, int64 (K,), -1 where the rule does not concern it."""

    rule: ContactRule
    by_arm: bool
    within_s: float
    pause_s: float
    units: tuple[str, ...]
    unit_of: Mapping[str, int]
    unit_of_arm: Ints


@dataclass(frozen=True)
class _Past:
    """All contacts of a batch of `size` requests, each with its request's row and time."""

    history: "History"
    rows: Ints
    now: Floats
    size: int


@dataclass(frozen=True)
class _Concerned:
    """What a rule counts. of_contact int64 (H,): each contact's unit, -1 where it does not count; units: their names.

    of_row int64 (N,): the unit that a request's own contact would have, -1 for none; None where the arm decides that.
    """

    of_contact: Ints
    units: tuple[str, ...]
    of_row: Ints | None


def _rules(catalogue: Catalogue) -> tuple[_Rule, ...]:
    found = _plans.get(catalogue.version)
    if found is None:
        if len(_plans) >= MAX_PLANS:
            _plans.clear()
        found = _plans[catalogue.version] = tuple(_planned(rule, catalogue) for rule in catalogue.contact_rules)
    return found


def _planned(rule: ContactRule, catalogue: Catalogue) -> _Rule:
    names = {action.id: action.id if rule.scope == "action" else action.group for action in catalogue.actions}
    units = tuple(dict.fromkeys(name for name in names.values() if not rule.names or name in rule.names))
    unit_of = {action: units.index(name) for action, name in names.items() if name in units}
    return _Rule(
        rule=rule,
        by_arm=rule.scope in ("action", "group"),
        within_s=rule.within_s,
        pause_s=rule.pause_s,
        units=units,
        unit_of=unit_of,
        unit_of_arm=np.array([unit_of.get(arm.action.id, NO_UNIT) for arm in catalogue.arms], dtype=np.int64),
    )


def _horizon_s(rule: _Rule, wait_s: float) -> float:
    return rule.within_s + rule.pause_s + (wait_s if rule.rule.outcomes else 0.0)


def _by_arm(rule: _Rule, past: _Past) -> _Concerned:
    """Contacts by their action or its group."""
    of_value = np.array([rule.unit_of.get(action, NO_UNIT) for action in past.history.actions.values], dtype=np.int64)
    return _Concerned(of_contact=of_value[past.history.actions.codes], units=rule.units, of_row=None)


def _by_request(rule: _Rule, past: _Past, channels: Coded) -> _Concerned:
    """Contacts on the channel, or in the direction, of the request; or all of them."""
    units: dict[str, int] = {}

    def numbered(names: tuple[str, ...]) -> Ints:
        named = [_unit_name(rule.rule, name, past.history) for name in names]
        # an unknown channel has code -1: the last
        return np.array([*(NO_UNIT if name is None else units.setdefault(name, len(units)) for name in named), NO_UNIT])

    of_row = numbered(channels.values)[channels.codes]
    of_contact = numbered(past.history.channels.values)[past.history.channels.codes]
    same = of_contact == of_row[past.rows]
    return _Concerned(of_contact=np.where(same, of_contact, NO_UNIT), units=tuple(units), of_row=of_row)


def _unit_name(rule: ContactRule, channel: str, history: "History") -> str | None:
    """The unit of contacts on a channel, None where the rule does not concern them."""
    if rule.scope == "all":
        return ""
    direction = "outbound" if channel in history.outbound else "inbound"
    name = channel if rule.scope == "channel" else direction
    return name if not rule.names or name in rule.names else None


def _hits(rule: _Rule, past: _Past, concerned: _Concerned) -> Iterator[tuple[Bools, Wording]]:
    """Which units of which rows have had enough, bool (N, U), and in which words."""
    declared = rule.rule
    if declared.max is not None:
        within = past.history.decided_at > past.now - rule.within_s
        counts = _counts(within & (past.now <= past.history.counts_until), past, concerned)
        if counts.max(initial=0) >= declared.max:
            yield counts == declared.max, _cap_reached
            yield counts > declared.max, _cap_exceeded
    else:
        words = _suppressed if declared.kind == "suppression" else _cooling_down
        yield _paused(rule, past, concerned), words


def _counts(counting: Bools, past: _Past, concerned: _Concerned) -> Ints:
    """How many contacts count for each row and unit, int64 (N, U)."""
    units = len(concerned.units)
    which = counting & (concerned.of_contact != NO_UNIT)
    keys = past.rows[which] * units + concerned.of_contact[which]
    return np.bincount(keys, minlength=past.size * units).reshape(past.size, units)


def _paused(rule: _Rule, past: _Past, concerned: _Concerned) -> Bools:
    """Which units of which rows had `after` answers within the window whose last is less than `pause` ago, (N, U)."""
    answered_at = _answered_at(rule, past)
    known = past.history.decided_at > past.now - _horizon_s(rule, past.history.wait_s)
    which = np.flatnonzero(known & (concerned.of_contact != NO_UNIT) & ~np.isnan(answered_at))
    units = len(concerned.units)
    keys, at = past.rows[which] * units + concerned.of_contact[which], answered_at[which]
    order = np.lexsort((at, keys))
    keys, at, now = keys[order], at[order], past.now[which][order]
    n = (rule.rule.after or 1) - 1
    first, last = slice(0, max(len(keys) - n, 0)), slice(n, None)
    enough = keys[first] == keys[last]
    if n:
        enough &= at[last] - at[first] < rule.within_s
    enough &= now[last] < at[last] + rule.pause_s
    out = np.zeros(past.size * units, dtype=np.bool_)
    out[keys[last][enough]] = True
    return out.reshape(past.size, units)


def _answered_at(rule: _Rule, past: _Past) -> Floats:
    """When each contact got the first of the rule's answers, float64 (H,), NaN for none."""
    first = np.full(len(past.rows), np.nan)
    for name in rule.rule.outcomes:
        times = past.history.answers.get(name)
        if times is not None:
            first = np.fmin(first, np.where(times < past.now, times, np.nan) if name == IGNORED else times)
    return first


def _take_out(
    codes: Codes, hit: Bools, words: Wording, rule: _Rule, concerned: _Concerned, numbers: dict[Removal, int]
) -> None:
    """Write the codes of hit units where an arm is still in."""
    of_unit = np.zeros(len(concerned.units) + 1, dtype=np.int16)  # the last: no unit
    for unit in np.flatnonzero(hit.any(axis=0)).tolist():
        removal = Removal("contact", words(rule.rule, concerned.units[unit]))
        of_unit[unit] = numbers.setdefault(removal, len(numbers) + 1)
    of_cell = np.where(np.column_stack([hit, np.zeros(len(hit), dtype=np.bool_)]), of_unit, np.int16(0))
    if concerned.of_row is None:
        fresh = of_cell[:, rule.unit_of_arm]
    else:
        fresh = np.repeat(of_cell[np.arange(len(hit)), concerned.of_row][:, None], codes.shape[1], axis=1)
        fresh[:, 0] = 0
    np.copyto(codes, fresh, where=codes == 0)


def _cap_reached(rule: ContactRule, unit: str) -> str:
    return f"{rule.max} of at most {_contacts(rule, unit, rule.max or 0)} within {rule.within}"


def _cap_exceeded(rule: ContactRule, unit: str) -> str:
    return f"more than {rule.max} of at most {_contacts(rule, unit, rule.max or 0)} within {rule.within}"


def _suppressed(rule: ContactRule, unit: str) -> str:
    answers = " or ".join(rule.outcomes)
    return f"{_contacts(rule, unit, rule.after or 0)} within {rule.within} met with {answers}: pause of {rule.pause}"


def _cooling_down(rule: ContactRule, unit: str) -> str:
    return f"{_contacts(rule, unit, 1)} met with {' or '.join(rule.outcomes)}: pause of {rule.pause}"


def _contacts(rule: ContactRule, unit: str, number: int) -> str:
    """`2 contacts in group up_sell`."""
    noun = "contact" if number == 1 else "contacts"
    if rule.scope == "direction":
        return f"{number} {unit} {noun}"
    place = {"action": f" for action {unit}", "group": f" in group {unit}", "channel": f" on channel {unit}", "all": ""}
    return f"{number} {noun}{place[rule.scope]}"
