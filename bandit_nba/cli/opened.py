"""The workspace of a command with its store, and who gives the command."""

import getpass
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from bandit_nba.store.database import Database
    from bandit_nba.workspace import Workspace


@contextmanager
def opened(directory: Path, *, create: bool = False) -> Iterator[tuple["Workspace", "Database"]]:
    """The workspace and its store, closed at the end; `create`: also where there is none yet."""
    from bandit_nba.store.database import Database  # here, so that `nba --help` loads no database
    from bandit_nba.workspace import open_workspace

    workspace = open_workspace(directory)
    database = Database.open(workspace.database_url, create=create)
    try:
        yield workspace, database
    finally:
        database.close()


def caller(by: str = "") -> str:
    """Who gives the command, as logs of changes name them: `by`, or the account."""
    if by:
        return by[:128]
    try:
        return f"cli:{getpass.getuser()}"
    except (KeyError, OSError):  # an account without a name, as in some containers
        return "cli"
