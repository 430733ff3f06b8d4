"""`nba experiment list|run|report`: what researchers run, as data, resumable."""

from pathlib import Path
from typing import Annotated

import typer

from bandit_nba.cli.failure import reported
from bandit_nba.cli.result_folder import result_folder

app = typer.Typer()

RESULTS = Path("results")


@app.command("list")
@reported
def list_all(*, as_json: Annotated[bool, typer.Option("--json", help="Print JSON for machines.")] = False) -> None:
    """Which experiments there are, and how many runs each has.

    Examples:

      nba experiment list
    """
    import msgspec

    from experiments.runner.sweep import cells, names, sweep_of

    found = []
    for name in names():
        sweep = sweep_of(name)
        counts = {profile: len(cells(sweep, profile=profile)) for profile in sweep.profiles}
        found.append({"name": name, "title": sweep.title, "runs": len(cells(sweep)), "profiles": counts})
    if as_json:
        print(msgspec.json.format(msgspec.json.encode(found), indent=2).decode())
        return
    for one in found:
        print(f"{one['name']:<24} {one['runs']:>6,} runs  {one['title']}")


@app.command("run")
@reported
def run_one(
    name: Annotated[str, typer.Argument(help="The experiment.", metavar="NAME")],
    *,
    workers: Annotated[int, typer.Option(min=1, help="Processes; 1 needs no Ray.")] = 1,
    out: Annotated[str | None, typer.Option(help="Where results go; results/NAME if left out.", metavar="PATH")] = None,
    seeds: Annotated[int | None, typer.Option(min=1, help="At most so many seeds of each scenario.")] = None,
    profile: Annotated[str, typer.Option(help="A smaller form that the sweep declares, such as quick.")] = "",
    address: Annotated[str, typer.Option(help="A Ray cluster; left out: this machine.")] = "",
    world: Annotated[str, typer.Option(help="Instead of the sweep's worlds: a name, or a file of your own.")] = "",
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON for machines.")] = False,
) -> None:
    """Run what is not finished yet; killed at any moment, the same command goes on and ends with the same bytes.

    Examples:

      nba experiment run bakeoff --workers 2

      nba experiment run bakeoff --profile quick --out /tmp/quick

      nba experiment run journey --world my_world.py
    """
    import time

    import msgspec
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )

    from experiments.runner.execute import execute
    from experiments.runner.sweep import cells, on_world, sweep_of

    sweep = on_world(sweep_of(name), world) if world else sweep_of(name)
    runs = cells(sweep, profile=profile, seeds=seeds)
    usual = _usual(name, world)
    place = result_folder(str(usual) if out is None else out, option="--out")
    started = time.monotonic()
    columns = (TextColumn("runs"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(), TimeRemainingColumn())
    with Progress(*columns, TextColumn("{task.fields[live]}"), console=Console(stderr=True)) as progress:
        task = progress.add_task("runs", total=len(runs), live="")
        finished = execute(
            runs,
            out=place,
            workers=workers,
            address=address,
            on_start=lambda done, total: progress.update(task, completed=done, total=total),
            on_run=lambda cell: progress.update(task, advance=1, live=f"{cell.scenario} {cell.policy} {cell.seed}"),
        )
    took = time.monotonic() - started
    if as_json:
        document = {"experiment": name, "runs": len(runs), "result": str(finished), "seconds": round(took, 1)}
        print(msgspec.json.format(msgspec.json.encode(document), indent=2).decode())
        return
    there = "" if place == _usual(name) else f" --out {place}"
    print(f"{len(runs):,} runs in {finished} ({took:,.0f} s this time). Next: nba experiment report {name}{there}")


@app.command("report")
@reported
def report_one(
    name: Annotated[str, typer.Argument(help="The experiment.", metavar="NAME")],
    *,
    out: Annotated[Path | None, typer.Option(help="Where its results are; results/NAME if left out.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON for machines.")] = False,
) -> None:
    """Tables and plots of an experiment that was run.

    Examples:

      nba experiment report bakeoff

      nba experiment report bakeoff --json
    """
    from experiments.runner.report import analysed, write
    from experiments.runner.report import as_json as encoded

    place = out or _usual(name)
    found = analysed(name, place)
    page = write(name, found, place)
    if as_json:
        print(encoded(name, found).decode())
        return
    print("\n".join(found.words))
    print(f"Report: {page}")


def _usual(name: str, world: str = "") -> Path:
    """Where the results of an experiment go: by its own name, wherever the folder that it may be is."""
    own = Path(name).resolve().name
    return RESULTS / (f"{own}-{Path(world).stem}" if world else own)
