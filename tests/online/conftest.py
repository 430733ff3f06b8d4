"""A real workspace with short waits, its real store, and a clock that tests turn."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from bandit_nba.online import definitions
from bandit_nba.online.decider import Decider
from bandit_nba.store.database import Database
from bandit_nba.workspace import Workspace, init_workspace, open_workspace
from bandit_nba.workspace.open import DATABASE_VARIABLE
from tests.online.clock import Clock
from tests.online.contact_world import number_rows
from tests.online.slate_world import Unlearned
from tests.plain_policy import write_plain_policy
from tests.postgres import Server


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture(params=["sqlite"])
def store(request: pytest.FixtureRequest) -> Iterator[str]:
    """ "" for the workspace's own SQLite file, or a URL; tests that ask for "postgresql" as well run over both."""
    if request.param == "sqlite":
        yield ""
        return
    postgres: Server = request.getfixturevalue("postgres")
    url = postgres.store()
    database = Database.open(url)
    number_rows(database)
    database.close()
    yield url
    postgres.drop(url)


@pytest.fixture
def workspace(tmp_path: Path, store: str, monkeypatch: pytest.MonkeyPatch) -> Workspace:
    """The template: "no action" and "network_status" are open to everybody; the rest asks for consent or a contract."""
    monkeypatch.setenv(DATABASE_VARIABLE, store)
    init_workspace(tmp_path / "shop")
    write_plain_policy(tmp_path / "shop")
    return open_workspace(tmp_path / "shop")


@pytest.fixture
def database(workspace: Workspace) -> Iterator[Database]:
    database = Database.open(workspace.database_url)
    yield database
    database.close()


@pytest.fixture
def decider(workspace: Workspace, database: Database, clock: Clock) -> Decider:
    """One that has learned nothing yet."""
    definitions.register(workspace, database, clock=clock)
    return Decider(workspace, database, Unlearned(), clock=clock)
