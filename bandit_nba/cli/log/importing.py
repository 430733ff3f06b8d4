"""`nba log import DIR FILE`: a log from elsewhere, so that the learner starts warm."""

import datetime
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import msgspec
import typer
from rich.console import Console

from bandit_nba.cli.destination import writable
from bandit_nba.cli.failure import reported
from bandit_nba.cli.log.bar import progress_bar
from bandit_nba.cli.printing import print_json

if TYPE_CHECKING:
    from bandit_nba.evaluate.formats.row import Rejected
    from bandit_nba.logs.importing import Imported

REJECTED = 1


class Format(StrEnum):
    """What can be read."""

    dsjson = "dsjson"
    parquet = "parquet"
    csv = "csv"
    obp = "obp"


@reported
def import_log(
    directory: Annotated[Path, typer.Argument(help="The workspace.", metavar="DIR")],
    file: Annotated[Path, typer.Argument(help="The log.", metavar="FILE", exists=True, dir_okay=False)],
    *,
    kind: Annotated[Format | None, typer.Option("--format", help="Default: what the file's name says.")] = None,
    mapping: Annotated[
        list[str] | None,
        typer.Option(help="FIELD=COLUMN of CSV and Parquet (repeatable): id, arm, propensity, reward, fact.NAME, ..."),
    ] = None,
    origin: Annotated[str, typer.Option(help="What to call this log in reports; default: the file's name.")] = "",
    channel: Annotated[str, typer.Option(help="The channel of rows that name none.")] = "",
    inline: Annotated[
        bool, typer.Option("--inline", help="Take arms that the catalogue does not have, with the file's features.")
    ] = False,
    start: Annotated[
        datetime.datetime | None, typer.Option(help="When the first row was decided, UTC, in a file without times.")
    ] = None,
    rejects: Annotated[
        Path | None, typer.Option(help="Where rejected rows go, as JSON lines; default: FILE.rejects.jsonl.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON for machines.")] = False,
) -> None:
    """Take in decisions with their propensities and rewards from another system; the learner learns each once.

    Every row is kept, known already, left out by its own log (never activated, no learning wished) or rejected with
    field and reason: nothing is dropped silently. Exit code 1 where rows were rejected. The same command again changes
    nothing, so that an import that was stopped simply goes on.

    CSV and Parquet: columns `arm`, `reward`, `propensity` (or `probabilities`, a JSON list beside `arms`), and if there
    are, `id`, `decided_at`, `customer`, `channel`, `facts` (JSON); columns with a fact's name are facts. Without `arms`
    every arm of the catalogue was eligible. Give the file an `id` column: rows without one go by origin and number.

    Examples:

      nba log import shop old.dsjson --origin old-system

      nba log import shop clicks.csv --mapping arm=item --mapping reward=clicked --mapping propensity=pscore
    """
    found, beside = _import(
        directory,
        file,
        kind=kind,
        mapping=parsed_mapping(mapping or ()),
        origin=origin or file.name[:64].encode("utf-8", "replace").decode(),  # a name may be any bytes
        channel=channel,
        inline=inline,
        start=start,
        rejects=rejects or file.with_name(file.name + ".rejects.jsonl"),
        silent=as_json,
    )
    if as_json:
        print_json(_as_dict(found, beside))
    else:
        _show(found, beside, Console(highlight=False))
    if found.rejected:
        raise typer.Exit(REJECTED)


def parsed_mapping(pairs: Sequence[str]) -> dict[str, str]:
    """FIELD=COLUMN pairs as a mapping."""
    from bandit_nba.errors import SettingsError

    for pair in pairs:
        if "=" not in pair:
            raise SettingsError("is no mapping", where="--mapping", got=pair, allowed="FIELD=COLUMN")
    return dict(pair.split("=", 1) for pair in pairs)


def _import(
    directory: Path,
    file: Path,
    *,
    kind: Format | None,
    mapping: dict[str, str],
    origin: str,
    channel: str,
    inline: bool,
    start: datetime.datetime | None,
    rejects: Path,
    silent: bool,
) -> "tuple[Imported, Path]":
    # Imported here: `nba --help` must not load numpy, pyarrow and the database.
    import time

    from bandit_nba.errors import InputError
    from bandit_nba.evaluate.formats import rows_of
    from bandit_nba.logs.importing import import_rows
    from bandit_nba.online.definitions import register
    from bandit_nba.store.database import Database
    from bandit_nba.workspace import open_workspace

    workspace = open_workspace(directory)
    writable(rejects, option="--rejects", workspace=directory)
    if rejects.exists() and rejects.samefile(file):
        raise InputError("is the log itself", where="--rejects", got=str(rejects), allowed="another file")
    database = Database.open(workspace.database_url)
    try:
        workspace = register(workspace, database)
        arms = [arm.id for arm in workspace.catalogue.arms]
        facts = tuple(workspace.catalogue.facts)
        rows = rows_of(file, kind=None if kind is None else kind.value, columns=mapping, arms=arms, facts=facts)
        with _rejects(rejects) as reject, progress_bar("rows", total=None, silent=silent) as advance:
            done = 0

            def progress(so_far: "Imported") -> None:
                nonlocal done
                advance(so_far.read - done)
                done = so_far.read

            found = import_rows(
                database,
                workspace,
                rows,
                origin=origin,
                channel=channel,
                inline=inline,
                start_s=None if start is None else start.replace(tzinfo=datetime.UTC).timestamp(),
                now_s=time.time(),
                reject=reject,
                progress=progress,
            )
        return found, rejects
    finally:
        database.close()


@contextmanager
def _rejects(path: Path) -> "Iterator[Callable[[Rejected], None]]":
    """Writes rejected rows to a file, which is only there if there are any."""
    path.unlink(missing_ok=True)
    opened = None

    def reject(row: "Rejected") -> None:
        nonlocal opened
        if opened is None:
            opened = path.open("wb")
        opened.write(msgspec.json.encode(row) + b"\n")

    try:
        yield reject
    finally:
        if opened is not None:
            opened.close()


def _as_dict(found: "Imported", rejects: Path) -> dict[str, object]:
    return {
        "kept": found.kept,
        "known": found.known,
        "rejected": found.rejected,
        "rejectedTo": str(rejects) if found.rejected else None,
        "leftOut": found.left_out,
        "unknownFacts": found.unknown_facts,
    }


def _show(found: "Imported", rejects: Path, console: Console) -> None:
    console.print(f"{found.read:,} rows read: {found.kept:,} kept, {found.known:,} known already")
    for why, rows in found.left_out.items():
        console.print(f"{rows:,} left out: {why}", markup=False)
    if found.unknown_facts:
        names = ", ".join(f"{name} ({rows:,})" for name, rows in found.unknown_facts.most_common(20))
        console.print(f"Not facts of the catalogue, or of another kind: {names}", markup=False)
    if found.rejected:
        console.print(f"{found.rejected:,} rejected, with reasons in {rejects}", markup=False)
