"""`nba catalogue check|diff|apply|list DIR`: the actions of a workspace, and which of them are in force."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from bandit_nba.cli.failure import as_dict, block, reported
from bandit_nba.cli.opened import opened
from bandit_nba.cli.printing import print_json, utc
from bandit_nba.errors import NbaError

if TYPE_CHECKING:
    from bandit_nba.catalogue import Action, Catalogue
    from bandit_nba.catalogue.changes import Change
    from bandit_nba.store.database import Database
    from bandit_nba.store.registry.definitions import InForce

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

    from bandit_nba.catalogue.rules import rule_count
    from bandit_nba.workspace import inspect_catalogue

    catalogue, problems = inspect_catalogue(directory)
    if as_json:
        version = catalogue.version if catalogue and not problems else None
        content = {"ok": not problems, "version": version, "problems": [as_dict(problem) for problem in problems]}
        print_json(content)
    elif catalogue and not problems:
        counts = f"{len(catalogue.actions):,} actions, {len(catalogue.arms):,} choices, {rule_count(catalogue):,} rules"
        print(f"catalogue.toml: sound; {counts}; version {catalogue.version}")
    else:
        print("\n\n".join(block(problem) for problem in problems))
    if problems:
        raise typer.Exit(1)


@app.command()
@reported
def diff(directory: Directory, *, as_json: AsJson = False) -> None:
    """Compare catalogue.toml with the catalogue in force; exit code 1 where they differ.

    Examples:

      nba catalogue diff shop

      nba catalogue diff shop --json
    """
    from bandit_nba.catalogue.changes import in_words

    with opened(directory, create=True) as (workspace, database):
        found, changed = _compared(workspace.catalogue, database)
    if as_json:
        print_json({"inForce": found, "version": workspace.catalogue.version, "changes": changed})
    elif found is None:
        print("No catalogue is in force yet: the first start of the service, or `nba catalogue apply`, takes this one.")
    elif not changed:
        print(f"catalogue.toml is in force: version {found.version}, since {utc(found.since)}.")
    else:
        print(f"In force since {utc(found.since)}: version {found.version}.")
        print(f"In catalogue.toml, version {workspace.catalogue.version}, there is otherwise:")
        print("\n".join(f"  {line}" for line in in_words(changed)))
        print(f"Put it in force: nba catalogue apply {directory}")
    if found is None or changed:
        raise typer.Exit(1)


@app.command()
@reported
def apply(directory: Directory, *, as_json: AsJson = False) -> None:
    """Put catalogue.toml in force, also under a running service, without a restart.

    Once this has returned, no decision is made by the catalogue before: not by any replica, and a retired action is
    not chosen any more. Everything is checked first, the other files included.

    Examples:

      nba catalogue apply shop
    """
    from bandit_nba.catalogue.changes import in_words
    from bandit_nba.online import definitions

    with opened(directory, create=True) as (workspace, database):
        before, changed = _compared(workspace.catalogue, database)
        now = definitions.apply(workspace, database) if before is None or changed else before
    if as_json:
        print_json({"inForce": now, "changes": changed})
        return
    if before is not None:
        print("\n".join(in_words(changed)) if changed else "Nothing has changed.")
    print(f"In force since {utc(now.since)}: version {now.version}.")


@app.command("list")
@reported
def list_actions(directory: Directory, *, as_json: AsJson = False) -> None:
    """List the actions of catalogue.toml, one a line, and say whether it is in force.

    Examples:

      nba catalogue list shop

      nba catalogue list shop --json
    """
    from bandit_nba.workspace import inspect_catalogue

    catalogue, problems = inspect_catalogue(directory)
    if problems or catalogue is None:
        raise problems[0]
    found = _in_force(directory)
    if as_json:
        print_json({"version": catalogue.version, "inForce": found, "actions": catalogue.actions})
        return
    rows = [("ID", "KIND", "GROUP", "VALUE", "VARIANTS", "CHANNELS", "TITLE"), *map(_row, catalogue.actions)]
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    for row in rows:
        print("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())
    if found is not None and found.version != catalogue.version:
        print(f"\nNot in force: version {found.version} is, since {utc(found.since)}.")
        print(f"Compare: nba catalogue diff {directory}")


def _compared(catalogue: "Catalogue", database: "Database") -> tuple["InForce | None", tuple["Change", ...]]:
    """What is in force, and how the file differs from it."""
    from bandit_nba.catalogue.changes import changes
    from bandit_nba.online import definitions
    from bandit_nba.store.registry.definitions import catalogue_in_force

    with database.read() as connection:
        found = catalogue_in_force(connection)
    if found is None or found.version == catalogue.version:
        return found, ()
    return found, changes(definitions.catalogue(database, found.version), catalogue)


def _in_force(directory: Path) -> "InForce | None":
    """What is in force, None where there is no store to tell."""
    from bandit_nba.store.database import Database
    from bandit_nba.store.registry.definitions import catalogue_in_force
    from bandit_nba.workspace import open_workspace

    try:
        database = Database.open(open_workspace(directory).database_url, create=False)
    except NbaError:
        return None
    try:
        with database.read() as connection:
            return catalogue_in_force(connection)
    finally:
        database.close()


def _row(action: "Action") -> tuple[str, ...]:
    variants = ", ".join(treatment.id for treatment in action.treatments) or "-"
    title = f"{action.title} (retired)" if action.retired else action.title
    channels = ", ".join(action.channels) or "all"
    return (action.id, action.kind, action.group, f"{action.value:g}", variants, channels, " ".join(title.split()))
