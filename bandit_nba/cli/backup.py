"""`nba backup DIR TARGET`: a workspace and its store in one verified directory, also while it serves."""

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from bandit_nba.cli.failure import reported
from bandit_nba.cli.printing import print_json, quoted, utc


@reported
def backup(
    directory: Annotated[Path, typer.Argument(help="The workspace.", metavar="DIR")],
    target: Annotated[Path, typer.Argument(help="A new directory for the backup.", metavar="TARGET")],
    *,
    salts: Annotated[
        Path | None, typer.Option(help="A new file for the secrets, apart from the backup.", metavar="FILE")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON for machines.")] = False,
) -> None:
    """Back up a workspace while it serves: one snapshot of the whole store, and the files beside it.

    What was acknowledged before the snapshot is in it. The secrets are never in the backup: name a file for them on
    another medium with --salts. Whoever has both can tell who the customers are.

    Examples:

      nba backup shop /backups/shop-2026-01-31 --salts /safe/shop-salts.toml

      nba backup shop /backups/shop-2026-01-31 --json
    """
    # Imported here: `nba --help` must not load the database and Parquet.
    from bandit_nba.workspace import open_workspace
    from bandit_nba.workspace.backup import back_up

    workspace = open_workspace(directory)
    with rows_done(silent=as_json) as bar:
        task = bar.add_task("rows", total=None)
        made = back_up(workspace, target, salts=salts, progress=lambda _table, rows: bar.advance(task, rows))
    if as_json:
        content = {
            "backup": str(target),
            "at": utc(made.at),
            "schema": made.revision,
            "rows": {table.name: table.rows for table in made.tables},
            "files": len(made.files),
            "bytes": sum(one.bytes for one in made.files),
            "salts": None if salts is None else str(salts),
        }
        print_json(content)
        return
    size = sum(one.bytes for one in made.files) / 1e6
    decisions = next(table.rows for table in made.tables if table.name == "decisions")
    counted = f"{decisions:,} {'decision' if decisions == 1 else 'decisions'}"
    print(f"{target}: {counted}, {made.rows:,} rows, {len(made.files)} files, {size:,.1f} MB")
    print(f"As of {utc(made.at)}. Restore: nba restore {quoted(target)} NEW_DIR --salts FILE")
    if salts is None:
        print(
            "Warning: without the secrets no logged draw can be audited and no customer is recognised again. "
            "Keep them apart from the backup: --salts FILE."
        )


def rows_done(*, silent: bool) -> Progress:
    """A bar that counts rows on stderr."""
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        console=Console(stderr=True),
        transient=True,
        disable=silent,
    )
