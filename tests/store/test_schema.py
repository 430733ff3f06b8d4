"""A new file becomes a store, an existing store stays as it is, and a file of something else is refused."""

import sqlite3
from pathlib import Path

import pytest

from bandit_nba.errors import StoreError
from bandit_nba.store.database import Database, sqlite_url
from bandit_nba.store.schema import revisions
from bandit_nba.store.tables import metadata


def tables(path: Path) -> set[str]:
    with sqlite3.connect(path) as connection:
        names = {name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
    connection.close()
    return names


def test_opening_again_changes_nothing(tmp_path: Path) -> None:
    url = sqlite_url(tmp_path / "nba.db")
    Database.open(url).close()
    before = tables(tmp_path / "nba.db")
    Database.open(url).close()

    assert tables(tmp_path / "nba.db") == before == {*metadata.tables, revisions.name}


def test_an_empty_file_is_not_a_store_unless_it_may_be_made_one(tmp_path: Path) -> None:
    path = tmp_path / "nba.db"
    path.touch()
    with pytest.raises(StoreError, match="no tables of this program"):
        Database.open(sqlite_url(path), create=False)
    Database.open(sqlite_url(path), create=True).close()

    assert "decisions" in tables(path)
