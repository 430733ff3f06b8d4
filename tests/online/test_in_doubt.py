"""A commit that fails may have happened all the same: then nobody is told that nothing was kept."""

import asyncio
import sqlite3
from pathlib import Path

import msgspec
import pytest

from bandit_nba.errors import StoreError
from bandit_nba.online.answering import Answer
from bandit_nba.online.messages import DecisionAnswer, DecisionRequest
from bandit_nba.online.replica import Replica
from bandit_nba.store.driver import sqlite
from bandit_nba.store.log import decisions as decision_store
from bandit_nba.workspace import init_workspace, open_workspace


def os_error(code: int, name: str) -> sqlite3.OperationalError:
    error = sqlite3.OperationalError("disk I/O error")
    error.sqlite_errorcode, error.sqlite_errorname = code, name
    return error


def fail_next_commit(monkeypatch: pytest.MonkeyPatch, error: sqlite3.Error, *, after_it: bool) -> None:
    """The next commit of a decision says `error`, before it or although it was made."""
    real = sqlite.commit

    def commit(driver: sqlite3.Connection) -> None:
        if driver.execute("PRAGMA query_only").fetchone()[0]:
            real(driver)
            return
        monkeypatch.setattr(sqlite, "commit", real)
        if after_it:
            real(driver)
        raise error

    monkeypatch.setattr(sqlite, "commit", commit)


@pytest.fixture
def workspace_path(tmp_path: Path) -> Path:
    """On the channel "email" nothing is done where nothing can be kept."""
    init_workspace(tmp_path / "shop")
    path = tmp_path / "shop" / "service.toml"
    mark = "[channels.email]\n"
    path.write_text(path.read_text().replace(mark, f'{mark}unwritable = "no_action"\ndeadline = "PT5S"\n'))
    return tmp_path / "shop"


def ask(replica: Replica) -> Answer | BaseException:
    async def once() -> Answer | BaseException:
        (answer,) = await asyncio.gather(
            replica.decide(DecisionRequest(decision_id="d-1", channel="email")), return_exceptions=True
        )
        return answer

    return asyncio.run(once())


@pytest.mark.parametrize("happened", [True, False])
def test_a_commit_in_doubt_is_refused_and_the_same_request_finds_what_happened(
    workspace_path: Path, monkeypatch: pytest.MonkeyPatch, happened: bool
) -> None:
    replica = Replica.open(open_workspace(workspace_path))
    try:
        fail_next_commit(monkeypatch, os_error(sqlite3.SQLITE_IOERR, "SQLITE_IOERR_FSYNC"), after_it=happened)
        first = ask(replica)
        with replica.database.read() as connection:
            kept = decision_store.get(connection, "d-1")
        second = ask(replica)
    finally:
        replica.close(drain_s=5.0)

    assert isinstance(first, StoreError)
    assert (kept is not None) == happened
    assert isinstance(second, Answer)
    assert second.replayed == happened
    assert msgspec.json.decode(second.body, type=DecisionAnswer).durable is not False
    assert kept is None or kept.answer == second.body


def test_where_surely_nothing_was_kept_the_channel_may_do_nothing(
    workspace_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    replica = Replica.open(open_workspace(workspace_path))
    try:
        fail_next_commit(monkeypatch, os_error(sqlite3.SQLITE_FULL, "SQLITE_FULL"), after_it=False)
        answer = ask(replica)
        with replica.database.read() as connection:
            kept = decision_store.get(connection, "d-1")
    finally:
        replica.close(drain_s=5.0)

    assert isinstance(answer, Answer)
    assert not answer.durable
    assert kept is None
