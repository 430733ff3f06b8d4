"""`nba init DIR`: a new workspace."""

from pathlib import Path
from typing import Annotated

import typer

from bandit_nba.cli.failure import reported


@reported
def init(
    directory: Annotated[
        Path, typer.Argument(help="Where the workspace goes: a new or empty directory.", metavar="DIR")
    ],
    *,
    template: Annotated[str, typer.Option(help="What to start from: telco or personalizer.")] = "telco",
) -> None:
    """Write a new workspace: four commented files to make your own, and fresh secrets.

    Nothing is ever overwritten.

    Examples:

      nba init shop

      nba init shop && nba check shop

      nba init ranker --template personalizer
    """
    from bandit_nba.workspace.init import init_workspace

    about = {
        "catalogue.toml": "what can be decided: facts, actions, rules",
        "rewards.toml": "what counts as success",
        "policy.toml": "what the model sees, and how much is tried out",
        "service.toml": "channels, address, limits",
        "salts.toml": "secrets: back them up apart, never share them",
    }
    written = init_workspace(directory, template=template)
    print(f"Wrote a workspace into {directory}:")
    for path in written:
        if path.name in about:
            print(f"  {path.relative_to(directory.expanduser().resolve())!s:<22} {about[path.name]}")
    print(f"Next: edit the files, then: nba check {directory}")
