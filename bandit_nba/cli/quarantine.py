"""`nba quarantine list|show|replay|drop DIR`: decisions that could not be learned, and what to do about them."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from bandit_nba.cli.failure import reported
from bandit_nba.cli.opened import caller, opened
from bandit_nba.cli.printing import print_json, printable, utc

if TYPE_CHECKING:
    from bandit_nba.store.learner.quarantine import Held

app = typer.Typer()

Directory = Annotated[Path, typer.Argument(help="The workspace.", metavar="DIR")]
Decisions = Annotated[list[str] | None, typer.Argument(help="Ids of decisions.", metavar="[DECISION]...")]
All = Annotated[bool, typer.Option("--all", help="Every decision that is held.")]
By = Annotated[str, typer.Option(help="Who does it, for the record; by default the account.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON for machines.")]


@app.command("list")
@reported
def list_held(
    directory: Directory,
    *,
    every: Annotated[bool, typer.Option("--all", help="Those released, learned and dropped, too.")] = False,
    limit: Annotated[int, typer.Option(min=1, max=100_000, help="At most this many.")] = 50,
    as_json: AsJson = False,
) -> None:
    """List decisions that cannot be learned, and why, the latest first.

    Examples:

      nba quarantine list shop

      nba quarantine list shop --all --json
    """
    from bandit_nba.store.learner import quarantine

    with opened(directory) as (_, database), database.read() as connection:
        found = quarantine.listing(connection, state=None if every else "held", limit=limit)
        counts = quarantine.counts(connection)
    if as_json:
        print_json({"counts": counts, "decisions": [_content(one) for one in found]})
        return
    _table(found)
    print(", ".join(f"{n:,} {state}" for state, n in counts.items()))


@app.command()
@reported
def show(
    directory: Directory,
    decision: Annotated[str, typer.Argument(help="The decision's id.", metavar="DECISION")],
    *,
    as_json: AsJson = False,
) -> None:
    """Show why one decision is held, and all that was logged of it: row, facts and outcomes as they are stored.

    Examples:

      nba quarantine show shop d-17

      nba quarantine show shop d-17 --json
    """
    from bandit_nba.online.quarantine import raw_rows
    from bandit_nba.store.archive.restore import Archive
    from bandit_nba.store.learner import quarantine

    with opened(directory) as (workspace, database), database.read() as connection:
        found = quarantine.one(connection, decision)
        logged = raw_rows(connection, Archive(workspace.archive_folder), decision)
    content = {**_content(found), **logged}
    if as_json:
        print_json(content)
        return
    for name, value in content.items():
        print(f"{name:<14} {printable(str(value), lines=True)}")


@app.command()
@reported
def replay(
    directory: Directory,
    decisions: Decisions = None,
    *,
    every: All = False,
    by: By = "",
    as_json: AsJson = False,
) -> None:
    """Try held decisions again, after what was wrong has been mended; exit code 1 when one fails again.

    What can be learned now is released: the learner learns everything anew, with each of them in its place in the
    order, so that the weights are those of a log in which nothing had ever been wrong.

    Examples:

      nba quarantine replay shop d-17 d-18

      nba quarantine replay shop --all --json
    """
    from bandit_nba.online import quarantine

    with opened(directory) as (workspace, database):
        found = quarantine.replay(workspace, database, _wanted(decisions, every=every), who=caller(by))
    if as_json:
        print_json({"released": found.released, "failed": found.failed})
    else:
        for decision in found.released:
            print(f"{decision}  released: the learner takes it up in its place")
        for one in found.failed:
            print(f"{one.decision}  fails again ({one.reason}): {one.why}")
        print(f"{len(found.released):,} released, {len(found.failed):,} still held")
    if found.failed:
        raise typer.Exit(1)


@app.command()
@reported
def drop(
    directory: Directory,
    decisions: Decisions = None,
    *,
    every: All = False,
    by: By = "",
    as_json: AsJson = False,
) -> None:
    """Give held decisions up: they are never learned. Who and when is kept, here and in the audit log.

    Examples:

      nba quarantine drop shop d-17 --by anna

      nba quarantine drop shop --all
    """
    from bandit_nba.online import quarantine

    with opened(directory) as (_, database):
        dropped = quarantine.drop(database, _wanted(decisions, every=every), who=caller(by))
    if as_json:
        print_json({"dropped": dropped})
    else:
        print(f"{len(dropped):,} dropped")


def _wanted(decisions: list[str] | None, *, every: bool) -> list[str]:
    """The ids named; none where all are meant. Naming none and not saying `--all` is a mistake."""
    if bool(decisions) == every:
        raise typer.BadParameter("name decisions, or say --all for every one that is held")
    return decisions or []


def _content(one: "Held") -> dict[str, object]:
    return {
        "decision": one.decision,
        "state": one.state,
        "reason": one.reason,
        "error": one.error,
        "at": utc(one.at),
        "tries": one.tries,
        "changedAt": None if one.changed_at is None else utc(one.changed_at),
        "changedBy": one.changed_by,
    }


def _table(found: "list[Held]") -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False)
    for name in ("DECISION", "STATE", "SINCE (UTC)", "TRIES", "REASON", "ERROR"):
        table.add_column(name, overflow="fold")
    for one in found:
        cells = (one.decision, one.state, utc(one.at), str(one.tries), one.reason, one.error)
        table.add_row(*map(Text, cells))  # never as markup: an id may hold anything
    if found:
        Console().print(table)
