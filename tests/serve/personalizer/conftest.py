"""A workspace for Personalizer's clients."""

from pathlib import Path

import pytest

from bandit_nba.workspace import Workspace, init_workspace, open_workspace


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    init_workspace(tmp_path / "shop", template="personalizer")
    return open_workspace(tmp_path / "shop")
