"""`nba models list|show|verify DIR`: what has been learned and published, and whether it is sound."""

import datetime
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import msgspec
import typer

from bandit_nba.cli.failure import as_dict, block, reported
from bandit_nba.errors import ModelError, UnknownIdError

if TYPE_CHECKING:
    from bandit_nba.learn.manifest import Manifest
    from bandit_nba.store.database import Database
    from bandit_nba.store.models import ModelRow

app = typer.Typer()

Directory = Annotated[Path, typer.Argument(help="The workspace.", metavar="DIR")]
Version = Annotated[str, typer.Argument(help="A model's version; by default the newest.", metavar="[VERSION]")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON for machines.")]


@app.command("list")
@reported
def list_models(
    directory: Directory,
    *,
    limit: Annotated[int, typer.Option(min=1, max=100_000, help="At most this many.")] = 20,
    as_json: AsJson = False,
) -> None:
    """List the newest models, newest first.

    Examples:

      nba models list demo

      nba models list demo --limit 100 --json
    """
    from bandit_nba.store import models

    with _database(directory) as database, database.read() as connection:
        found = models.listing(connection, limit=limit)
    if as_json:
        _print({"models": [{"serial": row.serial, **_summary(row.manifest)} for row in found]})
        return
    rows = [("SERIAL", "VERSION", "PARENT", "EXAMPLES", "PUBLISHED (UTC)", "LEARNED UNTIL (UTC)"), *map(_row, found)]
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    for row in rows:
        print("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())


@app.command()
@reported
def show(directory: Directory, version: Version = "", *, as_json: AsJson = False) -> None:
    """Show one model's manifest: origin, settings, checksums.

    Examples:

      nba models show demo

      nba models show demo 0b5c1e7f9a2d --json
    """
    from bandit_nba.store import models

    with _database(directory) as database:
        manifest = models.manifest_of(database, version or _newest(database))
    content = _content(manifest)
    if as_json:
        _print(content)
        return
    for name, value in content.items():
        print(f"{name:<16} {' '.join(f'{v:.4g}' for v in value) if isinstance(value, list) else value}")


@app.command()
@reported
def verify(
    directory: Directory,
    version: Version = "",
    *,
    every: Annotated[bool, typer.Option("--all", help="Every model there is.")] = False,
    as_json: AsJson = False,
) -> None:
    """Check models as a replica does before one serves; exit code 1 when one is not sound.

    Checked: lengths and checksums, VW arguments, finite weights, and what a few learned decisions are expected to earn.

    Examples:

      nba models verify demo

      nba models verify demo --all --json
    """
    from bandit_nba.store import models

    with _database(directory) as database:
        versions = [version or _newest(database)]
        if every:
            with database.read() as connection:
                versions = models.versions(connection)
        damaged = {wanted: error for wanted in versions if (error := _damage(database, wanted)) is not None}
    if as_json:
        problems = {wanted: as_dict(error) for wanted, error in damaged.items()}
        _print({"ok": not damaged, "verified": versions, "problems": problems})
    elif damaged:
        print("\n\n".join(block(error) for error in damaged.values()))
    else:
        print(f"{len(versions):,} {'model' if len(versions) == 1 else 'models'}: sound")
    if damaged:
        raise typer.Exit(1)


def _damage(database: "Database", version: str) -> ModelError | None:
    from bandit_nba.store import models

    try:
        models.load_scorer(database, version)
    except ModelError as error:
        return error
    return None


@contextmanager
def _database(directory: Path) -> Iterator["Database"]:
    from bandit_nba.store.database import Database
    from bandit_nba.workspace import open_workspace

    database = Database.open(open_workspace(directory).database_url, create=False)
    try:
        yield database
    finally:
        database.close()


def _newest(database: "Database") -> str:
    from bandit_nba.store import models

    with database.read() as connection:
        version = models.newest(connection)
    if version is None:
        raise UnknownIdError("there is no model yet", hint="the first is published when decisions have matured")
    return version


def _summary(manifest: "Manifest") -> dict[str, object]:
    return {
        "version": manifest.version,
        "parent": manifest.parent,
        "examplesLearned": manifest.examples_learned,
        "createdAt": _utc(manifest.created_at),
        "learnedFrom": _utc(manifest.learned_from),
        "learnedUntil": _utc(manifest.learned_until),
        "featureVersion": manifest.feature_version,
        "rewardVersion": manifest.reward_version,
        "vwArgs": " ".join(manifest.vw_args),
    }


def _content(manifest: "Manifest") -> dict[str, object]:
    return {
        **_summary(manifest),
        "weightsSha256": manifest.weights_sha256,
        "modelSha256": manifest.model_sha256,
        "modelLength": manifest.model_length,
        "sparseSha256": manifest.sparse_sha256,
        "sparseLength": manifest.sparse_length,
        "rewardRange": list(manifest.reward_range),
        "probes": [probe.expected_reward for probe in manifest.probes],
    }


def _row(row: "ModelRow") -> tuple[str, ...]:
    m = row.manifest
    parent = m.parent or "-"
    return (str(row.serial), m.version, parent, f"{m.examples_learned:,}", _utc(m.created_at), _utc(m.learned_until))


def _utc(at_s: float) -> str:
    return datetime.datetime.fromtimestamp(at_s, datetime.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _print(content: object) -> None:
    print(msgspec.json.format(msgspec.json.encode(content), indent=2).decode())
