"""`nba log export DIR`: the log with its rewards, as a file for other tools."""

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from bandit_nba.cli.destination import writable
from bandit_nba.cli.failure import reported
from bandit_nba.cli.log.bar import progress_bar
from bandit_nba.cli.printing import print_json

if TYPE_CHECKING:
    from bandit_nba.logs.export import Exported


class Format(StrEnum):
    """What can be written."""

    dsjson = "dsjson"
    parquet = "parquet"
    csv = "csv"
    obp = "obp"


@reported
def export(
    directory: Annotated[Path, typer.Argument(help="The workspace.", metavar="DIR")],
    *,
    kind: Annotated[
        Format, typer.Option("--format", help="dsjson for Vowpal Wabbit, parquet, csv, or obp (a .npz file).")
    ],
    out: Annotated[Path, typer.Option(help="The file to write.", metavar="FILE")],
    train: Annotated[
        bool, typer.Option("--train", help="dsjson that teaches VW exactly what our own learner learns.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON for machines.")] = False,
) -> None:
    """Write every matured decision that teaches, with its reward, its eligible arms and their true probabilities.

    Customers are pseudonyms, but facts are personal data: treat the file as such.

    dsjson: features as VW hashes them (VW's `--dsjson --cb_adf` reads it), the true propensity as label probability.
    With --train a line holds the chosen action alone with label probability 1: VW with the model's own arguments (`nba
    models show`) then learns the same weights as our learner. Either way `nba log import` reads back what was logged.

    Examples:

      nba log export shop --format dsjson --out shop.dsjson

      nba log export shop --format obp --out shop.npz
    """
    found = _export(directory, kind=kind, out=out, train=train, silent=as_json)
    if as_json:
        print_json({"rows": found.rows, "leftOut": found.left_out})
        return
    console = Console(highlight=False)
    console.print(f"{found.rows:,} decisions written to {out}", markup=False)
    if found.left_out:
        console.print("Left out: " + ", ".join(f"{n:,} {why}" for why, n in found.left_out.items()), markup=False)


def _export(directory: Path, *, kind: Format, out: Path, train: bool, silent: bool) -> "Exported":
    # Imported here: `nba --help` must not load numpy, pyarrow and the database.
    import time

    from bandit_nba.logs.export import export_log
    from bandit_nba.store.database import Database
    from bandit_nba.store.log.decisions import counts
    from bandit_nba.workspace import open_workspace

    workspace = open_workspace(directory)
    writable(out, option="--out", workspace=directory)
    database = Database.open(workspace.database_url, create=False)
    try:
        with database.read() as connection:
            total = counts(connection, now_s=time.time()).total
        with progress_bar("decisions", total=total, silent=silent) as advance:
            return export_log(
                database, workspace, out, kind=kind.value, train=train, now_s=time.time(), progress=advance
            )
    finally:
        database.close()
