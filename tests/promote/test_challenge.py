"""The gate: a surely better policy takes over, anything else does not, and repeated looks stay one sequence."""

from pathlib import Path

import pytest

from bandit_nba.errors import InputError, SettingsError
from bandit_nba.promote import ledger
from bandit_nba.promote.challenge import challenge
from bandit_nba.workspace import open_workspace
from tests.promote import world

NOW_S = world.START_S + 10_000.0


def test_a_surely_better_policy_takes_over_and_the_old_one_is_kept(shop: Path) -> None:
    """Truth: uniform earns about .18, sharp about .44 (segment's best arm with chance .93)."""
    before = (shop / "policy.toml").read_bytes()
    workspace = open_workspace(shop)

    outcome = challenge(workspace, shop / "sharp.toml", alpha=0.05, now_s=NOW_S, write=True)

    assert outcome.promoted
    assert 0.0 < outcome.verdict.low < 0.26 < outcome.verdict.high
    assert (shop / "policy.toml").read_bytes() == (shop / "sharp.toml").read_bytes()
    assert (shop / outcome.backup).read_bytes() == before
    assert open_workspace(shop).policy.name == "sharp"
    assert [event.kind for event in ledger.events(shop)] == ["entered", "promoted"]


def test_a_policy_that_is_not_better_changes_nothing(shop: Path) -> None:
    even = shop / "even.toml"
    even.write_text(world.SHARP.replace("floor = 0.1", "floor = 1.0").replace("sharp", "even"))
    before = (shop / "policy.toml").read_bytes()

    outcome = challenge(open_workspace(shop), even, alpha=0.05, now_s=NOW_S, write=True)

    assert not outcome.promoted
    assert "not decided yet" in outcome.reason
    assert outcome.verdict.low <= 0.0 <= outcome.verdict.high
    assert (shop / "policy.toml").read_bytes() == before
    assert not (shop / "policies").exists()


def test_a_dry_run_writes_nothing(shop: Path) -> None:
    files = {path: path.read_bytes() for path in shop.glob("*.toml")}

    outcome = challenge(open_workspace(shop), shop / "sharp.toml", alpha=0.05, now_s=NOW_S, write=False)

    assert outcome.promoted
    assert not outcome.backup
    assert {path: path.read_bytes() for path in shop.glob("*.toml")} == files
    assert not (shop / ledger.FILE).exists()


def test_a_second_look_goes_on_with_the_same_decisions_and_the_same_share(shop: Path) -> None:
    weak = shop / "weak.toml"
    weak.write_text(world.SHARP.replace("floor = 0.1", "floor = 0.995").replace("sharp", "weak"))
    workspace = open_workspace(shop)
    first = challenge(workspace, weak, alpha=0.05, now_s=NOW_S, write=True)
    world.play(workspace, 300, start_s=world.START_S + 3_000.0, seed=8)

    second = challenge(workspace, weak, alpha=0.05, now_s=NOW_S, write=True)

    assert not first.promoted
    assert not second.promoted
    assert second.judged == first.judged + 300
    assert second.alpha == first.alpha == 0.05 / 2
    assert [event.kind for event in ledger.events(shop)] == ["entered"]


def test_each_further_challenger_has_a_smaller_share_and_all_add_up_to_alpha() -> None:
    found: list[ledger.Event] = []
    for k in range(50):
        found.append(ledger.new_entry(found, at=float(k), champion="c", policy=f"p{k}", name="", since=0.0))

    assert [event.share for event in found[:3]] == [1 / 2, 1 / 6, 1 / 12]
    assert sum(event.share for event in found) == pytest.approx(1.0 - 1 / 51)


def test_a_policy_found_among_many_has_a_share_of_its_search() -> None:
    search = ledger.Event(kind="searched", at=1.0, champion="c", policy="p", since=77.0, among=30)

    entry = ledger.new_entry([search], at=2.0, champion="c", policy="p", name="", since=5.0)
    other = ledger.new_entry([search], at=2.0, champion="c", policy="q", name="", since=5.0)

    assert (entry.share, entry.since) == (1 / 2 / 30, 77.0)
    assert (other.share, other.since) == (1 / 6, 5.0)


def test_todays_policy_and_a_wrong_file_are_refused_by_name(shop: Path) -> None:
    wrong = shop / "wrong.toml"
    wrong.write_text(world.SHARP.replace('"segment"', '"segmnt"'))

    with pytest.raises(InputError, match="is today's policy already"):
        challenge(open_workspace(shop), shop / "policy.toml", alpha=0.05, now_s=NOW_S, write=True)
    with pytest.raises(SettingsError, match=r"wrong\.toml"):
        challenge(open_workspace(shop), wrong, alpha=0.05, now_s=NOW_S, write=True)


def test_decisions_of_an_earlier_policy_do_not_judge(shop: Path) -> None:
    """Only the last unbroken run of today's policy counts: 2,000 decisions of "uniform" are another champion's."""
    (shop / "policy.toml").write_text(world.UNIFORM.replace('name = "uniform"', 'name = "renamed"'))
    workspace = open_workspace(shop)
    world.play(workspace, 400, start_s=world.START_S + 3_000.0, seed=9)

    outcome = challenge(workspace, shop / "sharp.toml", alpha=0.05, now_s=NOW_S, write=False)

    assert outcome.judged == 400
