"""The same judgement for parts of the log: customer segments, and periods of time."""

import datetime
from collections.abc import Iterator, Sequence

import numpy as np

from bandit_nba.decide.columns import Bools, Coded
from bandit_nba.errors import RefusedError, SettingsError
from bandit_nba.evaluate import ESS_FLOOR, Estimate, estimate
from bandit_nba.evaluate.log import LoggedDecisions
from bandit_nba.report.comparison import Comparison, Contender
from bandit_nba.report.table import Cell, Column, Table
from bandit_nba.settings import nearest

PERIODS = 8
FEW = 50  # decisions of today's policy itself: these carry no weights
MOST_SEGMENTS = 12
UNKNOWN = "unknown"
OTHERS = "all others"


def segment_fact(log: LoggedDecisions, wanted: str) -> str:
    """The fact that segments go by: the one wanted, else the first declared category; "" where there is none.

    Raises
    ------
    SettingsError
        If the wanted fact is no declared category.
    """
    categories = [name for name, kind in log.facts.schema.items() if kind == "category"]
    if wanted and wanted not in categories:
        raise SettingsError(
            "no such category among the declared facts",
            where="--segment",
            got=wanted,
            allowed=", ".join(categories) or "none is declared",
            hint=nearest(wanted, categories),
        )
    return wanted or (categories[0] if categories else "")


def segments_of(log: LoggedDecisions, fact: str) -> list[str]:
    """The segment of each decision; the smallest are one beyond the first `MOST_SEGMENTS`."""
    column = log.facts.columns.get(fact)
    if not isinstance(column, Coded):
        return [UNKNOWN] * len(log)
    names = [*column.values, UNKNOWN]
    counts = np.bincount(column.codes % len(names), minlength=len(names))
    kept = {int(code) for code in np.argsort(-counts, kind="stable")[:MOST_SEGMENTS] if counts[code]}
    return [names[code] if code % len(names) in kept else OTHERS for code in column.codes.tolist()]


def by_segment(comparison: Comparison, segments: Sequence[str], fact: str) -> Table:
    """Each policy in each segment."""
    labels = np.array(segments)
    rows: list[list[Cell]] = []
    for name in sorted(set(segments)):
        rows += _rows(comparison, labels == name, name)
    return Table(
        "segments",
        f"By {fact}" if fact else "By segment",
        f"What each policy earns per decision in each segment. Below {ESS_FLOOR:.0f} effective decisions no figure is "
        "given: it could be far off.",
        [Column(fact or "segment"), Column("policy"), Column("decisions", "count"), *_FIGURES],
        rows,
        [contender.title for contender in comparison.foremost],
    )


def over_time(comparison: Comparison) -> Table:
    """Each policy in consecutive periods with equally many decisions."""
    log = comparison.log
    rows: list[list[Cell]] = []
    least = min(contender.value.ess for contender in comparison.foremost)
    periods = int(np.clip(least // ESS_FLOOR, 2, PERIODS))
    for number, part in enumerate(np.array_split(np.arange(len(log)), periods), start=1):
        chosen = np.zeros(len(log), dtype=np.bool_)
        chosen[part] = True
        rows += _rows(comparison, chosen, f"{number}: {_moment(float(log.decided_at[part[0]]))}")
    return Table(
        "over_time",
        "Over time",
        f"Consecutive periods with about {len(log) // periods:,} decisions each, with the "
        "time of their beginning (UTC).",
        [Column("period"), Column("policy"), Column("decisions", "count"), *_FIGURES],
        rows,
        [contender.title for contender in comparison.foremost],
    )


_FIGURES = (Column("ESS", "count"), Column("estimate", "value"), Column("from", "value"), Column("to", "value"))


def _rows(comparison: Comparison, chosen: Bools, name: str) -> Iterator[list[Cell]]:
    for contender in comparison.contenders:
        found = _estimate(comparison, contender, chosen)
        weights = contender.judgement.weights[chosen]
        squares = float((weights**2).sum())
        ess = float(weights.sum()) ** 2 / squares if squares > 0 else 0.0
        figures = (None, None, None) if found is None else (found.value, found.low, found.high)
        yield [name, contender.title, int(chosen.sum()), ess, *figures]


def _estimate(comparison: Comparison, contender: Contender, chosen: Bools) -> Estimate | None:
    """None where the part cannot carry a figure."""
    log = comparison.log
    try:
        found = estimate(
            contender.judgement.weights[chosen],
            log.reward[chosen],
            groups=log.group[chosen],
            alpha=comparison.alpha,
            reward_range=(float(min(0.0, log.reward.min())), float(max(1.0, log.reward.max()))),
        )
    except RefusedError:
        return None
    return found if found.ess >= (FEW if contender is comparison.today else ESS_FLOOR) else None


def _moment(at_s: float) -> str:
    return datetime.datetime.fromtimestamp(at_s, datetime.UTC).strftime("%Y-%m-%d %H:%M:%S")
