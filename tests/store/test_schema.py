"""Databases of another version, or of something else, are refused and left as they are."""

import sqlite3
from pathlib import Path

import pytest

from bandit_nba.errors import StoreError
from bandit_nba.store.database import Database, sqlite_url
from bandit_nba.store.tables import SCHEMA_VERSION, metadata


def set_version(path: Path, version: int) -> None:
    with sqlite3.connect(path) as connection:
        connection.execute("UPDATE meta SET value = ? WHERE name = 'schema_version'", (str(version),))
    connection.close()


def tables(path: Path) -> set[str]:
    with sqlite3.connect(path) as connection:
        names = {name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
    connection.close()
    return names


@pytest.mark.usefixtures("database")
def test_opening_again_changes_nothing(url: str, tmp_path: Path) -> None:
    before = tables(tmp_path / "nba.db")
    Database.open(url).close()

    assert tables(tmp_path / "nba.db") == before == set(metadata.tables)


@pytest.mark.usefixtures("database")
@pytest.mark.parametrize(("step", "words"), [(1, "newer schema"), (-1, "older schema")])
def test_another_version_is_refused(url: str, tmp_path: Path, step: int, words: str) -> None:
    set_version(tmp_path / "nba.db", SCHEMA_VERSION + step)
    with pytest.raises(StoreError, match=words) as caught:
        Database.open(url)

    assert caught.value.got == SCHEMA_VERSION + step
    assert str(SCHEMA_VERSION) in caught.value.allowed


def test_an_empty_file_is_not_a_store_unless_it_may_be_made_one(tmp_path: Path) -> None:
    path = tmp_path / "nba.db"
    path.touch()
    with pytest.raises(StoreError, match="no tables of this program"):
        Database.open(sqlite_url(path), create=False)
    Database.open(sqlite_url(path), create=True).close()

    assert "decisions" in tables(path)
