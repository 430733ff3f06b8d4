"""What SQLite reports reaches the caller as one kind of error with a hint, and the store goes on once it can."""

import random
from collections.abc import Callable
from pathlib import Path

import pytest
import sqlalchemy as sa

from bandit_nba.decide.record import DecisionRecord
from bandit_nba.errors import StoreBusyError, StoreError
from bandit_nba.store.database import Database, sqlite_url
from bandit_nba.store.log import decisions

Make = Callable[..., DecisionRecord]


def limit_pages(database: Database, pages: int) -> None:
    """SQLite refuses to grow the file beyond `pages`, as a full disk would."""
    with database.write() as connection:
        connection.exec_driver_sql(f"PRAGMA max_page_count={pages}")


@pytest.mark.parametrize("url", ["sqlite"], indirect=True)
def test_a_full_disk_is_named_and_writing_goes_on_once_there_is_space(database: Database, record: Make) -> None:
    with database.write() as connection:
        decisions.insert(connection, [record("before")])
    limit_pages(database, 1)  # SQLite takes it as the present size
    big = [record(f"d{i}", answer=b"x" * 5_000) for i in range(50)]
    full = r"disk or the quota is full.*SQLITE_FULL.*Hint: free space"
    with pytest.raises(StoreError, match=full) as caught, database.write() as connection:
        decisions.insert(connection, big)

    assert not isinstance(caught.value, StoreBusyError)
    assert isinstance(caught.value.__cause__, sa.exc.DBAPIError)
    with database.read() as connection:
        assert set(decisions.answers(connection, ["before", "d0", "d49"])) == {"before"}
    limit_pages(database, 1_000_000)
    with database.write() as connection:
        decisions.insert(connection, big)
    with database.read() as connection:
        assert decisions.counts(connection, now_s=0.0).total == 51


def test_a_file_of_another_kind_is_named(tmp_path: Path) -> None:
    path = tmp_path / "nba.db"
    path.write_text("this is not a database, however long it may be. " * 100)
    with pytest.raises(StoreError, match=r"not an SQLite database.*SQLITE_NOTADB") as caught:
        Database.open(sqlite_url(path))

    assert caught.value.where == str(path)
    assert path.read_text().startswith("this is not")


def test_a_folder_in_its_place_is_named(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="cannot be opened"):
        Database.open(sqlite_url(tmp_path))


def test_a_parent_that_is_a_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(StoreError, match="folder cannot be made"):
        Database.open(sqlite_url(tmp_path / "file" / "nba.db"))


@pytest.mark.parametrize("url", ["sqlite"], indirect=True)
def test_a_damaged_page_is_named(database: Database, url: str, tmp_path: Path, record: Make) -> None:
    with database.write() as connection:
        decisions.insert(connection, [record(f"d{i}", answer=b"x" * 3_000) for i in range(200)])
    database.close()  # the last to close moves the log into the file
    path = tmp_path / "nba.db"
    content = bytearray(path.read_bytes())
    half = len(content) // 2  # behind the schema
    content[half:] = random.Random(1).randbytes(len(content) - half)
    path.write_bytes(content)
    damaged = Database.open(url)
    with pytest.raises(StoreError, match=r"is damaged.*SQLITE_CORRUPT.*restore a backup"), damaged.read() as connection:
        list(decisions.scan(connection))
    damaged.close()
