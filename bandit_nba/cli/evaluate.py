"""`nba evaluate DIR`: what policies would have earned, from the log alone."""

import time
from pathlib import Path
from typing import Annotated

import msgspec
import numpy as np
import typer
from rich.console import Console
from rich.table import Table

from bandit_nba.cli.failure import reported


@reported
def evaluate(
    directory: Annotated[Path, typer.Argument(help="The workspace.", metavar="DIR")],
    *,
    model: Annotated[str, typer.Option(help="Model version to judge; default: the one most decisions can judge.")] = "",
    fixed: Annotated[list[str] | None, typer.Option(help="Also judge 'always this arm' (repeatable).")] = None,
    alpha: Annotated[float, typer.Option(min=0.001, max=0.5, help="1 - confidence of the intervals.")] = 0.05,
    seed: Annotated[int, typer.Option(min=0, help="Seed of the folds.")] = 0,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON for machines.")] = False,
) -> None:
    """Estimate from the log what each policy would have earned, with intervals.

    A model is judged only on decisions made after the last one it learned from.

    Examples:

      nba evaluate demo

      nba evaluate demo --fixed loyalty_discount --json
    """
    from bandit_nba.evaluate.workspace import judge_workspace

    rng = np.random.default_rng(seed)
    found = judge_workspace(directory, model=model, fixed=fixed or [], alpha=alpha, now_s=time.time(), rng=rng)
    if as_json:
        print(msgspec.json.format(msgspec.json.encode(found), indent=2).decode())
        return
    console = Console()
    table = Table(title=f"{found.judged:,} decisions, model {found.model}", title_justify="left")
    for name in ("policy", "estimator", "estimate", "interval", "ESS"):
        table.add_column(name, justify="left" if name in ("policy", "estimator") else "right")
    for policy in found.policies:
        title = policy.policy
        for name, e in policy.estimates.items():
            table.add_row(title, name, f"{e.value:.4f}", f"{e.low:.4f} to {e.high:.4f}", f"{e.ess:,.0f}")
            title = ""
        table.add_section()
    console.print(table)
    warnings = sorted({w for policy in found.policies for e in policy.estimates.values() for w in e.warnings})
    for line in warnings:
        console.print(f"Note: {line}", highlight=False)
    if found.left_out:
        console.print("Left out: " + ", ".join(f"{n:,} {why}" for why, n in found.left_out.items()), highlight=False)
