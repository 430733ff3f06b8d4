"""`nba promote`: exit codes that scripts can rely on, and reasons that people can read."""

from pathlib import Path

import msgspec
import pytest

from bandit_nba.errors import StoreError
from bandit_nba.promote import ledger
from bandit_nba.promote.files import install, keep
from bandit_nba.workspace import open_workspace
from tests.command import nba
from tests.promote import world


def test_promoted_says_what_to_do_next(shop: Path) -> None:
    done = nba("promote", str(shop), str(shop / "sharp.toml"))

    assert done.exit_code == 0, done.output
    assert done.stdout.startswith("Promoted: sharp earns at least ")
    assert "nothing has to be started again" in done.stdout


def test_not_promoted_is_exit_code_1_with_the_reason(shop: Path) -> None:
    even = shop / "even.toml"
    even.write_text(world.SHARP.replace("floor = 0.1", "floor = 1.0").replace("sharp", "even"))

    done = nba("promote", str(shop), str(even), "--json")

    assert done.exit_code == 1
    told = msgspec.json.decode(done.stdout)
    assert not told["promoted"]
    assert told["action"] == "wait"
    assert "not decided yet" in told["reason"]


def test_wrong_input_is_exit_code_2(shop: Path) -> None:
    assert nba("promote", str(shop), str(shop / "none.toml")).exit_code == 2
    assert nba("promote", str(shop), "--watch").exit_code == 2
    assert nba("promote", str(shop)).exit_code == 2


def test_a_policy_that_is_no_file_is_named_with_the_files_that_were_meant(shop: Path) -> None:
    """Policies go by their files; a `name` may stand in several, and is no file."""
    (shop / "other.toml").write_text(world.SHARP.replace("floor = 0.1", "floor = 0.2"))
    by_name = nba("promote", str(shop), "sharp")
    misspelled = nba("promote", str(shop), str(shop / "shrap.toml"))
    nothing_like_it = nba("promote", str(shop), "zzz")

    assert {by_name.exit_code, misspelled.exit_code, nothing_like_it.exit_code} == {2}
    assert "there is no such policy file" in by_name.stderr
    assert f"{shop / 'other.toml'} and in {shop / 'sharp.toml'}" in by_name.stderr
    assert "sharp.toml" in misspelled.stderr
    assert "nba init" not in nothing_like_it.stderr


def test_a_challenger_with_today_s_name_goes_by_its_file(shop: Path) -> None:
    today = open_workspace(shop).policy
    alike, renamed = shop / "alike.toml", shop / "renamed.toml"
    alike.write_text(world.SHARP.replace("sharp", today.name))
    renamed.write_text((shop / "policy.toml").read_text().replace(today.name, "renamed", 1))

    judged = nba("promote", str(shop), str(alike), "--dry-run")
    assert f"{today.name} of alike.toml earns at least" in judged.stdout
    same = nba("promote", str(shop), str(renamed), "--dry-run")
    assert same.exit_code == 2
    assert "decides as today's policy does" in same.stderr


def test_a_policy_that_explores_nothing_comes_with_a_note(shop: Path) -> None:
    greedy = shop / "greedy.toml"
    greedy.write_text(world.SHARP.replace("floor = 0.1", "floor = 0.0").replace("sharp", "greedy"))

    done = nba("promote", str(shop), str(greedy), "--dry-run")

    assert "Note: it does not explore every action" in done.stdout


def test_a_kept_file_is_never_overwritten(tmp_path: Path) -> None:
    first = keep(tmp_path, b"name = 'a'", version="v1")
    again = keep(tmp_path, b"name = 'a'", version="v1")
    other = keep(tmp_path, b"name = 'a'  # edited", version="v1")

    assert first == again != other
    assert first.read_bytes() == b"name = 'a'"


def test_a_policy_file_is_replaced_whole_and_leaves_nothing_behind(tmp_path: Path) -> None:
    (tmp_path / "policy.toml").write_bytes(b"old")

    kept = install(tmp_path, b"new", old_version="v0")

    assert (tmp_path / "policy.toml").read_bytes() == b"new"
    assert kept.read_bytes() == b"old"
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["policies", "policy.toml", "v0.toml"]


def test_a_damaged_ledger_is_named_by_line(shop: Path) -> None:
    ledger.record(shop, ledger.Event(kind="searched", at=1.0, champion="c", policy="p"))
    with (shop / ledger.FILE).open("ab") as file:
        file.write(b"{half")

    with pytest.raises(StoreError, match="line 2"):
        ledger.events(shop)
