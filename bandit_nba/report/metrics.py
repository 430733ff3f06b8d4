"""Metrics and guardrails of every policy: each measure with an interval, and whether it surely moves the wrong way."""

from collections.abc import Iterator, Sequence

import numpy as np

from bandit_nba.decide.columns import Floats, Ints
from bandit_nba.errors import RefusedError
from bandit_nba.evaluate import ESS_FLOOR, Estimate, estimate, estimate_difference
from bandit_nba.report.comparison import Comparison, Contender
from bandit_nba.report.measures import Measure
from bandit_nba.report.table import Cell, Column, Table, number

COLUMNS = (
    Column("metric"),
    Column("policy"),
    Column("estimate", "value"),
    Column("from", "value"),
    Column("to", "value"),
    Column("against today"),
)
SAME = 5e-4  # a difference of exact figures below this is none


def metrics(comparison: Comparison, found: Sequence[Measure]) -> Table:
    """Each metric for each policy, with an interval where it depends on what customers did."""
    rows: list[list[Cell]] = []
    for measure in found:
        title = f"{measure.title} (guardrail)" if measure.guardrail else measure.title
        rows += [[title, c.title, *_figures(comparison, c, measure)] for c in comparison.contenders]
    return Table(
        "metrics",
        "Metrics and guardrails",
        "What each means is said below. Figures without an interval follow from what a policy would do and need no "
        "answer. A guardrail is what must not get worse. More and less: than today, where that is sure.",
        COLUMNS,
        rows,
        [contender.title for contender in comparison.foremost],
    )


def worse(comparison: Comparison, found: Sequence[Measure]) -> Iterator[str]:
    """A sentence for each candidate and guardrail that surely gets worse."""
    for measure in found:
        for candidate in comparison.candidates if measure.guardrail else ():
            change = _change(comparison, candidate, measure)
            if change is not None and measure.better == "less" and change.low > 0:
                yield f"{candidate.title} brings more {measure.title}: at least {number(change.low)} per decision."
            if change is not None and measure.better == "more" and change.high < 0:
                yield f"{candidate.title} lowers {measure.title}: by at least {number(-change.high)}."


def _figures(comparison: Comparison, contender: Contender, measure: Measure) -> list[Cell]:
    """Estimate, both ends, and the remark."""
    if measure.cells is not None:
        value = _exact(comparison, contender, measure.cells)
        return [value, None, None, _compared(value - _exact(comparison, comparison.today, measure.cells))]
    weights, values, groups = _about(comparison, contender, measure)
    if not len(values):
        return [None, None, None, "nothing to go by"]
    try:
        found = estimate(weights, values, groups=groups, alpha=comparison.alpha, reward_range=_range(values))
    except RefusedError:
        return [None, None, None, "cannot be told"]
    if found.ess < ESS_FLOOR:
        return [None, None, None, f"too few: worth {found.ess:,.0f} decisions"]
    if not values.any():
        # Nothing in n: with this confidence the share is below 1 - alpha^(1/n) (the rule of three).
        return [0.0, 0.0, 1.0 - comparison.alpha ** (1.0 / found.ess), "none so far"]
    change = None if contender is comparison.today else _change(comparison, contender, measure)
    return [found.value, found.low, found.high, "" if change is None else _words(change, measure)]


def _about(comparison: Comparison, contender: Contender, measure: Measure) -> tuple[Floats, Floats, Ints]:
    """Weights, values and customers of the decisions that a measure is about."""
    log, values = comparison.log, measure.values
    rows = np.ones(len(log), dtype=np.bool_) if measure.rows is None else measure.rows
    weights = contender.judgement.weights * (1.0 if measure.weights is None else measure.weights)
    return weights[rows], np.empty(0) if values is None else values[rows], log.group[rows]


def _change(comparison: Comparison, contender: Contender, measure: Measure) -> Estimate | None:
    """How much more of it than today, None where that cannot be told."""
    weights, values, groups = _about(comparison, contender, measure)
    today, _, _ = _about(comparison, comparison.today, measure)
    if not len(values) or not values.any():
        return None
    try:
        return estimate_difference(
            weights,
            today,
            values,
            alpha=contender.gain_alpha if contender.is_candidate else comparison.alpha,
            groups=groups,
            reward_range=_range(values),
        )
    except RefusedError:
        return None


def _words(change: Estimate, measure: Measure) -> str:
    if change.low > 0:
        return "more: watch out" if measure.guardrail and measure.better == "less" else "more"
    if change.high < 0:
        return "less: watch out" if measure.guardrail and measure.better == "more" else "less"
    return ""


def _exact(comparison: Comparison, contender: Contender, cells: Floats) -> float:
    return float((contender.judgement.probability * cells).sum() / len(comparison.log))


def _compared(change: float) -> str:
    if abs(change) < SAME:
        return ""
    return "more" if change > 0 else "less"


def _range(values: Floats) -> tuple[float, float]:
    low, high = float(min(0.0, values.min())), float(values.max())
    return low, high if high > low else low + 1.0
