"""`nba report DIR`: policies side by side, for the one who decides which of them acts."""

import time
from pathlib import Path
from typing import Annotated

import typer

from bandit_nba.cli.destination import writable
from bandit_nba.cli.failure import reported


@reported
def report(
    directory: Annotated[Path, typer.Argument(help="The workspace.", metavar="DIR")],
    *,
    policy: Annotated[list[Path] | None, typer.Option(help="A policy file to judge (repeatable).")] = None,
    out: Annotated[Path, typer.Option(help="Where the page goes.")] = Path("report.html"),
    json: Annotated[Path | None, typer.Option(help="Also write everything as JSON here.")] = None,
    csv: Annotated[Path | None, typer.Option(help="Also write every table as CSV into this folder.")] = None,
    segment: Annotated[str, typer.Option(help="The category that segments go by; default: the first declared.")] = "",
    alpha: Annotated[float, typer.Option(min=0.001, max=0.5, help="1 - confidence of the intervals.")] = 0.05,
    seed: Annotated[int, typer.Option(min=0, help="Seed of the folds.")] = 0,
    as_json: Annotated[
        bool, typer.Option("--as-json", help="Print the JSON for machines instead of the verdict.")
    ] = False,
) -> None:
    """Write one self-contained page: the verdict first, then everything behind it.

    Each policy file is judged with the newest model of its own that is older than every judged decision; where there is
    none, with one learned from the earlier part of the log. When the data cannot carry a verdict the page says so, and
    how many more decisions are needed.

    Examples:

      nba report demo

      nba report demo --policy bolder.toml --policy calmer.toml --out report.html --json report.json --csv tables
    """
    # Imported here: `nba report --help` must not load matplotlib and scikit-learn.
    import msgspec
    import numpy as np

    from bandit_nba.report.build import as_document, as_page, build
    from bandit_nba.report.page import html
    from bandit_nba.report.table import write_csv
    from bandit_nba.workspace import open_workspace

    workspace = open_workspace(directory)
    writable(out, option="--out", workspace=directory)
    writable(json, option="--json", workspace=directory)
    rng = np.random.default_rng(seed)
    made = build(workspace, policy or [], segment=segment, alpha=alpha, now_s=time.time(), rng=rng)
    document = msgspec.json.format(msgspec.json.encode(as_document(made)), indent=2)
    out.write_text(html(as_page(made)), encoding="utf-8")
    if json is not None:
        json.write_bytes(document)
    written = write_csv(made.tables, csv) if csv is not None else []
    if as_json:
        print(document.decode())
        return
    print(made.headline.sentence)
    for found in made.verdicts:
        if found is not made.headline:
            print(found.sentence)
    print(f"Page: {out}")
    if written:
        print(f"Tables: {len(written)} files in {csv}")
