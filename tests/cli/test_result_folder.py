"""Results need a folder that can be written: known before the work. Names that are none are said with the nearest."""

import json
from pathlib import Path

import pytest

from bandit_nba.cli.result_folder import result_folder
from tests.command import nba


@pytest.mark.parametrize(
    ("place", "what"),
    [
        ("file", "is no folder"),
        ("file/results", "is no folder"),
        ("", "is empty"),
        ("/proc/results", "cannot be written (No such file or directory)"),  # closed to everybody, also to root
        ("nul\0", "cannot be written (embedded null byte)"),
        ("x" * 300, "cannot be written (File name too long)"),
    ],
)
def test_an_impossible_place_is_refused_before_any_work(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, place: str, what: str
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file").write_text("mine")
    refused = nba("experiment", "run", "bakeoff", "--profile", "quick", "--out", place, "--json")

    assert refused.exit_code == 2
    problem = json.loads(refused.stdout)["problem"]
    assert (problem["kind"], problem["what"], problem["where"]) == ("InputError", what, "--out")
    assert problem["allowed"]
    assert problem["hint"]
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_a_folder_is_made_and_left_empty(tmp_path: Path) -> None:
    place = tmp_path / "a" / "b"

    assert result_folder(str(place), option="--out") == place
    assert list(place.iterdir()) == []


@pytest.mark.parametrize(
    ("command", "where", "hint"),
    [
        (("world", "simulate", "shop", "--world", "telco-jorney"), "--world", '"telco-journey"'),
        (("experiment", "run", "bakof"), "NAME", '"bakeoff"'),
        (("experiment", "report", "bakof"), "NAME", '"bakeoff"'),
        (("experiment", "run", "bakeoff", "--profile", "quik"), "--profile", '"quick"'),
    ],
)
def test_an_unknown_name_is_said_with_where_it_stands_and_the_nearest(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, command: tuple[str, ...], where: str, hint: str
) -> None:
    monkeypatch.chdir(tmp_path)
    refused = nba(*command, "--json")

    assert refused.exit_code == 2
    problem = json.loads(refused.stdout)["problem"]
    assert problem["where"] == where
    assert hint in problem["hint"]
    assert list(tmp_path.iterdir()) == []
