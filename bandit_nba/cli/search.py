"""`nba search DIR`: look for a better policy on the log, in parallel on Ray."""

import os
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from bandit_nba.cli.destination import writable
from bandit_nba.cli.failure import reported
from bandit_nba.cli.printing import print_json

if TYPE_CHECKING:
    from bandit_nba.promote.search import Task, Try
    from bandit_nba.promote.spread import Spread


@reported
def search(
    directory: Annotated[Path, typer.Argument(help="The workspace.", metavar="DIR")],
    *,
    out: Annotated[Path, typer.Option(help="Where the best policy goes.")] = Path("best.toml"),
    most: Annotated[int, typer.Option(min=1, max=10_000, help="Try at most this many policies.")] = 60,
    workers: Annotated[
        int | None,
        typer.Option(min=0, help="Processes on Ray; 0: none, all in this process. Default: one per processor."),
    ] = None,
    ray: Annotated[
        str, typer.Option(help="Address of a Ray cluster that runs, or auto; it must see DIR at this path.")
    ] = "",
    levers: Annotated[bool, typer.Option("--levers/--no-levers", help="Whether levers are searched, too.")] = True,
    judged_share: Annotated[float, typer.Option(min=0.05, max=0.9, help="Share of the log that judges.")] = 0.4,
    alpha: Annotated[float, typer.Option(min=0.001, max=0.5, help="Chance that any of the bounds is wrong.")] = 0.05,
    seed: Annotated[int, typer.Option(min=0, help="Which policies are tried, where there are more.")] = 0,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON for machines.")] = False,
) -> None:
    """Try other features, crosses, VW options, explorations and levers; the best becomes a policy file.

    Models learn from the earlier part of the log and are judged on the later one; the bounds of all that were tried
    hold together. Every policy tried keeps a floor of exploration. `nba promote` knows how many there were.

    Examples:

      nba search demo --out best.toml

      nba search demo --most 200 --workers 4 && nba promote demo best.toml

      nba search demo --most 12 --workers 0 --no-levers

      nba search /shared/demo --most 500 --ray 10.0.0.4:6379 --workers 32
    """
    import numpy as np
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )

    from bandit_nba.promote.policy_file import policy_toml
    from bandit_nba.promote.search import best, prepare, remember, run
    from bandit_nba.promote.space import groups_of, space
    from bandit_nba.workspace import open_workspace

    workspace = open_workspace(directory)
    writable(out, option="--out", workspace=directory)
    policies = space(
        workspace.policy,
        workspace.catalogue.facts,
        groups=groups_of(workspace.catalogue) if levers else (),
        most=most,
        rng=np.random.default_rng(seed),
    )
    task = prepare(workspace, policies, judged_share=judged_share, alpha=alpha, now_s=time.time())
    live = TextColumn("{task.fields[live]}")
    left = TimeRemainingColumn(compact=True)
    columns = (TextColumn("policies"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(), left, live)
    tries: list[Try] = []
    with Progress(*columns, console=Console(stderr=True)) as progress:
        shown = progress.add_task("policies", total=len(policies), live="")
        for one in run(task, spread=_spread(task, workers, ray)):
            tries.append(one)
            judged = [t.gain.low for t in tries if t.gain is not None]
            progress.update(shown, advance=1, live=f"best lower bound {max(judged):+.4f}" if judged else "")
    found = best(tries)
    gain = found.gain
    comment = f"Found by nba search: the best of {len(policies)}, judged on {len(task.late):,} decisions."
    out.write_text(policy_toml(found.policy, comments=[comment]), encoding="utf-8")
    remember(workspace, task, found, now_s=time.time())
    if as_json:
        _print_json(task, tries, found, out)
        return
    _tell_unjudged(task, tries)
    if gain is not None:
        sure = "surely more" if gain.low > 0 else "not surely more"
        print(f"The best earns {sure} than today's policy: {gain.value:+.4f} per decision")
        print(f"({gain.low:+.4f} to {gain.high:+.4f}; the bounds of all that were tried hold together).")
    print(f"Policy file: {out}. Next: nba promote {directory} {out}")


def _spread(task: "Task", workers: int | None, address: str) -> "Spread":
    from bandit_nba.cli.ray_spread import OnRay
    from bandit_nba.promote.spread import in_process

    wanted = (os.cpu_count() or 1) if workers is None else workers
    pieces = min(wanted, len(task.groups))
    if not address and pieces == 0:
        return in_process
    return OnRay(workers=max(1, pieces), address=address)


def _tell_unjudged(task: "Task", tries: "list[Try]") -> None:
    from bandit_nba.promote.search import unjudged

    lost = sum(one.gain is None for one in tries)
    end = ":" if lost else "."
    print(f"Tried {len(tries):,} policies on {len(task.late):,} decisions; {lost:,} could not be judged{end}")
    for why in unjudged(tries):
        print(f"  {why}.")


def _print_json(task: "Task", tries: "list[Try]", found: "Try", out: Path) -> None:
    from bandit_nba.promote.search import unjudged

    def as_dict(one: "Try") -> dict[str, object]:
        gain = one.gain
        return {
            "policy": one.policy.version,
            "features": one.policy.features,
            "learning": one.policy.learning.options,
            "exploration": one.policy.exploration,
            "levers": one.policy.arbitration.levers,
            "gain": None
            if gain is None
            else {"value": gain.value, "low": gain.low, "high": gain.high, "ess": gain.ess},
            "stop": "" if one.stop is None else one.stop.what,
            "stoppedBy": "" if one.stop is None else one.stop.check,
        }

    ranked = sorted(tries, key=lambda one: -one.gain.low if one.gain else float("inf"))
    document = {
        "tried": len(tries),
        "judged": len(task.late),
        "learnedFrom": len(task.early),
        "alpha": task.alpha,
        "sure": found.gain is not None and found.gain.low > 0,
        "notJudged": [{"by": why.nearest.check, "policies": why.policies, "why": str(why)} for why in unjudged(tries)],
        "out": str(out),
        "best": as_dict(found),
        "tries": [as_dict(one) for one in ranked],
    }
    print_json(document)
