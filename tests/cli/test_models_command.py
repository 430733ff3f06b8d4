"""`nba models` on a real workspace whose learner has published."""

from pathlib import Path

import msgspec
import pytest
import sqlalchemy as sa

from bandit_nba.store import audit_log
from bandit_nba.store.database import Database
from bandit_nba.store.registry import models, serving
from bandit_nba.store.tables import models as table
from tests.command import nba
from tests.learn import tiny_world as world


def learn(database: Database, size: int) -> None:
    with database.write() as connection:
        world.put_catalogue(connection, world.CATALOGUE)
    world.play(database, size, seed=1)
    learner = world.learner(database, world.Clock(10_000.0), batch=size // 2)
    learner.step()
    learner.step()
    learner.finish()


def test_list_show_and_verify(workspace: Path, database: Database) -> None:
    learn(database, 200)
    with database.read() as connection:
        newest, older = models.versions(connection)

    listed = nba("models", "list", workspace)
    assert [[*line.split()[:4], *line.split()[6:]] for line in listed.output.splitlines()[1:]] == [
        ["2", newest, older, "200", "serves"],
        ["1", older, "-", "100"],
    ]
    shown = msgspec.json.decode(nba("models", "show", workspace, "--json").output)
    assert (shown["version"], shown["examplesLearned"]) == (newest, 200)
    assert nba("models", "show", workspace, older).output.splitlines()[0].split() == ["version", older]
    verified = nba("models", "verify", workspace, "--all")
    assert verified.exit_code == 0
    assert verified.output.endswith("2 of 2 models sound, of which 2 may not serve now\n")  # learned for another world
    alone = nba("models", "verify", workspace)
    assert alone.exit_code == 1
    assert "not known" in alone.output


def test_a_damaged_model_is_told_and_exits_with_1(workspace: Path, database: Database) -> None:
    learn(database, 200)
    with database.write() as connection:
        older = models.versions(connection)[1]
        damaged = sa.func.substr(table.c.sparse, 1, sa.func.length(table.c.sparse) - 1)
        connection.execute(sa.update(table).where(table.c.version == older).values(sparse=damaged))

    result = nba("models", "verify", workspace, "--all", "--json")
    assert result.exit_code == 1
    assert "cut or too long" in msgspec.json.decode(result.output)["problems"][older]["what"]
    assert msgspec.json.decode(result.output)["damaged"] == [older]


@pytest.mark.usefixtures("database")
def test_before_the_first_model(workspace: Path) -> None:
    assert nba("models", "list", workspace).output.count("\n") == 1
    result = nba("models", "verify", workspace)
    assert result.exit_code == 2
    assert "there is no model yet" in result.output


def test_an_unknown_model_is_refused_with_a_hint(workspace: Path, database: Database) -> None:
    learn(database, 200)
    result = nba("models", "show", workspace, "nonsense")

    assert result.exit_code == 2
    assert "no such model" in result.output


def test_a_reason_never_steers_the_terminal(workspace: Path, database: Database) -> None:
    learn(database, 200)
    with database.write() as connection:
        older = models.versions(connection)[1]
        serving.change(connection, "publish", older, who="anna\x1b[2J", why="faster\x1b[31m\nby far", now_s=20_000.0)
        audit_log.append(connection, now_s=20_000.0, actor="anna\x1b[2J", action="models.publish", subject=older)
    for told in (nba("models", "list", workspace), nba("models", "show", workspace, older)):
        assert r"by anna\x1b[2J: faster\x1b[31m\nby far" in told.output
    assert r"anna\x1b[2J" in nba("audit-log", "list", workspace).output
