"""`nba serve DIR`: the HTTP service of a workspace, until Ctrl-C."""

from ipaddress import ip_address
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from bandit_nba.cli.failure import reported

if TYPE_CHECKING:
    from bandit_nba.workspace import Workspace

LOOPBACK = "127.0.0.1"


@reported
def serve(
    directory: Annotated[Path, typer.Argument(help="The workspace.", metavar="DIR")],
    *,
    port: Annotated[int | None, typer.Option(min=1, max=65_535, help="Default: that of service.toml.")] = None,
    host: Annotated[str | None, typer.Option(help="Address to listen on; default: that of service.toml.")] = None,
    replicas: Annotated[
        int | None, typer.Option(min=1, max=64, help="Processes that answer; default: that of service.toml.")
    ] = None,
) -> None:
    """Serve decisions over HTTP and learn from their outcomes, until Ctrl-C.

    Examples:

      nba serve shop

      nba serve shop --port 9000 --replicas 2
    """
    from bandit_nba.cli.migrate import in_words
    from bandit_nba.store.migrate import migrate
    from bandit_nba.workspace import open_workspace

    workspace = open_workspace(directory)
    service = workspace.service
    migrated = migrate(workspace.database_url)
    if migrated and migrated.before != migrated.after:
        print(in_words(migrated), flush=True)

    # Imported here: the library knows no HTTP, and Ray takes seconds to load.
    from serve.launch import Address, run

    wanted, keyed = host or service.host, _has_keys(workspace)
    address = Address(host=wanted if keyed or _is_loopback(wanted) else LOOPBACK, port=port or service.port)
    if address.host != wanted:
        print(f"No keys are configured: listening on {LOOPBACK} and not on {wanted}. `nba keys create` makes one.")
    print(f"Starting the service of {workspace.path} (this takes some seconds) ...", flush=True)
    run(
        workspace,
        address,
        replicas=replicas or service.replicas,
        on_ready=lambda: print(_greeting(workspace, address.url, keyed=keyed), flush=True),
    )
    print("Stopped.", flush=True)


def _has_keys(workspace: "Workspace") -> bool:
    from bandit_nba.store import keys
    from bandit_nba.store.database import Database

    database = Database.open(workspace.database_url)
    try:
        with database.read() as connection:
            return keys.any_configured(connection)
    finally:
        database.close()


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _greeting(workspace: "Workspace", url: str, *, keyed: bool) -> str:
    channel = next(iter(workspace.service.channels))
    outcome = next(iter(workspace.rewards.outcomes))
    json = "-H 'Content-Type: application/json'" + (' -H "Authorization: Bearer $NBA_KEY"' if keyed else "")
    return f"""Ready at {url}   Stop with Ctrl-C.

Ask for a decision, tell what came of it, and see whether it is learning:

  curl {url}/v1/decisions {json} -d '{{"decisionId":"d-1","customerId":"c-1","channel":"{channel}"}}'
  curl {url}/v1/outcomes {json} -d '{{"outcomeId":"o-1","decisionId":"d-1","type":"{outcome}"}}'
  curl {url}/v1/status{' -H "Authorization: Bearer $NBA_KEY"' if keyed else ""}

All addresses: {url}/openapi.json   Logs: {workspace.path / "logs"}"""
