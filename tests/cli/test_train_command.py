"""`nba train` on a real workspace: the learner's own weights, other settings, and a run that is killed."""

import json
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import Result
from typer.testing import CliRunner

from bandit_nba.cli import application
from bandit_nba.online import definitions
from bandit_nba.online.learning_loop import LearningLoop
from bandit_nba.store import models, serving
from bandit_nba.store.database import Database
from bandit_nba.workspace import init_workspace, open_workspace
from tests.learn import tiny_world as world
from tests.learn.tiny_world import Clock

SIZE = 5_000


@pytest.fixture
def workspace(tmp_path: Path) -> Path:
    directory = tmp_path / "shop"
    init_workspace(directory)
    return directory


@pytest.fixture
def database(workspace: Path) -> Iterator[Database]:
    database = Database.open(open_workspace(workspace).database_url)
    definitions.register(open_workspace(workspace), database)
    with database.write() as connection:
        world.put_catalogue(connection, world.CATALOGUE)
    world.play(database, SIZE, seed=1)
    yield database
    database.close()


def nba(*arguments: object) -> Result:
    texts = ["train", *map(str, arguments)]
    return CliRunner().invoke(application(texts), texts)


def trained(*arguments: object) -> dict[str, object]:
    result = nba(*arguments, "--json")
    assert result.exit_code == 0, result.output
    content: dict[str, object] = json.loads(result.output)
    return content


def test_it_has_the_weights_of_the_learner_and_does_not_serve(workspace: Path, database: Database) -> None:
    made = trained(workspace, "--why", "to see")
    loop = LearningLoop.open(open_workspace(workspace), database, clock=Clock(time.time()))
    loop.step()
    assert loop.stop()

    with database.read() as connection:
        newest = models.newest(connection)
        assert newest is not None
        assert serving.serving(connection) == newest != made["version"]
    expected = models.manifest_of(database, newest)
    assert (made["weightsSha256"], made["examplesLearned"]) == (expected.weights_sha256, SIZE)
    assert made["failed"] == []


@pytest.mark.usefixtures("database")
def test_other_options_crosses_and_spans_give_other_models(workspace: Path) -> None:
    plain = trained(workspace)
    other = trained(workspace, "--option", "learning_rate=0.125", "--cross", "UA")
    none = nba(workspace, "--since", "2026-01-01")
    wrong = nba(workspace, "--option", "cb_type=dr")

    assert other["weightsSha256"] != plain["weightsSha256"]
    assert "--learning_rate 0.125" in str(other["vwArgs"])
    assert none.exit_code == 2
    assert "nothing to learn" in none.output
    assert wrong.exit_code == 2
    assert "only mtr learns" in wrong.output


@pytest.mark.usefixtures("database")
@pytest.mark.parametrize("by", ["learner", "driver"])
def test_killed_with_9_it_goes_on_and_ends_the_same(workspace: Path, by: str) -> None:
    """A process of its own, killed as soon as its first checkpoint is there."""
    whole = trained(workspace, "--chunk", "1000")
    command = [sys.executable, "-m", "bandit_nba.cli", "train", str(workspace), "--chunk", "1000", "--by", by]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 60.0
    while not list(workspace.glob("training/*/checkpoint.bin")):
        assert process.poll() is None, "it ended before it was killed"
        assert time.monotonic() < deadline
    process.send_signal(signal.SIGKILL)
    process.wait(10)
    again = trained(workspace, "--chunk", "1000", "--by", by)

    assert again["resumedAt"] in range(1_000, SIZE, 1_000)
    assert (again["weightsSha256"], again["examplesLearned"]) == (whole["weightsSha256"], SIZE)
    assert list(workspace.glob("training/*/*")) == []
