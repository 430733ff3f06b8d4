"""A real workspace with short waits, its real store, and a clock that tests turn."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from bandit_nba.store.database import Database
from bandit_nba.workspace import Workspace, init_workspace, open_workspace
from tests.online.clock import Clock


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    """The template: "no action" and "network_status" are open to everybody; the rest asks for consent or a contract."""
    init_workspace(tmp_path / "shop")
    return open_workspace(tmp_path / "shop")


@pytest.fixture
def database(workspace: Workspace) -> Iterator[Database]:
    database = Database.open(workspace.database_url)
    yield database
    database.close()
