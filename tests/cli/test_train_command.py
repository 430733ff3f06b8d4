"""`nba train` on a real workspace: the learner's own weights, other settings, and a run that is killed."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from click.testing import Result

from bandit_nba.online import definitions
from bandit_nba.online.learning_loop import LearningLoop
from bandit_nba.store.database import Database
from bandit_nba.store.registry import models, serving
from bandit_nba.workspace import open_workspace
from tests import command
from tests.learn import tiny_world as world
from tests.learn.tiny_world import Clock

SIZE = 5_000


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
    return command.nba("train", *arguments)


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
def test_an_option_at_odds_with_the_policy_s_is_refused_with_the_way_out(workspace: Path) -> None:
    bold = workspace / "bold.toml"
    learning = "[learning.options]\nftrl = true\nftrl_alpha = 0.01\n"
    bold.write_text(
        re.sub(r"(?ms)^\[learning\.options\].*?(?=^\[|\Z)", learning, (workspace / "policy.toml").read_text())
    )
    refused = nba(workspace, "--policy", bold, "--option", "learning_rate=0.1")
    made = trained(workspace, "--policy", bold, "--option", "ftrl=false", "--option", "learning_rate=0.1")

    assert refused.exit_code == 2
    assert "--option ftrl=false" in refused.output
    assert "--learning_rate 0.1" in str(made["vwArgs"])
    assert "ftrl" not in str(made["vwArgs"])
    crossed = nba(workspace, "--cross", "XY")
    assert crossed.exit_code == 2
    assert "features.interactions[0]" in crossed.output
    assert "'XY'" in crossed.output
    for mistyped in ("ftrI=false", "power_t=false", "learning_rate"):
        assert nba(workspace, "--option", mistyped).exit_code == 2


def test_a_file_that_is_not_there_is_named(workspace: Path) -> None:
    for option, like in (("--policy", "policy.toml"), ("--rewards", "rewards.toml")):
        missing = nba(workspace, option, "nowhere.toml")
        assert missing.exit_code == 2
        assert "there is no such file" in missing.output
        assert f"a file such as {like}" in missing.output


@pytest.mark.usefixtures("database")
@pytest.mark.parametrize("by", ["learner", "driver"])
def test_killed_with_9_it_goes_on_and_ends_the_same(workspace: Path, by: str) -> None:
    """A process of its own, killed as soon as its first checkpoint is there."""
    whole = trained(workspace, "--chunk", "1000")
    command = ["-m", "bandit_nba.cli", "train", str(workspace), "--chunk", "1000", "--by", by]
    killed_half_way(workspace, command)
    again = trained(workspace, "--chunk", "1000", "--by", by)

    assert again["resumedAt"] in range(1_000, SIZE, 1_000)
    assert (again["weightsSha256"], again["examplesLearned"]) == (whole["weightsSha256"], SIZE)
    assert list(workspace.glob("training/*/*")) == []


WITH_HELPER = (
    "import sys; from bandit_nba.store.learner import beside; beside.WORTH = 0; from bandit_nba.cli import main; main()"
)


@pytest.mark.skipif(not hasattr(os, "sched_getaffinity") or len(os.sched_getaffinity(0)) < 2, reason="one core")
@pytest.mark.usefixtures("database")
def test_killed_with_9_beside_its_helper_no_process_and_no_file_stays(workspace: Path) -> None:
    """The helper ends with the pipe that it listens to; what it left is cleared by the run that goes on."""
    whole = trained(workspace, "--chunk", "1000")
    arguments = ["train", str(workspace), "--chunk", "1000"]
    helper = killed_half_way(workspace, ["-c", WITH_HELPER, *arguments])
    assert helper
    deadline = time.monotonic() + 60.0
    while alive(helper):
        assert time.monotonic() < deadline, "the helper outlived its command"
        time.sleep(0.01)
    again = subprocess.run([sys.executable, "-c", WITH_HELPER, *arguments, "--json"], capture_output=True, check=True)
    made = json.loads(again.stdout)

    assert made["resumedAt"] in range(1_000, SIZE, 1_000)
    assert (made["weightsSha256"], made["examplesLearned"]) == (whole["weightsSha256"], SIZE)
    assert list(workspace.glob("training/*/*")) == []


def killed_half_way(workspace: Path, command: list[str]) -> int:
    """Kill such a training once it has a checkpoint; gives the process that it had started, 0 for none.

    Where the machine was so busy that it was through before, it left no file, and is begun again.
    """
    deadline = time.monotonic() + 60.0
    while True:
        process = subprocess.Popen([sys.executable, *command], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        helper = 0
        while process.poll() is None and not list(workspace.glob("training/*/checkpoint.bin")):
            assert time.monotonic() < deadline
            with suppress(OSError):  # it has just ended
                helper = helper or next(iter(children(process.pid)), 0)
            time.sleep(0.001)
        process.send_signal(signal.SIGKILL)
        process.wait(10)
        if list(workspace.glob("training/*/checkpoint.bin")):
            return helper


def children(pid: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def alive(pid: int) -> bool:
    """Whether it still runs; one that nobody has waited for yet does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False
