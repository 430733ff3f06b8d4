"""`nba log archive DIR`: closed days of the log to Parquet files."""

import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from bandit_nba.cli.failure import reported
from bandit_nba.cli.log.bar import progress_bar
from bandit_nba.cli.printing import print_json

if TYPE_CHECKING:
    from bandit_nba.store.archive.close import Archived

KEPT_DAYS = 30


@reported
def archive(
    directory: Annotated[Path, typer.Argument(help="The workspace.", metavar="DIR")],
    *,
    before: Annotated[
        datetime.datetime | None,
        typer.Option(formats=["%Y-%m-%d"], help=f"Days before this one, UTC; default: {KEPT_DAYS} days ago."),
    ] = None,
    compact: Annotated[
        bool, typer.Option("--compact", help="Then give the space back to the disk (SQLite; holds up writers).")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON for machines.")] = False,
) -> None:
    """Move closed days of the log to DIR/data/archive, one folder of Parquet files per day (UTC).

    A day is closed once it has ended, all its decisions have matured, and each was learned or never will be. Every row
    is compared with what was written before it leaves the store. The same command again goes on where it was stopped.

    Reports, audits, explanations and the learner read the archive as if nothing had happened; it belongs to the store,
    also in backups. Facts lie in files of their own, from which they can be erased.

    Examples:

      nba log archive shop

      nba log archive shop --before 2026-01-01 --json
    """
    found, sizes = _archive(directory, before=before, compact=compact, silent=as_json)
    if as_json:
        print_json({"days": found, "storeBytes": sizes})
        return
    console = Console(highlight=False)
    for day in found:
        console.print(f"{day.day}  {day.rows:>10,} decisions archived" if not day.stays else f"{day.day}  {day.stays}")
    console.print(f"{sum(day.rows for day in found):,} decisions left the store.")
    if sizes:
        console.print(f"The store had {sizes[0]:,} bytes and has {sizes[1]:,}.")


def _archive(
    directory: Path, *, before: datetime.datetime | None, compact: bool, silent: bool
) -> "tuple[list[Archived], tuple[int, int] | None]":
    # Imported here: `nba --help` must not load numpy, pyarrow and the database.
    import time

    from bandit_nba.store.archive import close
    from bandit_nba.store.archive.close import DAY_S, archive_days, days
    from bandit_nba.store.database import Database
    from bandit_nba.workspace import open_workspace

    workspace = open_workspace(directory)
    before_s = time.time() - KEPT_DAYS * DAY_S if before is None else before.replace(tzinfo=datetime.UTC).timestamp()
    database = Database.open(workspace.database_url, create=False)
    try:
        with database.read() as connection:
            rows = sum(day.rows for day in days(connection, before_s=before_s) if not day.open)
        with progress_bar("rows", total=3 * rows, silent=silent) as advance:
            found = archive_days(
                database,
                workspace.archive_folder,
                before_s=before_s,
                progress=lambda _day, _done, size: advance(size),
            )
    finally:
        database.close()
    return found, close.compact(workspace.database_url) if compact else None
