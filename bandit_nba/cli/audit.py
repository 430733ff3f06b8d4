"""`nba audit DIR`: make every logged decision again, and say whether the log tells the truth."""

import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from bandit_nba.cli.failure import reported
from bandit_nba.cli.printing import print_json

if TYPE_CHECKING:
    from bandit_nba.decide.audit.run import AuditResult

_CHECKS = {
    "record": "stored columns",
    "definitions": "definitions and models",
    "eligible set": "eligible sets",
    "expected reward": "expected rewards",
    "distribution": "distributions",
    "chosen arm": "chosen arms",
    "slate": "slates",
    "component": "mixture components",
    "shadow": "shadow policies",
}


@reported
def audit(
    directory: Annotated[Path, typer.Argument(help="The workspace.", metavar="DIR")],
    *,
    since: Annotated[
        datetime.datetime | None, typer.Option(help="Only decisions made from then on, UTC, such as 2026-01-31.")
    ] = None,
    limit: Annotated[int | None, typer.Option(min=1, help="At most this many, the earliest first.")] = None,
    seed: Annotated[int, typer.Option(min=0, help="Seed of the test's own random numbers.")] = 0,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON for machines.")] = False,
) -> None:
    """Make every logged decision again from what the log names; exit code 1 when something differs.

    Eligible set, expected rewards and distribution come from facts, channel, time and versions; the chosen arm from the
    logged distribution, the decision's id and its salt. One test over all choices (randomised PIT, 20 bins) tells
    whether they follow the logged distributions. Decisions that were imported were made elsewhere: they are left out.

    Examples:

      nba audit demo

      nba audit demo --since 2026-01-31 --limit 100000 --json
    """
    found = _audit(directory, since=since, limit=limit, seed=seed, silent=as_json)
    if as_json:
        print_json({**_as_dict(found), "ok": found.ok})
    else:
        _show(found, Console())
    if not found.ok:
        raise typer.Exit(1)


def _audit(
    directory: Path, *, since: datetime.datetime | None, limit: int | None, seed: int, silent: bool
) -> "AuditResult":
    # Imported here: `nba --help` must not load numpy, scipy and the database.
    import time

    import numpy as np

    from bandit_nba.decide.audit.run import audit as audit_records
    from bandit_nba.store.archive.restore import Archive
    from bandit_nba.store.database import Database
    from bandit_nba.store.log.decisions import counts
    from bandit_nba.store.past import StoredPast, past_records
    from bandit_nba.workspace import open_workspace

    workspace = open_workspace(directory)
    database = Database.open(workspace.database_url, create=False)
    start = since.replace(tzinfo=datetime.UTC).timestamp() if since else None
    bar = Progress(
        TextColumn("decisions"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        console=Console(stderr=True),
        transient=True,
        disable=silent,
    )
    try:
        with database.read() as connection:
            total = counts(connection, now_s=time.time()).total if start is None else limit
        with bar:
            task = bar.add_task("", total=total if limit is None or total is None else min(total, limit))
            source = StoredPast(database, workspace.salts)
            return audit_records(
                past_records(
                    database, since_s=start, limit=limit, archive=Archive(workspace.archive_folder), imported=False
                ),
                source,
                rng=np.random.default_rng(seed),
                progress=lambda rows: bar.advance(task, rows),
            )
    finally:
        database.close()


def _as_dict(found: "AuditResult") -> dict[str, object]:
    return {
        "rows": found.rows,
        "kinds": found.kinds,
        "erased": found.erased,
        "differing": found.differing,
        "differ": found.differ,
        "maxDifference": found.max_difference,
        "pit": found.pit,
        "pitPValue": found.pit_p_value,
        "first": [{"id": one.id, "what": one.what} for one in found.first],
    }


def _show(found: "AuditResult", console: Console) -> None:
    kinds = ", ".join(f"{n:,} {kind}" for kind, n in sorted(found.kinds.items(), key=lambda item: -item[1]))
    console.print(f"{found.rows:,} decisions made again" + (f" ({kinds})" if kinds else ""), highlight=False)
    for name, words in _CHECKS.items():
        n = found.differ.get(name, 0)
        verdict = f"[red]{n:,} differ[/red]" if n else "all equal"
        if name == "distribution":
            verdict += f"; largest difference {found.max_difference:.1e}"
        console.print(f"  {words:24s}{verdict}", highlight=False)
    if found.erased:
        console.print(
            f"  facts erased            {found.erased:,}: of these only the choice was checked", highlight=False
        )
    if found.pit_p_value is None:
        console.print("  choices against chances too few rows to test", highlight=False)
    else:
        console.print(f"  choices against chances p = {found.pit_p_value:.3g} (PIT, 20 bins)", highlight=False)
    for one in found.first:
        console.print(one.id, highlight=False, markup=False)
        for line in one.what:
            console.print(f"    {line}", highlight=False, markup=False)
    console.print("The log tells the truth." if found.ok else "[red]The log does not tell the truth.[/red]")
