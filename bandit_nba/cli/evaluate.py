"""`nba evaluate DIR` or `nba evaluate FILE`: what policies would have earned, from the log alone."""

import sys
import time
from pathlib import Path
from typing import Annotated

import numpy as np
import typer
from rich.console import Console
from rich.table import Table

from bandit_nba.cli.failure import reported
from bandit_nba.cli.printing import print_json

SHOWN_REJECTED = 10


@reported
def evaluate(
    directory: Annotated[
        Path, typer.Argument(help="The workspace, or a log file: .dsjson, .parquet, .csv, .npz.", metavar="DIR")
    ],
    *,
    model: Annotated[str, typer.Option(help="Model version to judge; default: the one most decisions can judge.")] = "",
    fixed: Annotated[list[str] | None, typer.Option(help="Also judge 'always this arm' (repeatable).")] = None,
    slates: Annotated[bool, typer.Option("--slates", help="Judge the slates of the log, place by place.")] = False,
    mapping: Annotated[
        list[str] | None, typer.Option(help="Of a CSV or Parquet file: FIELD=COLUMN (repeatable), see nba log import.")
    ] = None,
    reward_range: Annotated[str, typer.Option(help="Of a file: LOW,HIGH of possible rewards; default 0,1.")] = "",
    alpha: Annotated[float, typer.Option(min=0.001, max=0.5, help="1 - confidence of the intervals.")] = 0.05,
    seed: Annotated[int, typer.Option(min=0, help="Seed of the folds.")] = 0,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON for machines.")] = False,
) -> None:
    """Estimate from the log what each policy would have earned, with intervals.

    A model is judged only on decisions made after the last one it learned from.

    Examples:

      nba evaluate demo

      nba evaluate demo --fixed loyalty_discount --json

      nba evaluate clicks.parquet --mapping arm=item --mapping propensity=pscore --mapping reward=clicked
    """
    rng, now_s = np.random.default_rng(seed), time.time()
    rejected = 0
    if slates:
        from bandit_nba.evaluate.workspace import judge_slate_log

        found = judge_slate_log(directory, alpha=alpha, now_s=now_s, rng=rng)
    elif directory.is_file():
        from bandit_nba.cli.log.importing import parsed_mapping
        from bandit_nba.evaluate.file import judge_file, parsed_range

        of_file = judge_file(
            directory,
            columns=parsed_mapping(mapping or ()),
            fixed=fixed or [],
            alpha=alpha,
            reward_range=parsed_range(reward_range),
            rng=rng,
        )
        found, rejected = of_file.found, len(of_file.rejected)
        for row in of_file.rejected[:SHOWN_REJECTED]:
            print(f"row {row.number}: {row.field} {row.why}; got {row.got}; allowed: {row.allowed}", file=sys.stderr)
    else:
        from bandit_nba.evaluate.workspace import judge_workspace

        found = judge_workspace(directory, model=model, fixed=fixed or [], alpha=alpha, now_s=now_s, rng=rng)
    if as_json:
        print_json(found)
        return
    console = Console()
    what = "slates" if slates else "decisions"
    title = f"{found.judged:,} {what}" + (f", model {found.model}" if found.model else "")
    table = Table(title=title, title_justify="left")
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
    if found.imported:
        origins = ", ".join(f"{n:,} from {name}" for name, n in found.imported.items())
        console.print(f"Imported: {origins}", highlight=False, markup=False)
    if rejected:
        console.print(f"Rejected: {rejected:,} rows, see above", highlight=False)
    if found.left_out:
        console.print("Left out: " + ", ".join(f"{n:,} {why}" for why, n in found.left_out.items()), highlight=False)
