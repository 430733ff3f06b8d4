"""`nba audit-log list|verify DIR`: who changed what and when, and whether anybody tampered with that."""

from pathlib import Path
from typing import Annotated

import typer

from bandit_nba.cli.failure import reported
from bandit_nba.cli.opened import opened
from bandit_nba.cli.printing import print_json, printable, utc
from bandit_nba.errors import InputError

app = typer.Typer()

Directory = Annotated[Path, typer.Argument(help="The workspace.", metavar="DIR")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON for machines.")]


@app.command("list")
@reported
def list_entries(
    directory: Directory,
    *,
    limit: Annotated[int, typer.Option(min=1, max=100_000, help="At most this many.")] = 50,
    as_json: AsJson = False,
) -> None:
    """List the newest entries, newest first.

    Examples:

      nba audit-log list shop

      nba audit-log list shop --limit 1000 --json
    """
    from bandit_nba.store import audit_log

    with opened(directory) as (_, database), database.read() as connection:
        entries = audit_log.newest(connection, limit=limit)
    if as_json:
        print_json({"entries": [{**vars(entry), "at": utc(entry.at), "hash": entry.hash.hex()} for entry in entries]})
        return
    for entry in entries:
        detail = " ".join(f"{name}={value}" for name, value in entry.detail.items() if value not in ("", None))
        line = f"{entry.seq:>6}  {utc(entry.at)}  {entry.actor}  {entry.action}  {entry.subject}  {detail}".rstrip()
        print(printable(line))


@app.command()
@reported
def verify(
    directory: Directory,
    *,
    head: Annotated[str, typer.Option(help="A hash that this command printed earlier; it must still be there.")] = "",
    as_json: AsJson = False,
) -> None:
    """Check the chain of hashes; exit code 1 and the first broken entry where it does not hold.

    Keep the hash that it prints outside of the database: with it a log that was cut or made anew is found out, too.

    Examples:

      nba audit-log verify shop

      nba audit-log verify shop --head 5d1c...
    """
    from bandit_nba.store import audit_log

    noted = _hash(head) if head else None
    with opened(directory) as (_, database), database.read() as connection:
        count, newest, broken = audit_log.verify(connection, head=noted)
    if as_json:
        content = {"ok": broken is None, "entries": count, "head": newest.hex()}
        print_json(content | ({"brokenAt": broken.seq, "why": broken.why} if broken else {}))
    elif broken:
        print(f"entry {broken.seq} {broken.why}; the {count:,} before it hold")
    else:
        print(f"{count:,} {'entry holds' if count == 1 else 'entries hold'}; the newest hash is {newest.hex()}")
    if broken:
        raise typer.Exit(1)


def _hash(text: str) -> bytes:
    try:
        found = bytes.fromhex(text)
    except ValueError:
        found = b""
    if len(found) != 32:
        raise InputError("is no hash", where="--head", got=text, allowed="64 hexadecimal digits, as printed")
    return found
