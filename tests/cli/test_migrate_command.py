"""`nba migrate` as people use it: an old store, a copy of it, and a store of today."""

import json
from pathlib import Path

import pytest
import sqlalchemy as sa

from bandit_nba.cli import application
from bandit_nba.store import schema
from bandit_nba.store.database import Database
from bandit_nba.store.migrate import upgrade
from bandit_nba.workspace import init_workspace, open_workspace


@pytest.fixture
def shop(tmp_path: Path) -> Path:
    """A workspace with the store of a release before migrations."""
    init_workspace(tmp_path / "shop")
    database = Database.unchecked(open_workspace(tmp_path / "shop").database_url, create=True)
    with database.write() as connection:
        upgrade(connection, to="0002")
        schema.revisions.drop(connection)
        connection.execute(sa.text("INSERT INTO leases VALUES ('learner', 'a', 7, 1.5)"))
    database.close()
    return tmp_path / "shop"


def nba(capsys: pytest.CaptureFixture[str], *arguments: object) -> tuple[int, str, str]:
    capsys.readouterr()
    words = [str(argument) for argument in arguments]
    with pytest.raises(SystemExit) as left:
        application(words)(words, prog_name="nba")
    printed = capsys.readouterr()
    return (left.value.code if isinstance(left.value.code, int) else 0), printed.out, printed.err


def test_an_old_store_is_named_migrated_and_then_up_to_date(shop: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, _, err = nba(capsys, "audit", shop)
    assert code == 2
    assert "older schema" in err
    assert "nba migrate DIR" in err

    code, out, _ = nba(capsys, "migrate", shop, "--json")
    done = json.loads(out)
    assert code == 0
    assert (done["before"], done["after"]) == ("0002", schema.newest())
    assert Path(done["backup"]).parent == shop / "data"
    assert Path(done["backup"]).exists()

    code, out, _ = nba(capsys, "migrate", shop)
    assert (code, out) == (0, f"The store is up to date: schema {schema.newest()}.\n")
    database = Database.open(open_workspace(shop).database_url, create=False)
    with database.read() as connection:
        assert connection.execute(sa.text("SELECT * FROM leases")).all() == [("learner", "a", 7, 1.5)]
    database.close()


def test_without_a_store_there_is_nothing_to_migrate(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    init_workspace(tmp_path / "shop")
    code, out, err = nba(capsys, "migrate", tmp_path / "shop", "--json")

    assert code == 2
    assert "there is no store yet" in err
    assert json.loads(out)["problem"]["kind"] == "StoreError"
