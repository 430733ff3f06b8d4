"""`nba keys create|list|rotate|revoke DIR`: who may call the service, and for what."""

import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from bandit_nba.cli.failure import reported
from bandit_nba.cli.opened import caller, opened
from bandit_nba.cli.printing import print_json, utc

if TYPE_CHECKING:
    from bandit_nba.access.grant import Grant
    from bandit_nba.access.key import Key
    from bandit_nba.workspace import Workspace

app = typer.Typer()

Directory = Annotated[Path, typer.Argument(help="The workspace.", metavar="DIR")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON for machines.")]

OVERLAP = "P7D"


@app.command()
@reported
def create(
    directory: Directory,
    *,
    name: Annotated[str, typer.Option(help="The client that the key is for; has at most two live keys.")],
    scope: Annotated[
        list[str],
        typer.Option(help="What it is good for: decide, outcome, read, report, customers, privacy, admin. Repeatable."),
    ],
    channel: Annotated[list[str] | None, typer.Option(help="Only for this channel. Repeatable; default: all.")] = None,
    expires: Annotated[str | None, typer.Option(help="Ends after this ISO-8601 duration, such as P365D.")] = None,
    rate: Annotated[float | None, typer.Option(min=0.001, help="Calls a second that each replica allows.")] = None,
    per_day: Annotated[int | None, typer.Option(min=1, help="Calls a day (UTC), over all replicas.")] = None,
    as_json: AsJson = False,
) -> None:
    """Make a key and print it: once, since the store keeps only its digest.

    From the first key on, the service answers nobody without one.

    Examples:

      nba keys create shop --name web-shop --scope decide --scope outcome --channel web

      nba keys create shop --name monitoring --scope report --expires P90D --json
    """
    from bandit_nba.access.grant import Grant
    from bandit_nba.access.scopes import scopes_of
    from bandit_nba.settings import seconds
    from bandit_nba.store import keys

    with opened(directory, create=True) as (workspace, database), database.write() as connection:
        now_s = time.time()
        wanted = Grant(
            key_id="",
            client=_client(name),
            scopes=scopes_of(scope),
            channels=_channels(workspace, channel or []),
            expires_at=None if expires is None else now_s + seconds(expires, where="--expires"),
            rate_per_s=rate,
            per_day=per_day,
        )
        made = keys.add(connection, wanted, actor=caller(), now_s=now_s)
    _show_once(made, wanted, as_json=as_json)


@app.command("list")
@reported
def list_keys(directory: Directory, *, as_json: AsJson = False) -> None:
    """List all keys, also those that have ended; never the keys themselves.

    Examples:

      nba keys list shop

      nba keys list shop --json
    """
    from bandit_nba.store import keys

    with opened(directory, create=True) as (_, database), database.read() as connection:
        grants = [grant for grant, _ in keys.every(connection)]
    now_s = time.time()
    if as_json:
        print_json({"keys": [_content(grant, now_s) for grant in grants]})
        return
    heads = ("ID", "CLIENT", "STATE", "SCOPES", "CHANNELS", "EXPIRES (UTC)", "LIMITS")
    rows: list[tuple[str, ...]] = [heads, *(_row(grant, now_s) for grant in grants)]
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    for row in rows:
        print("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())


@app.command()
@reported
def rotate(
    directory: Directory,
    key_id: Annotated[str, typer.Argument(help="The key to replace.", metavar="ID")],
    *,
    overlap: Annotated[str, typer.Option(help="How long the old key still works (ISO-8601).")] = OVERLAP,
    as_json: AsJson = False,
) -> None:
    """Make a new key with the same rights, and let the old one end.

    Examples:

      nba keys rotate shop 0123456789ab

      nba keys rotate shop 0123456789ab --overlap PT1H
    """
    from bandit_nba.errors import RefusedError, UnknownIdError
    from bandit_nba.settings import seconds
    from bandit_nba.store import keys

    with opened(directory, create=True) as (_, database), database.write() as connection:
        now_s = time.time()
        old = next((grant for grant, _ in keys.every(connection) if grant.key_id == key_id), None)
        if old is None:
            raise UnknownIdError("no such key", where="ID", got=key_id, hint="`nba keys list DIR` names all")
        if not old.live(now_s):
            raise RefusedError("the key has ended", where="ID", got=key_id, hint="`nba keys create` makes a new one")
        made = keys.add(connection, old, actor=caller(), now_s=now_s)
        until = now_s + seconds(overlap, where="--overlap")
        keys.shorten(connection, key_id, expires_at=until, actor=caller(), now_s=now_s)
    _show_once(made, old, as_json=as_json, note=f"{key_id} works until {utc(until)}")


@app.command()
@reported
def revoke(
    directory: Directory,
    key_id: Annotated[str, typer.Argument(help="The key to end.", metavar="ID")],
    *,
    as_json: AsJson = False,
) -> None:
    """End a key; once this returns, no running replica lets it in.

    Examples:

      nba keys revoke shop 0123456789ab
    """
    from bandit_nba.online.gate import FOLLOW_EVERY_S
    from bandit_nba.store import keys

    with opened(directory, create=True) as (_, database), database.write() as connection:
        ended = keys.revoke(connection, key_id, actor=caller(), now_s=time.time())
    time.sleep(2 * FOLLOW_EVERY_S)
    if as_json:
        print_json({"id": key_id, "revoked": ended})
    else:
        print(f"{key_id}: {'revoked' if ended else 'had been revoked before'}")


def _client(name: str) -> str:
    from bandit_nba.errors import InputError

    if not 1 <= len(name) <= 64 or not name.isprintable():
        raise InputError("is no name", where="--name", got=name, allowed="1 to 64 printable characters")
    return name


def _channels(workspace: "Workspace", names: list[str]) -> frozenset[str]:
    from bandit_nba.errors import InputError
    from bandit_nba.settings import nearest

    known = workspace.service.channels
    for name in names:
        if name not in known:
            raise InputError(
                "unknown channel", where="--channel", got=name, allowed=", ".join(known), hint=nearest(name, known)
            )
    return frozenset(names)


def _show_once(made: "Key", rights: "Grant", *, as_json: bool, note: str = "") -> None:
    if as_json:
        content = {"id": made.id, "key": made.text, "client": rights.client, "scopes": sorted(rights.scopes)}
        print_json(content | ({"note": note} if note else {}))
        return
    print(made.text)
    typer.echo("This is the only time that the key is shown: keep it now." + (f" {note}." if note else ""), err=True)


def _state(grant: "Grant", now_s: float) -> str:
    if grant.revoked_at is not None:
        return "revoked"
    return "live" if grant.live(now_s) else "expired"


def _content(grant: "Grant", now_s: float) -> dict[str, object]:
    return {
        "id": grant.key_id,
        "client": grant.client,
        "state": _state(grant, now_s),
        "scopes": sorted(grant.scopes),
        "channels": sorted(grant.channels),
        "createdAt": utc(grant.created_at),
        "expiresAt": None if grant.expires_at is None else utc(grant.expires_at),
        "revokedAt": None if grant.revoked_at is None else utc(grant.revoked_at),
        "ratePerS": grant.rate_per_s,
        "perDay": grant.per_day,
    }


def _row(grant: "Grant", now_s: float) -> tuple[str, ...]:
    limits = [f"{grant.rate_per_s:g}/s"] if grant.rate_per_s is not None else []
    limits += [f"{grant.per_day:,}/day"] if grant.per_day is not None else []
    return (
        grant.key_id,
        grant.client,
        _state(grant, now_s),
        " ".join(sorted(grant.scopes)),
        " ".join(sorted(grant.channels)) or "all",
        "never" if grant.expires_at is None else utc(grant.expires_at),
        ", ".join(limits) or "none",
    )
