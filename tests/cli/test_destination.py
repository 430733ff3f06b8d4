"""A command that cannot write where it is told to says so before it works, whatever it would have written."""

from pathlib import Path

import pytest

from bandit_nba.workspace import init_workspace
from tests.command import nba


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("destination") / "shop"
    init_workspace(directory)
    return directory


@pytest.mark.parametrize(
    ("command", "option"),
    [
        (("search",), "--out"),
        (("report",), "--out"),
        (("report",), "--json"),
        (("log", "export", "--format", "csv"), "--out"),
    ],
)
def test_there_is_no_such_directory(shop: Path, tmp_path: Path, command: tuple[str, ...], option: str) -> None:
    for there, what in ((tmp_path / "nowhere" / "x", "there is no such directory"), (tmp_path, "is a directory")):
        refused = nba(*command, shop, option, there)

        assert refused.exit_code == 2
        assert what in refused.stderr
        assert option in refused.stderr
    assert list(tmp_path.iterdir()) == []


def test_rejected_rows_need_a_place_too(shop: Path, tmp_path: Path) -> None:
    log = tmp_path / "log.csv"
    log.write_text("arm,propensity,reward\n")
    refused = nba("log", "import", shop, log, "--rejects", tmp_path / "nowhere" / "x")

    assert refused.exit_code == 2
    assert "there is no such directory" in refused.stderr


def test_a_directory_without_a_workspace_is_told_once(tmp_path: Path) -> None:
    for command in ("check", "status", "evaluate", "audit"):
        refused = nba(command, tmp_path)
        assert refused.exit_code != 0
        assert refused.output.count("holds no workspace") == 1, command
        assert "nba init DIR" in refused.output


def test_an_experiment_that_is_none_is_named(tmp_path: Path) -> None:
    for command in ("run", "report"):
        refused = nba("experiment", command, "dely", "--out", tmp_path / "x")
        assert refused.exit_code == 2
        assert 'did you mean "delay"' in refused.stderr
