"""The whole report of a workspace: judged once, then as a page, as JSON, and as tables."""

import datetime
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from bandit_nba.catalogue.action import NO_ACTION
from bandit_nba.decide.columns import Bools
from bandit_nba.errors import SettingsError
from bandit_nba.evaluate.judge import best_fixed
from bandit_nba.evaluate.policies import JudgedPolicy, Learned, LoggingPolicy, Uniform
from bandit_nba.promote.candidate import Candidate, read_policy
from bandit_nba.promote.frozen import Freezer
from bandit_nba.promote.ledger import events, searched_among
from bandit_nba.promote.reading import Reading, read
from bandit_nba.report import metrics, plots, reach, slices
from bandit_nba.report.comparison import Comparison, Judged, as_figures, compare
from bandit_nba.report.measures import Measures, measures
from bandit_nba.report.page import Figure, Page, Section, Tone
from bandit_nba.report.retention import retention
from bandit_nba.report.table import Cell, Column, Table, percent
from bandit_nba.report.verdict import Verdict, headline, verdict
from bandit_nba.report.words import MEANING, definitions, notes
from bandit_nba.store.database import Database
from bandit_nba.workspace import Workspace

MOST_BARS = 12

_TONES: Mapping[str, Tone] = {"switch": "good", "none": "good", "keep": "good", "wait": "wait", "refused": "bad"}


@dataclass(frozen=True)
class Report:
    """Everything that was found; `made_at` in seconds since the epoch."""

    workspace: Workspace
    comparison: Comparison
    reading: Reading
    verdicts: Sequence[Verdict]
    measures: Measures
    segments: Sequence[str]
    fact: str
    learned_on: int
    made_at: float

    @property
    def headline(self) -> Verdict:
        """The verdict that the page begins with."""
        return headline(self.comparison, self.verdicts)

    @property
    def tables(self) -> Sequence[Table]:
        """Every table, in the order of the page."""
        c, reading = self.comparison, self.reading
        return (
            policies(c),
            metrics.metrics(c, self.measures.found),
            slices.by_segment(c, self.segments, self.fact),
            slices.over_time(c),
            reach.action_mix(c),
            reach.underserved_by_segment(c, reading, self.segments, self.fact),
            reach.reasons(c, reading),
            reach.funnel(reading),
        )


def build(
    workspace: Workspace,
    paths: Sequence[Path],
    *,
    segment: str = "",
    alpha: float = 0.05,
    now_s: float,
    rng: np.random.Generator,
) -> Report:
    """Judge the policy files at `paths` beside today's policy and its rivals.

    Raises
    ------
    RefusedError
        If there are too few decisions to judge anything.
    SettingsError
        If a policy file is wrong, or `segment` is no declared category.
    """
    files = {path: read_policy(path, workspace) for path in paths}
    database = Database.open(workspace.database_url, create=False)
    try:
        whole = read(database, workspace, now_s=now_s)
        freezer = Freezer(database, workspace, whole)
        fact = slices.segment_fact(whole.log, segment)
        judged: list[Judged] = [
            Judged(LoggingPolicy(), "today's policy"),
            Judged(Uniform(workspace.catalogue.arms), "uniform"),
        ]
        early, late = freezer.early, whole.after(freezer.split)
        offers = [arm for arm in early.arms if arm != NO_ACTION]
        if len(early) and offers:
            fixed = best_fixed(
                early,
                offers,
                features=workspace.policy.features,
                reward_range=workspace.rewards.range,
                catalogue=workspace.catalogue.arms,
                rng=rng,
            )
            judged.append(Judged(fixed, f"best fixed: {fixed.arm}"))
        judged.append(_greedy(workspace, freezer))
        names = policy_names(
            [policy.name for policy in files.values()], [path.stem for path in paths], today=workspace.policy.name
        )
        for policy, name in zip(files.values(), names, strict=True):
            scorer, until = freezer.model(policy)
            candidate = Candidate(policy, scorer, workspace, learned_until=until, name=name)
            among = searched_among(events(workspace.path), policy=policy.version, after_s=freezer.split)
            judged.append(Judged(candidate, name, is_candidate=True, model=candidate.model, among=among))
        kept = retention(database, late.log, now_s=now_s)
    finally:
        database.close()
    segments = slices.segments_of(late.log, fact)
    comparison = compare(
        late.log,
        judged,
        features=workspace.policy.features,
        segments=segments,
        alpha=alpha,
        reward_range=workspace.rewards.range,
        rng=rng,
    )
    verdicts = [verdict(comparison, one, one.gain) for one in comparison.candidates if one.gain is not None]
    measured = measures(late, workspace.catalogue, workspace.rewards, retention=kept)
    return Report(workspace, comparison, late, verdicts, measured, segments, fact, len(early), now_s)


def _greedy(workspace: Workspace, freezer: Freezer) -> Judged:
    scorer, until = freezer.model(workspace.policy)
    greedy: JudgedPolicy = Learned(
        scorer,
        workspace.catalogue.arms,
        workspace.policy,
        learned_until=until,
        name=reach.GREEDY,
        reward_unit=workspace.rewards.unit,
    )
    return Judged(greedy, reach.GREEDY, model=scorer.version)


def policy_names(own: Sequence[str], files: Sequence[str], *, today: str) -> list[str]:
    """The name in each file; the file's own where two say the same, or the same as today's policy."""
    names = [name if own.count(name) == 1 and name != today else stem for name, stem in zip(own, files, strict=True)]
    for name in names:
        if names.count(name) > 1:
            raise SettingsError("two policies have the same name", where="--policy", got=name, hint="set `name` in one")
    return names


def policies(comparison: Comparison) -> Table:
    """Every policy with its estimates and its gain."""
    today = comparison.today.value.value
    rows: list[list[Cell]] = []
    for c in comparison.contenders:
        dr, gain = c.judgement.estimates["dr"], c.gain
        scaled = [
            g / today if gain and today > 0 else None for g in ((gain.value, gain.low, gain.high) if gain else ())
        ]
        rows.append([c.title, c.value.value, c.value.low, c.value.high, *(scaled or [None] * 3), c.value.ess, dr.value])
    level = percent(1 - comparison.alpha)
    return Table(
        "policies",
        "Policies side by side",
        f"Reward per decision with {level} intervals, and the gain over today's policy on the same decisions.",
        [
            Column("policy"),
            *(Column(name, "value") for name in ("reward", "from", "to")),
            *(Column(name, "change") for name in ("gain", "gain from", "gain to")),
            Column("ESS", "count"),
            Column("DR", "value"),
        ],
        rows,
    )


def as_page(report: Report) -> Page:
    """The report for people."""
    c, head = report.comparison, report.headline
    side, metric, segment, times, mix, served, why, funnel = report.tables
    others = [v.sentence for v in report.verdicts if v is not head]
    worse = list(metrics.worse(c, report.measures.found))
    nothing = reach.underserved(c.log)
    about = {one.title: tuple(one.findings) for one in (*c.candidates, *_rivals(c))}
    sections = (
        Section(side.title, figures=[_side_by_side(c)], tables=[side.for_people()]),
        Section(
            metric.title,
            tables=[metric.for_people()],
            notes=[("stop", sentence) for sentence in worse],
            meanings={one.title: one.words for one in report.measures.found},
            missing=[f"{name}: {why}." for name, why in report.measures.missing.items()],
        ),
        Section(segment.title, tables=[segment.for_people()]),
        Section(times.title, figures=[_over_time(times, c)], tables=[times.for_people()]),
        Section(mix.title, figures=[_mix(mix)], tables=[mix.for_people()]),
        Section(
            served.title,
            words=[_reached(c, nothing)],
            tables=[served.for_people(), *([why.for_people()] if why.rows else [])],
        ),
        Section(funnel.title, tables=[funnel.for_people()]),
        Section(
            "Can these figures be trusted?",
            words=["Checks that must hold before a verdict is read; a stop forbids it."],
            notes=list(notes({"The log": tuple(c.of_the_log), **about})),
        ),
        Section("What the estimate means", words=MEANING),
    )
    return Page(
        title=f"What each policy earns: {report.workspace.path.name}",
        verdict=head.sentence,
        figures=(),
        tables=(),
        definitions=definitions(report.workspace.rewards, c.alpha),
        footer=f"Made by nba report at {_utc(report.made_at)}; today's policy file: {report.workspace.policy.version}.",
        sections=sections,
        lead=(*others, *worse, _basis(report)),
        tone="bad" if worse else _TONES[head.advice],
    )


def _reached(c: Comparison, nothing: Bools) -> str:
    left = f"In {percent(float(nothing.mean()))} of the judged decisions nothing was left to offer"
    poor = reach.no_good_action(c)
    return f"{left}." if poor is None else f"{left}; in {percent(float(poor.mean()))} nothing that seems good."


def _rivals(c: Comparison) -> list[Any]:
    return [] if c.candidates else [one for one in c.contenders if one.name == reach.GREEDY]


def _basis(report: Report) -> str:
    log = report.comparison.log
    left = ", ".join(f"{count:,} {why}" for why, count in log.left_out.items())
    return (
        f"Judged on {len(log):,} decisions for {len(np.unique(log.group)):,} customers from {_utc(log.decided_at[0])} "
        f"to {_utc(log.decided_at[-1])}, all made after the models had been frozen"
        f"{f'; left out: {left}' if left else ''}. What each policy rests on was learned before: {report.learned_on:,} "
        "decisions."
    )


def as_document(report: Report) -> Mapping[str, Any]:
    """The report for machines."""
    c, log = report.comparison, report.comparison.log
    return {
        "verdict": report.headline,
        "verdicts": report.verdicts,
        "judged": len(log),
        "judgedFrom": float(log.decided_at[0]),
        "judgedUntil": float(log.decided_at[-1]),
        "leftOut": log.left_out,
        "alpha": c.alpha,
        "policies": [
            {
                "policy": one.title,
                "candidate": one.is_candidate,
                "model": one.model,
                "estimates": {name: as_figures(e) for name, e in one.judgement.estimates.items()},
                "gain": None if one.gain is None else as_figures(one.gain),
                "gainAlpha": one.gain_alpha,
                "findings": one.findings,
            }
            for one in c.contenders
        ],
        "findings": c.of_the_log,
        "metrics": [{"metric": one.title, "means": one.words} for one in report.measures.found],
        "metricsMissing": report.measures.missing,
        "underserved": float(reach.underserved(log).mean()),
        "tables": {table.name: table.for_machines() for table in report.tables},
    }


def _side_by_side(c: Comparison) -> Figure:
    rows = {one.title: (one.value.value, one.value.low, one.value.high, None) for one in c.contenders}
    drawn = plots.svg(plots.intervals(rows, width_in=4.8), title="Reward per decision of each policy with its interval")
    return Figure("", "Points are estimates, bars their intervals; the table says the same in numbers.", drawn)


def _over_time(table: Table, c: Comparison) -> Figure:
    periods = list(dict.fromkeys(str(row[0]) for row in table.rows))
    lines = {one.title: [_number(row[4]) for row in table.rows if row[1] == one.title] for one in c.foremost}
    drawn = plots.svg(plots.over_time(periods, lines, ylabel="reward per decision"), title="Reward over time")
    return Figure("", "Reward per decision in each period; a gap means too few effective decisions.", drawn)


def _mix(table: Table) -> Figure:
    rows = table.rows[:MOST_BARS]
    labels = [str(row[0]) for row in rows]
    groups = {
        column.name: [_number(row[i]) or 0.0 for row in rows] for i, column in enumerate(table.columns) if i and i <= 4
    }
    drawn = plots.svg(plots.bars(labels, groups, xlabel="share of decisions"), title="Share of each action by policy")
    return Figure("", "How often each action is chosen, the most frequent of today first.", drawn)


def _number(cell: Cell) -> float | None:
    return None if cell is None or isinstance(cell, str) else float(cell)


def _utc(at_s: float) -> str:
    return datetime.datetime.fromtimestamp(float(at_s), datetime.UTC).strftime("%Y-%m-%d %H:%M UTC")
