"""`nba catalogue check|list DIR`: the actions of a workspace."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from bandit_nba.cli.failure import as_dict, block, reported

if TYPE_CHECKING:
    from bandit_nba.catalogue import Action

app = typer.Typer()

Directory = Annotated[Path, typer.Argument(help="The workspace.", metavar="DIR")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON for machines.")]


@app.command()
@reported
def check(directory: Directory, *, as_json: AsJson = False) -> None:
    """Check the catalogue alone: keys, ids, dates, channels, and every rule; exit code 1 when something is wrong.

    Examples:

      nba catalogue check shop

      nba catalogue check shop --json
    """
    import msgspec

    from bandit_nba.catalogue.rules import rule_count
    from bandit_nba.workspace import inspect_catalogue

    catalogue, problems = inspect_catalogue(directory)
    if as_json:
        version = catalogue.version if catalogue and not problems else None
        content = {"ok": not problems, "version": version, "problems": [as_dict(problem) for problem in problems]}
        print(msgspec.json.format(msgspec.json.encode(content), indent=2).decode())
    elif catalogue and not problems:
        counts = f"{len(catalogue.actions):,} actions, {len(catalogue.arms):,} choices, {rule_count(catalogue):,} rules"
        print(f"catalogue.toml: sound; {counts}; version {catalogue.version}")
    else:
        print("\n\n".join(block(problem) for problem in problems))
    if problems:
        raise typer.Exit(1)


@app.command("list")
@reported
def list_actions(directory: Directory, *, as_json: AsJson = False) -> None:
    """List the actions, one a line.

    Examples:

      nba catalogue list shop

      nba catalogue list shop --json
    """
    import msgspec

    from bandit_nba.workspace import inspect_catalogue

    catalogue, problems = inspect_catalogue(directory)
    if problems or catalogue is None:
        raise problems[0]
    if as_json:
        content = {"version": catalogue.version, "actions": catalogue.actions}
        print(msgspec.json.format(msgspec.json.encode(content), indent=2).decode())
        return
    rows = [("ID", "KIND", "GROUP", "VALUE", "VARIANTS", "CHANNELS", "TITLE"), *map(_row, catalogue.actions)]
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    for row in rows:
        print("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())


def _row(action: "Action") -> tuple[str, ...]:
    variants = ", ".join(treatment.id for treatment in action.treatments) or "-"
    title = f"{action.title} (retired)" if action.retired else action.title
    channels = ", ".join(action.channels) or "all"
    return (action.id, action.kind, action.group, f"{action.value:g}", variants, channels, " ".join(title.split()))
