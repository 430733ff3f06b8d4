"""A command that cannot write where it is told to says so before it works, whatever it would have written."""

import os
from pathlib import Path

import msgspec
import pytest

from bandit_nba.cli.destination import writable
from bandit_nba.store.database import Database, sqlite_url
from bandit_nba.workspace import init_workspace, open_workspace
from tests.command import nba
from tests.full_disk import most_bytes


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


@pytest.mark.parametrize("name", ["nba.db", "nba.db-wal", "nba.db-shm", "link"])
def test_a_store_is_never_written_over_wherever_it_lies(shop: Path, tmp_path: Path, name: str) -> None:
    """`service.toml` or the environment may name one outside of the workspace."""
    store = tmp_path / "nba.db"
    Database.open(sqlite_url(store)).close()
    (tmp_path / "link").symlink_to(store)
    before = store.read_bytes()
    refused = nba("log", "export", shop, "--format", "dsjson", "--out", tmp_path / name)

    assert refused.exit_code == 2
    assert "is a database" in refused.stderr
    assert store.read_bytes() == before
    os.mkfifo(tmp_path / "pipe")
    writable(tmp_path / "pipe", option="--out")  # does not wait


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


@pytest.mark.parametrize("place", ["data/nba.db", "data/archive/x", "secrets/salts.toml", "policy.toml", "x/../data/x"])
def test_nothing_is_written_over_what_a_workspace_lives_on(shop: Path, place: str) -> None:
    (shop / "x").mkdir(exist_ok=True)
    (shop / "data" / "archive").mkdir(parents=True, exist_ok=True)
    Database.open(open_workspace(shop).database_url).close()
    before = {path: path.read_bytes() for path in shop.rglob("*") if path.is_file()}
    log = shop / "x" / "log.csv"
    for command in (("export", shop, "--format", "csv", "--out"), ("import", shop, log, "--rejects")):
        log.write_text("arm,propensity,reward\n")
        refused = nba("log", *command, shop / place)

        assert refused.exit_code == 2
        assert "belongs to the workspace" in refused.stderr
    log.unlink()
    assert {path: path.read_bytes() for path in shop.rglob("*") if path.is_file()} == before


def test_rejected_rows_never_replace_the_log_that_they_are_from(shop: Path, tmp_path: Path) -> None:
    log = tmp_path / "log.csv"
    log.write_text("arm,propensity,reward\nnobody,2,1\n")
    (tmp_path / "same").symlink_to(log)
    for name in ("log.csv", "same"):
        refused = nba("log", "import", shop, log, "--channel", "web", "--rejects", tmp_path / name)

        assert refused.exit_code == 2
        assert "is the log itself" in refused.stderr
    assert log.read_text() == "arm,propensity,reward\nnobody,2,1\n"


def test_a_disk_without_room_is_told_plainly(shop: Path, tmp_path: Path) -> None:
    Database.open(open_workspace(shop).database_url).close()
    log = tmp_path / "log.csv"
    log.write_text("arm,propensity,reward\n" + "nobody,2,1\n" * 2_000)
    with most_bytes(100_000):  # enough for what the store needs
        rejects = nba("log", "import", shop, log, "--rejects", tmp_path / "rejects", "--json")
    assert (rejects.exit_code, "the machine refused (File too large)" in rejects.stderr) == (2, True)
    assert msgspec.json.decode(rejects.stdout)["problem"]["kind"] == "StoreError"
