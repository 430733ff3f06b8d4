"""A new workspace and its store."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from bandit_nba.store.database import Database
from bandit_nba.workspace import init_workspace, open_workspace


@pytest.fixture
def workspace(tmp_path: Path) -> Path:
    directory = tmp_path / "shop"
    init_workspace(directory)
    return directory


@pytest.fixture
def database(workspace: Path) -> Iterator[Database]:
    database = Database.open(open_workspace(workspace).database_url)
    yield database
    database.close()
