"""Two imports of one file at the same time: each row is kept by one of them and known to the other."""

import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec
import pytest
import sqlalchemy as sa

from bandit_nba.evaluate.formats import rows_of
from bandit_nba.logs.importing import Imported, import_rows
from bandit_nba.online.definitions import register
from bandit_nba.store.database import Database
from bandit_nba.store.log import outcome_counts
from bandit_nba.workspace import Workspace, open_workspace
from tests.logs import rich_world
from tests.postgres import Server

ROWS = 1_200


class Held:
    """A store whose transactions wait at their end, written and not yet committed, until they may go on."""

    def __init__(self, database: Database) -> None:
        self.database, self.written, self.go_on = database, threading.Event(), threading.Event()

    @contextmanager
    def write(self) -> Iterator[sa.Connection]:
        with self.database.write() as connection:
            yield connection
            self.written.set()
            assert self.go_on.wait(60)


@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
def test_each_row_is_kept_once(kind: str, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    rich_world.make(tmp_path / "shop")
    if kind == "postgresql":
        server: Server = request.getfixturevalue("postgres")
        settings = tmp_path / "shop" / "service.toml"
        line = f"database = {msgspec.json.encode(server.store()).decode()}"
        text = settings.read_text()
        settings.write_text(text.replace('database = ""', line) if 'database = ""' in text else f"{line}\n{text}")
    log = tmp_path / "old.csv"
    log.write_text("id,arm,propensity,reward\n" + "".join(f"i{i:04},alpha,0.5,1\n" for i in range(ROWS)))
    workspace = open_workspace(tmp_path / "shop")
    database, other = Database.open(workspace.database_url), Database.open(workspace.database_url)
    workspace = register(workspace, database)
    held = Held(database)
    try:
        with ThreadPoolExecutor() as pool:
            first = pool.submit(taken, workspace, held, log)
            assert held.written.wait(60)
            second = pool.submit(taken, workspace, other, log)
            time.sleep(0.3)  # it waits for the first one's rows by now; if not, nothing is tried here
            held.go_on.set()
            found = first.result(60), second.result(60)
        with database.read() as connection:
            fates = outcome_counts.read(connection)
    finally:
        held.go_on.set()
        database.close()
        other.close()

    assert sum(one.kept for one in found) == ROWS
    assert [(one.kept + one.known, one.rejected) for one in found] == [(ROWS, 0)] * 2
    assert fates == {"counts": ROWS}


def taken(workspace: Workspace, database: Any, log: Path) -> Imported:
    rows = rows_of(log, arms=[arm.id for arm in workspace.catalogue.arms])
    now_s, start_s = rich_world.NOW_S, rich_world.START_S
    return import_rows(database, workspace, rows, origin="old", start_s=start_s, now_s=now_s, reject=print)
