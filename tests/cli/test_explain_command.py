"""`nba explain`: sentences for people, numbers for machines, and a store that stays as it was."""

import hashlib
from pathlib import Path

import msgspec
import pytest
from click.testing import Result

from bandit_nba.decide.scoring import NoModel, Scorer
from bandit_nba.online.decider import Decider
from bandit_nba.online.definitions import register
from bandit_nba.online.messages import DecisionRequest
from bandit_nba.store.database import Database
from bandit_nba.workspace import init_workspace, open_workspace
from tests import command
from tests.plain_policy import write_plain_policy


class Unlearned:
    def current(self) -> Scorer:
        return NoModel()


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A workspace with one decision, "d-1"."""
    directory = tmp_path_factory.mktemp("explain") / "shop"
    init_workspace(directory)
    write_plain_policy(directory)
    workspace = open_workspace(directory)
    database = Database.open(workspace.database_url)
    register(workspace, database)
    asked = DecisionRequest(channel="web", decision_id="d-1", facts={"internet": "dsl", "consent_marketing": False})
    Decider(workspace, database, Unlearned()).decide_batch([asked])
    database.close()
    return directory


def run(*arguments: str) -> Result:
    return command.nba(*arguments)


def test_in_english_by_default(shop: Path) -> None:
    found = run("explain", str(shop), "d-1")

    assert found.exit_code == 0
    assert found.stdout.startswith("Proposed: ")
    assert "Nothing has been learned yet" in found.stdout
    assert "(speed): the customer has not agreed to it (agreed to marketing no)." in found.stdout


def test_in_german(shop: Path) -> None:
    found = run("explain", str(shop), "d-1", "--lang", "de")

    assert found.stdout.startswith("Vorgeschlagen: ")
    assert "Nicht möglich:" in found.stdout
    assert "Der Kunde hat dem nicht zugestimmt (Werbung zugestimmt: nein)." in found.stdout


def test_for_machines(shop: Path) -> None:
    found = msgspec.json.decode(run("explain", str(shop), "d-1", "--json").stdout)

    assert found["decisionId"] == "d-1"
    assert sum(arm["probability"] for arm in found["arms"]) == pytest.approx(1.0)
    assert found["words"]["headline"].startswith("Proposed: ")


def test_the_database_stays_as_it_was_byte_for_byte(shop: Path) -> None:
    file = shop / "data" / "nba.db"
    before = hashlib.sha256(file.read_bytes()).digest()
    run("explain", str(shop), "d-1")

    assert hashlib.sha256(file.read_bytes()).digest() == before


def test_an_unknown_decision_or_language(shop: Path) -> None:
    unknown, language = run("explain", str(shop), "gone"), run("explain", str(shop), "d-1", "--lang", "fr")

    assert unknown.exit_code == language.exit_code == 2
    assert "no such decision" in unknown.stderr
