"""`nba serve DIR`: the HTTP service of a workspace, until Ctrl-C."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from bandit_nba.cli.failure import reported

if TYPE_CHECKING:
    from bandit_nba.workspace import Workspace


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
    from bandit_nba.workspace import open_workspace

    workspace = open_workspace(directory)
    service = workspace.service

    # Imported here: the library knows no HTTP, and Ray takes seconds to load.
    from serve.launch import Address, run

    address = Address(host=host or service.host, port=port or service.port)
    print(f"Starting the service of {workspace.path} (this takes some seconds) ...", flush=True)
    run(
        workspace,
        address,
        replicas=replicas or service.replicas,
        on_ready=lambda: print(_greeting(workspace, address.url), flush=True),
    )
    print("Stopped.", flush=True)


def _greeting(workspace: "Workspace", url: str) -> str:
    channel = next(iter(workspace.service.channels))
    outcome = next(iter(workspace.rewards.outcomes))
    json = "-H 'Content-Type: application/json'"
    return f"""Ready at {url}   Stop with Ctrl-C.

Ask for a decision, tell what came of it, and see whether it is learning:

  curl {url}/v1/decisions {json} -d '{{"decisionId":"d-1","customerId":"4711","channel":"{channel}"}}'
  curl {url}/v1/outcomes {json} -d '{{"outcomeId":"o-1","decisionId":"d-1","type":"{outcome}"}}'
  curl {url}/v1/status

All addresses: {url}/openapi.json   Logs: {workspace.path / "logs"}"""
