"""`nba restore BACKUP DIR`: a workspace out of its backup, verified before anything is written."""

from pathlib import Path
from typing import Annotated

import typer

from bandit_nba.cli.backup import rows_done
from bandit_nba.cli.failure import reported
from bandit_nba.cli.printing import print_json, quoted, utc


@reported
def restore(
    backup: Annotated[Path, typer.Argument(help="What `nba backup` wrote.", metavar="BACKUP")],
    directory: Annotated[Path, typer.Argument(help="A new or empty directory.", metavar="DIR")],
    *,
    salts: Annotated[
        Path | None, typer.Option(help="The secrets that were kept apart from the backup.", metavar="FILE")
    ] = None,
    database: Annotated[
        str | None,
        typer.Option(help='URL of an empty database; "" for the workspace\'s own file. Default: as in service.toml.'),
    ] = None,
    force: Annotated[
        bool, typer.Option("--force", help="Put aside what stands in DIR; stop its service first.")
    ] = False,
    only_verify: Annotated[bool, typer.Option("--verify", help="Only check the backup; write nothing.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON for machines.")] = False,
) -> None:
    """Make a workspace of a backup: all of it, or nothing.

    First every file is held against the manifest; a damaged one is named and nothing is written. Then the store is
    filled in one transaction, and read again: rows and contents must be those that were backed up.

    Examples:

      nba restore /backups/shop-2026-01-31 shop --salts /safe/shop-salts.toml

      nba restore /backups/shop-2026-01-31 shop --verify

      nba restore /backups/shop-2026-01-31 shop --salts /safe/shop-salts.toml --database postgresql://nba@db/shop
    """
    # Imported here: `nba --help` must not load the database and Parquet.
    from bandit_nba.workspace.restore import restore as restore_workspace
    from bandit_nba.workspace.restore import verify

    if only_verify:
        manifest = verify(backup)
        if as_json:
            print_json({"ok": True, "at": utc(manifest.at), "rows": manifest.rows, "files": len(manifest.files)})
        else:
            print(f"{backup}: sound; {manifest.rows:,} rows and {len(manifest.files)} files as of {utc(manifest.at)}")
        return
    with rows_done(silent=as_json) as bar:
        task = bar.add_task("rows", total=None)
        made = restore_workspace(
            backup,
            directory,
            salts=salts,
            database=database,
            force=force,
            progress=lambda _table, rows: bar.advance(task, rows),
        )
    if as_json:
        print_json(
            {
                "workspace": str(directory),
                "store": made.store,
                "at": utc(made.manifest.at),
                "rows": {table.name: table.rows for table in made.manifest.tables},
                "salts": made.has_secrets,
                "replaced": None if made.replaced is None else str(made.replaced),
            }
        )
        return
    print(f"{directory}: {made.manifest.rows:,} rows as of {utc(made.manifest.at)}, verified; store: {made.store}")
    if made.replaced is not None:
        print(f"What stood there is in {made.replaced}.")
    if made.has_secrets:
        print(f"Check it: nba audit {quoted(directory)}")
    else:
        print(
            f"Warning: the workspace has no secrets yet, and cannot be opened. Put them into {directory}/secrets/"
            "salts.toml (mode 0600): without them no logged draw can be audited and no customer is recognised again."
        )
