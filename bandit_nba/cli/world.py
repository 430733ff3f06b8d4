"""`nba world list|new|check|simulate`: the simulated worlds, and worlds of one's own."""

import functools
from collections.abc import Collection
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from bandit_nba.cli.failure import reported
from bandit_nba.cli.printing import print_json
from bandit_nba.errors import SettingsError

if TYPE_CHECKING:
    from simulators.check import Finding

app = typer.Typer()

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON for machines.")]


@app.command("list")
@reported
def list_worlds(*, as_json: AsJson = False) -> None:
    """List the worlds and the options of each.

    Examples:

      nba world list
    """
    from simulators import listed

    found = listed()
    if as_json:
        print_json([{"name": w.name, "summary": w.summary, "options": dict(w.options)} for w in found])
        return
    for world in found:
        print(f"{world.name}\n  {world.summary}")
        options = [f"{name}={default}" if default else name for name, default in world.options.items()]
        print(f"  options: {', '.join(options)}\n")


@app.command()
@reported
def new(file: Annotated[Path, typer.Argument(help="Where it goes, such as my_world.py.", metavar="FILE")]) -> None:
    """Write a small world of your own to start from.

    Examples:

      nba world new my_world.py

      nba world check my_world.py
    """
    from importlib import resources

    text = (resources.files("simulators.named_worlds") / "own_world.py.txt").read_text(encoding="utf-8")
    if file.suffix != ".py":
        raise SettingsError("is no Python file", where=str(file), allowed="a name that ends in .py")
    try:
        with file.open("x", encoding="utf-8") as target:
            target.write(text)
    except FileExistsError:
        raise SettingsError("there is such a file; nothing was written", where=str(file)) from None
    except OSError as error:
        raise SettingsError(f"cannot be written ({error.strerror or error})", where=str(file)) from None
    print(f"{file}: written. Make it your own, then: nba world check {file}")


@app.command()
@reported
def check(
    world: Annotated[str, typer.Argument(help="A file of your own, or a world's name.", metavar="FILE")],
    *,
    customers: Annotated[int, typer.Option(min=50, max=100_000, help="How many customers are played.")] = 500,
    as_json: AsJson = False,
) -> None:
    """Check a world's contract: shapes, masks, finite numbers, determinism, rules, and its truth against simulation.

    The file is Python and is run. Exit code 1 where a check failed.

    Examples:

      nba world check my_world.py

      nba world check telco-journey
    """
    from simulators import make, worlds
    from simulators.check import check_world, load_world

    known = _known_or_file(world, worlds(), where="FILE")
    build = functools.partial(make, world) if known else functools.partial(load_world, Path(world))
    findings: list[Finding] = []
    for finding in check_world(build, customers=customers):
        findings.append(finding)
        if not as_json:
            print(f"{'ok    ' if finding.passed else 'FAILED'}  {finding.check:<22} {finding.found}")
    passed = all(finding.passed for finding in findings)
    if as_json:
        print_json({"ok": passed, "checks": findings})
    elif passed:
        print(f"{world}: keeps the contract")
    if not passed:
        raise typer.Exit(1)


@app.command()
@reported
def simulate(
    directory: Annotated[Path, typer.Argument(help="A new workspace.", metavar="DIR")],
    *,
    world: Annotated[str, typer.Option(help="A journey world's name; see `nba world list`.")] = "telco-journey",
    customers: Annotated[int, typer.Option(min=1, max=1_000_000)] = 500,
    steps: Annotated[int, typer.Option(min=1, max=10_000, help="Periods of the world, weeks in most.")] = 26,
    seed: Annotated[int, typer.Option(min=0, help="The world's.")] = 1,
    as_json: AsJson = False,
) -> None:
    """Write a workspace and let its policy live through a journey: decisions, outcomes and models in its log.

    Everything that reads real logs reads this one. About 1,000 decisions a second.

    Examples:

      nba world simulate shop --world retail-lifecycle --customers 1000 --steps 26

      nba report shop
    """
    from rich.progress import Progress

    from simulators import make, worlds
    from simulators.journey import JourneyWorld
    from simulators.journey.logs import live
    from simulators.journey.workspace import write_workspace

    _known_or_file(world, worlds(), where="--world")
    made = make(world, seed=seed)
    if not isinstance(made, JourneyWorld):
        allowed = "a shipped journey world: its settings become the workspace"
        raise SettingsError("cannot be lived through", where="--world", got=world, allowed=allowed)
    if steps > made.steps:
        raise SettingsError("too many steps", where="--steps", got=steps, allowed=f"up to {made.steps}")
    write_workspace(directory, made)
    with Progress(disable=as_json, transient=True) as progress:
        task = progress.add_task(f"{customers:,} customers", total=steps)
        lived = live(directory, made, n=customers, steps=steps, on_step=lambda *_: progress.advance(task))
    if as_json:
        print_json({"decisions": lived.decisions, "outcomes": lived.outcomes, "models": lived.models})
    else:
        print(f"{lived.decisions:,} decisions, {lived.outcomes:,} responses, {lived.models} models in {directory}")


def _known_or_file(world: str, known: Collection[str], *, where: str) -> bool:
    """Whether it is the name of a known world; what has neither that nor a file's ending is refused."""
    if world not in known and not Path(world).suffix and not Path(world).exists():
        from bandit_nba.settings import nearest

        allowed = ", ".join(known)
        raise SettingsError("unknown world", where=where, got=world, allowed=allowed, hint=nearest(world, known))
    return world in known
