"""`nba migrate DIR`: the store brought up to date after a backup. `nba serve` does it for SQLite by itself."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from bandit_nba.cli.failure import reported
from bandit_nba.cli.printing import print_json
from bandit_nba.errors import StoreError

if TYPE_CHECKING:
    from bandit_nba.store.migrate import Migrated


@reported
def migrate(
    directory: Annotated[Path, typer.Argument(help="The workspace.", metavar="DIR")],
    *,
    backed_up: Annotated[
        bool, typer.Option("--backed-up", help="There is a backup (pg_dump); PostgreSQL is not migrated without.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON for machines.")] = False,
) -> None:
    """Bring the store's schema up to date, in one transaction: it is the old one or the new one, never half of it.

    An SQLite file is copied beside itself first; on PostgreSQL the backup is yours. What is up to date stays as it is.
    Stop the service before. A store that a later release has written is refused.

    Examples:

      nba migrate shop

      nba migrate shop --json

      pg_dump --file shop.sql nba && nba migrate shop --backed-up
    """

    from bandit_nba.store.migrate import migrate as bring_up_to_date
    from bandit_nba.workspace import open_workspace

    done = bring_up_to_date(open_workspace(directory).database_url, backed_up=backed_up)
    if done is None:
        raise StoreError("there is no store yet", where=str(directory), hint="`nba serve DIR` makes it")
    if as_json:
        content = {"before": done.before, "after": done.after, "backup": str(done.backup) if done.backup else None}
        print_json(content)
    else:
        print(in_words(done))


def in_words(done: "Migrated") -> str:
    """What was done, for people."""
    if done.before == done.after:
        return f"The store is up to date: schema {done.after}."
    copy = f"\nThe store as it was: {done.backup}" if done.backup else ""
    return f"The store was migrated from schema {done.before} to {done.after}.{copy}"
