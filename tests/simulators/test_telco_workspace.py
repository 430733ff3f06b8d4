"""The Telco workspace passes every check that a workspace of a user passes."""

from pathlib import Path

import pytest

from bandit_nba.errors import SettingsError
from bandit_nba.workspace import inspect_workspace, open_workspace
from simulators.telco import TelcoWorld
from simulators.telco_catalogue import CHANNEL, telco_arms_catalogue
from simulators.telco_workspace import telco_workspace, write_workspace


def test_the_workspace_has_no_problems_and_no_surprises(tmp_path: Path) -> None:
    write_workspace(tmp_path / "telco")
    found = inspect_workspace(tmp_path / "telco")

    assert found.problems == ()
    assert found.notes == ()


def test_it_opens_with_the_worlds_catalogue_and_the_wait_asked_for(tmp_path: Path) -> None:
    write_workspace(tmp_path / "telco", wait="PT7S")
    workspace = open_workspace(tmp_path / "telco")

    assert workspace.catalogue.version == telco_arms_catalogue().version
    assert tuple(workspace.service.channels) == (CHANNEL,)
    assert workspace.rewards.wait_s(CHANNEL) == 7.0
    assert workspace.rewards.outcomes["accept"].reward == 1.0
    assert set(workspace.policy.features.customer) <= set(workspace.catalogue.facts)


def test_the_worlds_responses_come_within_the_wait(tmp_path: Path) -> None:
    write_workspace(tmp_path)
    wait_s = open_workspace(tmp_path).rewards.wait_s(CHANNEL)

    assert TelcoWorld(seed=0).delays.horizon_s == wait_s


def test_an_existing_workspace_is_never_overwritten(tmp_path: Path) -> None:
    write_workspace(tmp_path)
    with pytest.raises(SettingsError, match="already a workspace"):
        write_workspace(tmp_path)


def test_the_files_are_readable() -> None:
    for text in telco_workspace().values():
        assert text.startswith("# ")
        assert max(len(line) for line in text.splitlines()) <= 120
