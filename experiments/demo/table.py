"""The demo's table in the terminal."""

from collections.abc import Iterator
from pathlib import Path

from rich import box
from rich.console import Console
from rich.table import Table

from bandit_nba.evaluate.result import Estimate
from experiments.demo.run import Result

WORDS = {"ips": "IPS", "snips": "SNIPS", "dr": "DR"}
POLICIES = {
    "logging": "logging (online)",
    "uniform": "uniform",
    "best fixed": "best fixed",
    "learned": "learned, greedy",
}


def covers(estimate: Estimate, truth: float) -> bool:
    """Whether the interval holds the truth."""
    return estimate.low <= truth <= estimate.high


def rows(result: Result) -> Iterator[tuple[str, str, str, str, str, str, str]]:
    """Policy, estimator, estimate, interval, ESS, truth, covered; the oracle last."""
    judged = result.judged
    for judgement in judged.judgements:
        truth = judged.truth[judgement.policy]
        title = POLICIES[judgement.policy]
        for name, e in judgement.estimates.items():
            interval = f"{e.low:.3f} to {e.high:.3f}"
            covered = "yes" if covers(e, truth) else "no"
            yield title, WORDS[name], f"{e.value:.3f}", interval, f"{e.ess:,.0f}", f"{truth:.3f}", covered
            title = ""
    yield "oracle", "", "", "", "", f"{judged.truth['oracle']:.3f}", ""


COLUMNS = ("policy", "estimator", "estimate", "95 % interval", "ESS", "truth", "covers")


def show(result: Result, page: Path, console: Console) -> None:
    """Verdict, table, counts and where to look."""
    judged, counts = result.judged, result.judged.counts
    table = Table(
        title=f"Reward per decision, judged on the last {len(judged.log):,} decisions",
        caption=f"best fixed: always {judged.best_fixed}; oracle: knows every customer's mind",
        title_justify="left",
        caption_justify="left",
        box=box.SIMPLE_HEAD,
        pad_edge=False,
        collapse_padding=True,
    )
    for name in COLUMNS:
        table.add_column(name, justify="left" if name in ("policy", "estimator") else "right", no_wrap=True)
    for row in rows(result):
        table.add_row(*row, end_section=row[1] == WORDS["dr"])
    console.print()
    console.print(table)
    console.print(verdict(result), highlight=False)
    for what in ("decisions", "outcomes"):
        console.print(
            f"{what.capitalize()}: {counts[what + 'Acknowledged']:,} acknowledged to the client, "
            f"{counts[what + 'InLogWithoutError']:,} in the log without an error seen, "
            f"{counts[what + 'Failed']:,} failed, {counts[what + 'Lost']:,} lost.",
            highlight=False,
        )
    console.print(
        f"{result.played.answered / result.played.seconds:,.0f} decisions a second over HTTP, each durable before its "
        f"answer; the frozen model had learned from {judged.examples_learned:,} of them.",
        highlight=False,
    )
    console.print(f"Report: {page}\nLearning curve: {page.with_name('learning_curve.svg')}", highlight=False)
    console.print(f"Check every propensity yourself: nba audit {result.options.workspace}", highlight=False)
    if result.options.stay_up:
        console.print(
            f"The service is still up: http://127.0.0.1:{result.port}/v1/status; stop it with: kill -INT {result.pid}",
            highlight=False,
        )


def verdict(result: Result) -> str:
    """One sentence."""
    judged = result.judged
    truth = judged.truth
    return (
        f"The learned policy earns {truth['learned']:.3f} per decision: it closes {judged.closed:.0%} of the gap from "
        f"uniform ({truth['uniform']:.3f}) to the oracle ({truth['oracle']:.3f}) and beats the best fixed action "
        f"({truth['best fixed']:.3f}) by {judged.lift:.0%}."
    )
