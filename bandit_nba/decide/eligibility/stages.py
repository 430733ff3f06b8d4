"""The eligible set: which arms each customer may have, stage by stage, and what took the others out.

Stages in order: validity, channel, profile, consent, eligibility, applicability, suitability, ownership, contact. The
first that removes an arm is the one that is kept; "no action" always stays.
"""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from bandit_nba.catalogue import Catalogue
from bandit_nba.catalogue.expression import FAILED, HOLDS
from bandit_nba.catalogue.rules import CompiledRules
from bandit_nba.decide.batch import Eligibility, Removal, Requests
from bandit_nba.decide.columns import Bools, CodedSets
from bandit_nba.decide.eligibility.plan import MAX_REMOVALS, Level, Plan, plan
from bandit_nba.decide.eligibility.rule_facts import RuleFacts, Verdicts
from bandit_nba.errors import RuleError

Removed = npt.NDArray[np.int16]

UNASKED = np.int8(-1)
LATE = Removal(stage="fallback", reason="the answer would have been late: only safe actions that no rule guards")
FEW_ARMS = 200  # up to so many arms of a lone row are looked at one by one
FEW = 8  # a batch with fewer rows than this is asked row by row: work on whole columns would cost more
MAX_PLANS = 8

_plans: dict[str, Plan] = {}


def eligible(catalogue: Catalogue, rules: CompiledRules, requests: Requests) -> Eligibility:
    """Eligibility of N requests over the K arms of a catalogue.

    Where `requests.readable` is False only arms marked `safe_without_profile` can remain; their rules are asked as
    well. A rule that fails excludes the arm; failures count rows, by the rule's text. What a request gets does not
    depend on the batch around it.

    Raises
    ------
    RuleError
        If the rules were compiled from another version of the catalogue.
    """
    made = _plan(catalogue, rules)
    removed = np.zeros((len(requests), made.arms), dtype=np.int16)
    _validity(made, requests, removed)
    _channel(made, requests, removed)
    if not requests.readable.all():
        _take_out(removed, ~requests.readable[:, None] & ~made.safe, made.unsafe)
    facts = RuleFacts(rules, made.over_columns, requests)
    if len(requests) == 1 and made.arms <= FEW_ARMS:
        removed[0] = _asked_alone(made.levels, facts, removed[0].tolist())
    else:
        verdicts = np.full((len(requests), len(rules.rules)), UNASKED, dtype=np.int8)
        for level in made.levels:
            _ask(level, facts, verdicts, removed)
    _ownership(made, requests, removed)
    removals = made.removals + _contact(catalogue, requests, removed, first_code=len(made.removals))
    return Eligibility(removed=removed, removals=removals, failures=facts.failures)


def unasked(catalogue: Catalogue, rules: CompiledRules, requests: Requests) -> Eligibility:
    """What may be chosen where there is no time to ask: of the safe arms those that no rule guards.

    Dates, channel, and ownership as far as the request itself tells it, are looked at; profile, rules and contacts are
    not. Raises as `eligible` does.
    """
    made = _plan(catalogue, rules)
    removed = np.zeros((len(requests), made.arms), dtype=np.int16)
    _validity(made, requests, removed)
    _channel(made, requests, removed)
    guarded = np.zeros(made.arms, dtype=np.bool_)
    for level in made.levels:
        guarded[level.arms] = True
    _take_out(removed, np.broadcast_to(guarded | ~made.safe, removed.shape), np.int16(len(made.removals) + 1))
    _ownership(made, requests, removed)
    return Eligibility(removed=removed, removals=(*made.removals, LATE))


def _plan(catalogue: Catalogue, rules: CompiledRules) -> Plan:
    version = catalogue.version
    if rules.catalogue_version != version:
        raise RuleError(
            "the rules were compiled from another version of the catalogue",
            got=rules.catalogue_version,
            allowed=version,
            hint="call compile_rules on this catalogue",
        )
    found = _plans.get(version)
    if found is None:
        if len(_plans) >= MAX_PLANS:
            _plans.clear()
        found = _plans[version] = plan(catalogue, rules)
    return found


def _take_out(removed: Removed, bad: Bools, codes: npt.NDArray[np.int16] | np.int16) -> None:
    """Write the codes where an arm is bad and still in."""
    np.copyto(removed, codes, where=bad & (removed == 0))


def _validity(made: Plan, requests: Requests, removed: Removed) -> None:
    if made.dated:
        now = requests.decided_at[:, None]
        _take_out(removed, now < made.valid_from, made.early)
        _take_out(removed, now >= made.valid_until, made.late)


def _channel(made: Plan, requests: Requests, removed: Removed) -> None:
    if made.channels:
        names = requests.channels.values
        rows = [made.channels.get(name, made.elsewhere) for name in names]
        may_show = np.array([*rows, made.elsewhere])  # an unknown channel has code -1: the last row
        _take_out(removed, ~may_show[requests.channels.codes], made.off_channel)


def _ask(level: Level, facts: RuleFacts, verdicts: Verdicts, removed: Removed) -> None:
    """Ask the rules of one level, each only for rows in which it guards an arm that is still in."""
    still_in = removed.take(level.arms, axis=1) == 0
    needed = np.logical_or.reduceat(still_in, level.starts, axis=1)
    needed &= verdicts.take(level.rules, axis=1) == UNASKED
    if len(needed) < FEW:
        for row, number in zip(*(found.tolist() for found in needed.nonzero()), strict=True):
            rule = int(level.rules[number])
            verdicts[row, rule] = facts.verdict(rule, row)
    else:
        for number in np.flatnonzero(needed.any(axis=0)).tolist():
            rule = int(level.rules[number])
            rows = needed[:, number].nonzero()[0]
            verdicts[rows, rule] = facts.verdicts(rule, rows)
    said = verdicts.take(level.rule_of, axis=1)
    bad = still_in & (said != HOLDS)
    if bad.any():
        codes = np.where(said == FAILED, level.failed, level.untrue)
        removed[:, level.arms] = np.where(bad, codes, removed[:, level.arms])


def _asked_alone(levels: Sequence[Level], facts: RuleFacts, row: list[int]) -> list[int]:
    """The same of a lone row, in which no array would be worth its making: 10 us less for 20 arms and five rules."""
    said: dict[int, int] = {}  # by rule
    for level in levels:
        for arm, rule, untrue, failed in level.checks:
            if row[arm] == 0:
                verdict = said.get(rule)
                if verdict is None:
                    verdict = said[rule] = facts.verdict(rule, 0)
                if verdict != HOLDS:
                    row[arm] = failed if verdict == FAILED else untrue
    return row


def _ownership(made: Plan, requests: Requests, removed: Removed) -> None:
    column = requests.facts.columns.get("owned")
    if not isinstance(column, CodedSets) or made.owned.keys().isdisjoint(column.values):
        return
    number_of = np.array([made.owned.get(value, -1) for value in column.values], dtype=np.int64)
    members = number_of[column.codes]
    rows = np.repeat(np.arange(len(requests)), np.diff(column.indptr))
    owns = np.zeros((len(requests), len(made.owned) + 1), dtype=np.bool_)  # the last column: arms that nobody owns
    owns[rows[members >= 0], members[members >= 0]] = True
    _take_out(removed, owns[:, made.owned_of], made.owns)


def _contact(catalogue: Catalogue, requests: Requests, removed: Removed, *, first_code: int) -> tuple[Removal, ...]:
    if requests.contacts is None:
        return ()
    codes, removals = requests.contacts.removals(catalogue, requests)
    if removals:
        if first_code + len(removals) > MAX_REMOVALS:
            raise RuleError("too many different contact rules hold at once", allowed=f"{MAX_REMOVALS:,} reasons")
        _take_out(removed, codes != 0, codes + np.int16(first_code))
    return removals
