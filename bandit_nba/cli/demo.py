"""`nba demo`: the closed loop on real customers, judged against the simulator's truth."""

from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from bandit_nba.cli.destination import writable
from bandit_nba.cli.failure import reported


@reported
def demo(
    *,
    seed: Annotated[int, typer.Option(min=0, help="Which world: each seed is another one of the same kind.")] = 1,
    decisions: Annotated[int, typer.Option(min=1_000, help="How many decisions to send.")] = 20_000,
    workspace: Annotated[Path, typer.Option(help="Where to work; an older demo there is replaced.")] = Path("demo"),
    json: Annotated[Path | None, typer.Option(help="Also write the table's numbers and the counts here.")] = None,
    keep: Annotated[bool, typer.Option("--keep", help="Leave the service up at the end.")] = False,
    port: Annotated[int, typer.Option(min=0, max=65_535, help="Port of the service; 0 takes a free one.")] = 0,
) -> None:
    """Watch the system learn on 7,043 real customers over HTTP, then read whether it did.

    Starts the service, imports the customers, sends decisions and their outcomes while the learner updates, freezes the
    model after 70 % of them and judges it on the rest, beside what the simulator knows to be true.

    Examples:

      nba demo

      nba demo --seed 7 --decisions 40000 --json result.json

      nba demo --keep        # then: curl http://127.0.0.1:PORT/v1/status
    """
    # Imported here: `nba --help` must not load pandas, matplotlib and a world.
    from experiments.demo.result import as_json, write_report
    from experiments.demo.run import Options, run
    from experiments.demo.table import show

    writable(json, option="--json")
    console = Console()
    options = Options(seed=seed, decisions=decisions, workspace=workspace, port=port, stay_up=keep)
    with Progress(
        TextColumn("[progress.description]{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.fields[live]}"),
        console=console,
    ) as progress:
        task = progress.add_task("decisions", total=decisions, live="", start=False)

        def on_progress(played: Any, status: dict[str, Any]) -> None:
            if played.answered % 100 == 1:
                progress.start_task(task)
                progress.update(task, completed=played.answered, live=_live(played, status))

        result = run(options, say=lambda line: progress.console.print(line, highlight=False), on_progress=on_progress)
        progress.update(task, completed=result.played.answered, live="")
    page = write_report(result)
    show(result, page, console)
    if json is not None:
        json.write_bytes(as_json(result))
        console.print(f"Numbers: {json}", highlight=False)


def _live(played: Any, status: dict[str, Any]) -> str:
    recent = played.reward[max(0, played.answered - 1_000) : played.answered]
    model = status.get("model", {})
    learned = model.get("examplesLearned", 0)
    return f"reward of the last 1,000: {recent.mean():.3f}  model learned from {learned:,}"
