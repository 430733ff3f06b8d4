"""`nba models list|show|publish|rollback|verify DIR`: what was learned, what serves, and whether it is sound."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from bandit_nba.cli.failure import as_dict, block, reported
from bandit_nba.cli.opened import caller, opened
from bandit_nba.cli.printing import print_json, printable, quoted, utc
from bandit_nba.errors import InputError, ModelError, UnknownIdError

if TYPE_CHECKING:
    from bandit_nba.learn.guard import Demands
    from bandit_nba.learn.manifest import Manifest
    from bandit_nba.store.database import Database
    from bandit_nba.store.registry.models import ModelRow
    from bandit_nba.store.registry.serving import Change

app = typer.Typer()

Directory = Annotated[Path, typer.Argument(help="The workspace.", metavar="DIR")]
Version = Annotated[str, typer.Argument(help="A model's version; by default the newest.", metavar="[VERSION]")]
Why = Annotated[str, typer.Option(help="The reason; kept with the change.")]
Who = Annotated[str, typer.Option(help="Who changes it; by default this account's name.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON for machines.")]


@app.command("list")
@reported
def list_models(
    directory: Directory,
    *,
    limit: Annotated[int, typer.Option(min=1, max=100_000, help="At most this many models, and changes.")] = 20,
    as_json: AsJson = False,
) -> None:
    """List the newest models, newest first: which one serves, which are quarantined, and who changed that.

    Examples:

      nba models list demo

      nba models list demo --limit 100 --json
    """
    from bandit_nba.store.registry import models, serving

    with _database(directory) as database, database.read() as connection:
        found = models.listing(connection, limit=limit)
        current = serving.serving(connection)
        last = serving.last_change(connection)
        changes = serving.changes(connection, limit=limit)
        away = serving.quarantined(connection)
    states = {current: "serves"} | dict.fromkeys(away, "quarantined")
    if as_json:
        rows = [
            {"serial": row.serial, "state": states.get(row.manifest.version, ""), **_summary(row.manifest)}
            for row in found
        ]
        print_json(
            {
                "serves": current,
                "follows": last is None or not last.serves,
                "models": rows,
                "quarantined": {one.version: one.why for one in away.values()},
                "changes": [_change(change) for change in changes],
            }
        )
        return
    lines = [
        ("SERIAL", "VERSION", "PARENT", "EXAMPLES", "PUBLISHED (UTC)", "LEARNED UNTIL (UTC)", "STATE"),
        *((*_row(row), states.get(row.manifest.version, "")) for row in found),
    ]
    widths = [max(len(line[i]) for line in lines) for i in range(len(lines[0]))]
    for line in lines:
        print("  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip())
    if last is not None:
        _tell(changes, follows=not last.serves, directory=directory)


@app.command()
@reported
def show(directory: Directory, version: Version = "", *, as_json: AsJson = False) -> None:
    """Show one model's manifest: origin, settings, checksums; and when it was put in place, put back or put away.

    Examples:

      nba models show demo

      nba models show demo 0b5c1e7f9a2d --json
    """
    from bandit_nba.store.registry import models, serving

    with _database(directory) as database:
        manifest = models.manifest_of(database, version or _newest(database))
        with database.read() as connection:
            away = serving.quarantined(connection).get(manifest.version)
            changes = serving.changes(connection, limit=100_000)
    concerned = [change for change in changes if manifest.version in (change.before, change.serves)]
    content = _content(manifest)
    if as_json:
        print_json({**content, "quarantined": away.why if away else "", "changes": [_change(c) for c in concerned]})
        return
    for name, value in content.items():
        print(f"{name:<16} {' '.join(f'{v:.4g}' for v in value) if isinstance(value, list) else value}")
    if away:
        print(f"{'quarantined':<16} {utc(away.at)} {printable(away.why)}")
    for change in concerned:
        print(f"{'change':<16} {_in_words(change)}")


@app.command()
@reported
def publish(
    directory: Directory,
    version: Annotated[str, typer.Argument(help="The model's version.", metavar="[VERSION]")] = "",
    *,
    newest: Annotated[
        bool, typer.Option("--newest", help="Follow the learner again: the newest model, and each newer one.")
    ] = False,
    why: Why = "",
    who: Who = "",
    as_json: AsJson = False,
) -> None:
    """Let a model serve, on all replicas within two seconds, while the service runs.

    A model published by name stays, whatever the learner publishes, until the next `publish` or `rollback`; --newest
    lets the learner's models serve again. Learning goes on in either case, from the learner's own newest model. A model
    that the static guard refuses is not published, and the one before goes on.

    Examples:

      nba models publish demo 0b5c1e7f9a2d --why "compare with last week's"

      nba models publish demo --newest --why "the fault is mended"
    """
    from bandit_nba.online import serving

    if bool(version) == newest:
        raise InputError(
            "name a model, or say --newest",
            where="nba models publish",
            hint=f"nba models list {quoted(directory)} names them",
        )
    with opened(directory) as (workspace, database):
        if newest:
            made = serving.follow(database, who=caller(who), why=why)
        else:
            made = serving.publish(workspace, database, version, who=caller(who), why=why)
        _done(made, database, as_json=as_json)


@app.command()
@reported
def rollback(
    directory: Directory,
    version: Annotated[str, typer.Argument(help="An earlier model; by default the last before.")] = "",
    *,
    why: Why = "",
    who: Who = "",
    as_json: AsJson = False,
) -> None:
    """Go back to an earlier model, on all replicas within two seconds, while the service runs.

    Without a version it goes back to the last model before that passes the static guard; again, to the one before that.
    The model stays until the next change. Learning goes on meanwhile, from the learner's own newest model: so what was
    learned is not lost, and `nba models publish DIR --newest` lets it serve.

    Examples:

      nba models rollback demo --why "complaints since noon"

      nba models rollback demo 0b5c1e7f9a2d --json
    """
    from bandit_nba.online import serving

    with opened(directory) as (workspace, database):
        made = serving.roll_back(workspace, database, version, who=caller(who), why=why)
        _done(made, database, as_json=as_json)


@app.command()
@reported
def verify(
    directory: Directory,
    version: Version = "",
    *,
    every: Annotated[bool, typer.Option("--all", help="Every model there is.")] = False,
    as_json: AsJson = False,
) -> None:
    """Check models by the static guard, as a replica does before one serves; exit code 1 when one is not sound.

    Checked: lengths and checksums, VW arguments, finite weights, what VW expected of a few learned decisions, and that
    model and policy fit, exploration included. With --all a sound model that does not fit today's policy is told, but
    is no fault.

    Examples:

      nba models verify demo

      nba models verify demo --all --json
    """
    from bandit_nba.online import serving
    from bandit_nba.store.registry import models

    with opened(directory) as (workspace, database):
        versions = [version or _newest(database)]
        if every:
            with database.read() as connection:
                versions = models.versions(connection)
        demands = serving.demands(workspace, database)
        refused = {one: error for one in versions if (error := _refusal(database, one, demands)) is not None}
        damaged = {one: error for one in refused if (error := _refusal(database, one)) is not None}
    wrong = damaged if every else refused
    if as_json:
        problems = {one: as_dict(error) for one, error in (refused | damaged).items()}
        print_json({"ok": not wrong, "verified": versions, "damaged": list(damaged), "problems": problems})
    else:
        for error in (refused | damaged).values():
            print(f"{block(error)}\n")
        sound = len(versions) - len(damaged)
        unfit = len(refused) - len(damaged)
        print(
            f"{sound:,} of {len(versions):,} {'model' if len(versions) == 1 else 'models'} sound"
            + (f", of which {unfit:,} may not serve now" if unfit else "")
        )
    if wrong:
        raise typer.Exit(1)


def _refusal(database: "Database", version: str, demands: "Demands | None" = None) -> ModelError | None:
    from bandit_nba.store.registry import models

    try:
        models.load_scorer(database, version, demands=demands)
    except ModelError as error:
        return error
    return None


def _tell(changes: "Sequence[Change]", *, follows: bool, directory: Path) -> None:
    print("\nChanges, the last first:")
    for change in changes:
        print(f"  {_in_words(change)}")
    if not follows:
        print(f"\nThe learner's newer models do not serve until: nba models publish {quoted(directory)} --newest")


def _in_words(change: "Change") -> str:
    what = {"follow": "follow the newest", "quarantine": f"quarantine {change.before}"}.get(change.what, change.what)
    serves = "" if change.what == "follow" else f", serves {change.serves}"
    return f"{utc(change.at)}  {what}{serves}  (before: {change.before})  by {printable(change.who)}" + (
        f": {printable(change.why)}" if change.why else ""
    )


def _change(change: "Change") -> dict[str, object]:
    return {
        "at": utc(change.at),
        "what": change.what,
        "before": change.before,
        "serves": change.serves,
        "who": change.who,
        "why": change.why,
    }


def _done(made: "Change", database: "Database", *, as_json: bool) -> None:
    from bandit_nba.store.registry import serving

    with database.read() as connection:
        now = serving.serving(connection)
    if as_json:
        print_json({"change": _change(made), "serves": now})
    elif made.serves:
        print(f"{now} serves instead of {made.before}, on every replica within two seconds, until the next change.")
    elif now == serving.NONE:
        print("There is no model yet; the newest serves as the learner publishes it.")
    else:
        print(f"{now} serves, the newest, and each newer one as the learner publishes it.")


@contextmanager
def _database(directory: Path) -> Iterator["Database"]:
    with opened(directory) as (_, database):
        yield database


def _newest(database: "Database") -> str:
    from bandit_nba.store.registry import models

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
        "createdAt": utc(manifest.created_at),
        "learnedFrom": utc(manifest.learned_from),
        "learnedUntil": utc(manifest.learned_until),
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
    return (str(row.serial), m.version, parent, f"{m.examples_learned:,}", utc(m.created_at), utc(m.learned_until))
