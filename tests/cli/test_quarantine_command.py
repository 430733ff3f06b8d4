"""`nba quarantine`: what could not be learned is listed, shown, tried again and given up, with who did it."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa
from click.testing import Result

from bandit_nba.store import audit_log
from bandit_nba.store.archive.close import DAY_S, archive_days
from bandit_nba.store.database import Database
from bandit_nba.store.tables import decisions
from bandit_nba.workspace import open_workspace
from tests import command
from tests.learn import tiny_world as world

BAD = ("d00003", "d00008")
CUT = b'{"segment": "yo'


@pytest.fixture
def database(workspace: Path) -> Iterator[Database]:
    """A log of 20 decisions, two of whose facts are cut, that a learner has been over."""
    database = Database.open(open_workspace(workspace).database_url)
    with database.write() as connection:
        world.put_catalogue(connection, world.CATALOGUE)
    world.play(database, 20, seed=1)
    facts(database, CUT, *BAD)
    learner = world.learner(database, world.Clock(10_000.0))
    learner.step()
    learner.finish()
    yield database
    database.close()


def facts(database: Database, content: bytes, *ids: str) -> None:
    with database.write() as connection:
        connection.execute(sa.update(decisions).where(decisions.c.id.in_(ids)).values(facts=content))


def nba(*arguments: object) -> Result:
    return command.nba("quarantine", *arguments)


@pytest.mark.usefixtures("database")
def test_list_and_show_say_why_and_what_was_logged(workspace: Path) -> None:
    listed = nba("list", workspace)
    assert listed.exit_code == 0
    assert [line.split()[:2] for line in listed.output.splitlines()[1:] if line.startswith("d0")] == [
        [decision, "held"] for decision in BAD
    ]
    assert listed.output.endswith("2 held, 0 released, 0 learned, 0 dropped\n")
    shown = json.loads(nba("show", workspace, BAD[0], "--json").output)
    assert (shown["reason"], shown["tries"], shown["facts"]) == ("InputError", 1, CUT.decode())
    assert shown["row"]["catalogue_version"] == world.CATALOGUE.version
    unknown = nba("show", workspace, "d00004")
    assert unknown.exit_code == 2
    assert "is not in quarantine" in unknown.output


def test_replay_releases_what_was_mended_and_tells_what_fails_again(workspace: Path, database: Database) -> None:
    facts(database, b'{"segment": "young"}', BAD[0])
    found = nba("replay", workspace, "--all", "--by", "anna", "--json")

    assert found.exit_code == 1
    content = json.loads(found.output)
    assert content["released"] == [BAD[0]]
    assert [(one["decision"], one["reason"]) for one in content["failed"]] == [(BAD[1], "InputError")]
    counts = json.loads(nba("list", workspace, "--all", "--json").output)["counts"]
    assert counts == {"held": 1, "released": 1, "learned": 0, "dropped": 0}
    with database.read() as connection:
        (entry,) = audit_log.newest(connection, limit=9)
    assert (entry.actor, entry.action, entry.subject) == ("anna", "quarantine.replay", BAD[0])
    again = nba("replay", workspace, BAD[0])
    assert again.exit_code == 2
    assert "released already" in again.output


def test_drop_is_for_good_and_on_record(workspace: Path, database: Database) -> None:
    assert nba("drop", workspace, BAD[1], "--by", "anna").output == "1 dropped\n"
    shown = json.loads(nba("show", workspace, BAD[1], "--json").output)
    assert (shown["state"], shown["changedBy"]) == ("dropped", "anna")
    assert nba("replay", workspace, BAD[1]).exit_code == 2
    with database.read() as connection:
        assert [entry.action for entry in audit_log.newest(connection, limit=9)] == ["quarantine.drop"]


@pytest.mark.usefixtures("database")
def test_naming_none_is_not_all(workspace: Path) -> None:
    assert nba("drop", workspace).exit_code == 2
    assert nba("drop", workspace, BAD[0], "--all").exit_code == 2
    assert nba("list", workspace).output.endswith("2 held, 0 released, 0 learned, 0 dropped\n")


def test_what_was_archived_is_shown_as_before(workspace: Path, database: Database) -> None:
    before = json.loads(nba("show", workspace, BAD[0], "--json").output)
    archive_days(database, open_workspace(workspace).archive_folder, before_s=10 * DAY_S, clock=lambda: 20 * DAY_S)
    with database.read() as connection:
        stored = connection.execute(sa.select(decisions.c.facts).where(decisions.c.id == BAD[0])).scalar_one()
    assert stored is None
    assert json.loads(nba("show", workspace, BAD[0], "--json").output) == before
    assert nba("replay", workspace, BAD[0]).exit_code == 1  # its facts are as damaged as they were
