"""Who gets nothing and why: the exclusion funnel, the under-served, and which actions customers would see."""

from collections import Counter
from collections.abc import Mapping, Sequence

import numpy as np

from bandit_nba.catalogue.action import NO_ACTION
from bandit_nba.decide.batch import Stage
from bandit_nba.decide.columns import Bools, Floats
from bandit_nba.evaluate.log import LoggedDecisions
from bandit_nba.promote.reading import Reading
from bandit_nba.report.comparison import Comparison
from bandit_nba.report.table import Cell, Column, Table

STAGES: Mapping[Stage, str] = {
    "validity": "outside its dates",
    "channel": "not for this channel",
    "profile": "customer could not be read",
    "consent": "no consent",
    "eligibility": "not allowed to have it",
    "applicability": "makes no sense now",
    "suitability": "not good for this customer",
    "ownership": "has it already",
    "contact": "contacted often enough",
    "request": "excluded by the request",
    "fallback": "taken out by the safe policy",
}
MOST_REASONS = 12
GREEDY = "learned, greedy"


def underserved(log: LoggedDecisions) -> Bools:
    """Decisions whose only eligible arm was no action, bool (N,)."""
    only_none = np.array([name == NO_ACTION for name in log.arms], dtype=np.bool_)[log.arm]
    found: Bools = np.logical_and.reduceat(only_none, log.indptr[:-1])
    return found


def funnel(reading: Reading) -> Table:
    """Stage by stage: how many offers were taken out, and for how many decisions the last one was."""
    size = len(reading.log)
    counts = np.bincount(reading.removed, minlength=len(reading.removals))
    out: Counter[str] = Counter()
    touched: Counter[str] = Counter()
    offers = int((~_none_cells(reading.log)).sum())
    for pattern, count in zip(reading.removals, counts.tolist(), strict=True):
        by_stage = Counter(stage for stage, _ in pattern.values())
        for stage, arms in by_stage.items():
            out[stage] += arms * count
            touched[stage] += count
    left = offers + sum(out.values())
    rows: list[list[Cell]] = [["all actions of the catalogue", "", left, 1.0 if left else None, None]]
    for stage, words in STAGES.items():
        if out[stage]:
            left -= out[stage]
            rows.append([f"after: {words}", stage, left, left / (offers + sum(out.values())), touched[stage] / size])
    return Table(
        "funnel",
        "What takes actions out",
        "From everything in the catalogue to what a policy may choose from, summed over all judged decisions, in the "
        "order of asking. The last column: share of decisions in which the stage took out at least one action.",
        [
            Column("stage"),
            Column("name"),
            Column("actions left", "count"),
            Column("share left", "share"),
            Column("decisions touched", "share"),
        ],
        rows,
    )


def no_good_action(comparison: Comparison) -> Bools | None:
    """Decisions in which the model expects of every eligible action less than of none, bool (N,); None without one."""
    greedy = next((c for c in comparison.contenders if c.name == GREEDY), None)
    if greedy is None:
        return None
    log = comparison.log
    certain = _none_cells(log) & (greedy.judgement.probability > 1.0 - 1e-9)
    found: Bools = np.logical_or.reduceat(certain, log.indptr[:-1])
    return found & ~underserved(log)


def underserved_by_segment(comparison: Comparison, reading: Reading, segments: Sequence[str], fact: str) -> Table:
    """Share of decisions with nothing but no action, and with nothing better, for each segment."""
    nothing, labels, poor = underserved(reading.log), np.array(segments), no_good_action(comparison)
    rows: list[list[Cell]] = []
    for name in [*sorted(set(segments)), ""]:
        here = labels == name if name else np.ones(len(labels), dtype=np.bool_)
        expected: list[Cell] = [None, None] if poor is None else [int(poor[here].sum()), float(poor[here].mean())]
        row: list[Cell] = [name or "everybody", int(here.sum()), int(nothing[here].sum()), float(nothing[here].mean())]
        rows.append([*row, *expected])
    return Table(
        "underserved",
        "Who is under-served",
        "Nothing left: no action was all that was allowed. Nothing good: there were actions, but the model expects of "
        "each of them less than of none. No policy can do better there: only rules and offers can.",
        [
            Column(fact or "segment"),
            Column("decisions", "count"),
            Column("nothing left", "count"),
            Column("share", "share"),
            Column("nothing good", "count"),
            Column("share of nothing good", "share"),
        ],
        rows,
    )


def reasons(comparison: Comparison, reading: Reading) -> Table:
    """Why: what took out actions where nothing was left, or nothing good."""
    nothing, poor = underserved(reading.log), no_good_action(comparison)
    left = _why(reading, nothing)
    good = Counter[tuple[str, str]]() if poor is None else _why(reading, poor)
    both, poor_count = left + good, 0 if poor is None else int(poor.sum())
    words: Mapping[str, str] = dict(STAGES.items())
    rows: list[list[Cell]] = [
        [reason, words.get(stage, stage), left[stage, reason], good[stage, reason]]
        for (stage, reason), _ in both.most_common(MOST_REASONS)
    ]
    return Table(
        "underserved_reasons",
        "Why nothing was left",
        f"The {min(MOST_REASONS, len(both))} most frequent of {len(both)} reasons that took out an action, in "
        f"decisions with nothing left ({int(nothing.sum()):,}) or nothing good ({poor_count:,}); one decision "
        "can have several.",
        [
            Column("reason"),
            Column("kind"),
            Column("decisions with nothing left", "count"),
            Column("with nothing good", "count"),
        ],
        rows,
    )


def _why(reading: Reading, rows: Bools) -> Counter[tuple[str, str]]:
    """In how many of these decisions a stage's reason took out at least one action."""
    counts = np.bincount(reading.removed[rows], minlength=len(reading.removals))
    why: Counter[tuple[str, str]] = Counter()
    for pattern, count in zip(reading.removals, counts.tolist(), strict=True):
        if count:
            for removal in set(pattern.values()):
                why[removal] += count
    return why


def action_mix(comparison: Comparison) -> Table:
    """How often each policy would choose each action, most frequent today first; exact, no estimate."""
    log = comparison.log
    shares = {contender.title: _shares(log, contender.judgement.probability) for contender in comparison.foremost}
    today = shares[comparison.today.title]
    order = np.argsort(-today, kind="stable").tolist()
    rows: list[list[Cell]] = [[log.arms[a], *(float(share[a]) for share in shares.values())] for a in order]
    return Table(
        "action_mix",
        "Actions before and after",
        "Share of the judged decisions in which each action is chosen: today, and by each candidate.",
        [Column("action"), *(Column(title, "share") for title in shares)],
        rows,
    )


def _shares(log: LoggedDecisions, probability: Floats) -> Floats:
    shares: Floats = np.bincount(log.arm, weights=probability, minlength=len(log.arms)) / len(log)
    return shares


def _none_cells(log: LoggedDecisions) -> Bools:
    return np.array([name == NO_ACTION for name in log.arms], dtype=np.bool_)[log.arm]
