"""The store of the tiny world, and what an undisturbed learner makes of it."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from bandit_nba.learn.manifest import Manifest
from bandit_nba.store.database import Database
from tests.learn import tiny_world as world
from tests.learn.learning_to_the_end import in_one_go


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    with world.opened(tmp_path) as database:
        yield database


@pytest.fixture(scope="module")
def expected(tmp_path_factory: pytest.TempPathFactory) -> Manifest:
    """What an undisturbed learner makes of the same 1,200 decisions."""
    return in_one_go(tmp_path_factory.mktemp("undisturbed"))
