"""More than the reward: answers by type, amounts, how often customers are contacted, and what that costs."""

from collections.abc import Iterator, Mapping

import numpy as np

from bandit_nba.catalogue import Catalogue
from bandit_nba.catalogue.action import NO_ACTION
from bandit_nba.decide.batch import Floats
from bandit_nba.evaluate import Estimate, estimate
from bandit_nba.learn.definition import RewardDefinition
from bandit_nba.promote.reading import Reading
from bandit_nba.report.comparison import Comparison, Contender, gain
from bandit_nba.report.table import Cell, Column, Table, percent

BAD_WORDS = ("complain", "opt_out", "optout", "unsubscribe", "churn", "cancel", "block", "spam")
"""An outcome type with one of these in its name, or with a reward below 0, is a guardrail: less of it is better."""


COLUMNS = (
    Column("metric"),
    Column("policy"),
    Column("estimate", "value"),
    Column("from", "value"),
    Column("to", "value"),
    Column("against today"),
)


def is_guardrail(kind: str, definition: RewardDefinition) -> bool:
    """Whether an outcome of this type is something that nobody wants."""
    declared = definition.outcomes.get(kind)
    return any(word in kind for word in BAD_WORDS) or (declared is not None and declared.reward < 0)


def metrics(comparison: Comparison, reading: Reading, catalogue: Catalogue, definition: RewardDefinition) -> Table:
    """Each metric for each policy: per decision, with an interval where it depends on answers."""
    kinds = sorted({*definition.outcomes, *reading.happened})
    rows: list[list[Cell]] = []
    for kind in kinds:
        bad = is_guardrail(kind, definition)
        title = f"{kind} ({'guardrail: ' if bad else ''}share of decisions)"
        flags = reading.happened.get(kind, np.zeros(len(reading.log), dtype=np.bool_)).astype(np.float64)
        rows += _weighted(title, flags, comparison, bad=bad)
    for kind, sums in reading.amounts.items():
        rows += _weighted(f"{kind} (amount per decision)", sums, comparison, bad=is_guardrail(kind, definition))
    for title, cells in _certain(comparison, catalogue).items():
        rows += [
            [title, c.title, _per_decision(comparison, c, cells), None, None, _remark(comparison, c, cells)]
            for c in comparison.contenders
        ]
    return Table(
        "metrics",
        "Metrics and guardrails",
        "Per decision. Contact load and cost follow from what a policy would do and need no answer, so they have no "
        "interval. A guardrail is an outcome that nobody wants. More and less: than today, where that is sure.",
        COLUMNS,
        rows,
        [contender.title for contender in comparison.foremost],
    )


def worse(comparison: Comparison, reading: Reading, definition: RewardDefinition) -> Iterator[str]:
    """A sentence for each candidate and guardrail that surely gets worse."""
    for kind in sorted(reading.happened):
        if is_guardrail(kind, definition):
            for candidate in comparison.candidates:
                change = _change(comparison, candidate, reading.happened[kind].astype(np.float64))
                if change is not None and change.low > 0:
                    yield f"{candidate.title} brings more {kind}: at least {percent(change.low)} of the decisions more."


def _weighted(title: str, counted: Floats, comparison: Comparison, *, bad: bool) -> Iterator[list[Cell]]:
    high = float(counted.max())
    for contender in comparison.contenders:
        found = estimate(
            contender.judgement.weights,
            counted,
            groups=comparison.log.group,
            alpha=comparison.alpha,
            reward_range=(min(0.0, float(counted.min())), high if high > 0 else 1.0),
        )
        change = None if contender is comparison.today else _change(comparison, contender, counted)
        remark = "" if change is None else _words(change, bad=bad)
        yield [title, contender.title, found.value, found.low, found.high, remark]


def _change(comparison: Comparison, contender: Contender, counted: Floats) -> Estimate | None:
    if not counted.any():
        return None
    return gain(comparison.log, contender.judgement.weights, alpha=comparison.alpha, reward=counted)


def _words(change: Estimate, *, bad: bool) -> str:
    if change.low > 0:
        return "more: watch out" if bad else "more"
    if change.high < 0:
        return "less"
    return ""


def _certain(comparison: Comparison, catalogue: Catalogue) -> Mapping[str, Floats]:
    """What each logged cell would mean if it were chosen, by metric."""
    log = comparison.log
    contact = np.array([name != NO_ACTION for name in log.arms], dtype=np.float64)[log.arm]
    costs = {arm.id: arm.action.cost for arm in catalogue.arms}
    cost = np.array([costs.get(name, 0.0) for name in log.arms])[log.arm]
    found = {"contact load (share of decisions with an action)": contact}
    return {**found, "contact cost (per decision)": cost} if cost.any() else found


def _per_decision(comparison: Comparison, contender: Contender, cells: Floats) -> float:
    return float((contender.judgement.probability * cells).sum() / len(comparison.log))


def _remark(comparison: Comparison, contender: Contender, cells: Floats) -> str:
    if contender is comparison.today:
        return ""
    change = _per_decision(comparison, contender, cells) - _per_decision(comparison, comparison.today, cells)
    if abs(change) < 5e-4:
        return "the same"
    return "more" if change > 0 else "less"
