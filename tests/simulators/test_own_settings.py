"""Personas, touchpoints and actions of one's own: a file of settings, alone or laid over a shipped world."""

from importlib import resources
from pathlib import Path

import numpy as np
import pytest

import simulators
from bandit_nba.errors import SettingsError
from simulators.gymnasium_env import JourneyEnv
from simulators.journey import JourneyWorld, rollout
from tests import command

BRANCHES = """
base = "fatigue-trap"
title = "A club with branches"
steps = 20

[[personas]]
name = "walker"
numbers = { age = { median = 60.0, spread = 0.2 } }
channels = { branch = 1.0 }
types = { persuadable = 1.0 }
stages = { active = 1.0 }

[[touchpoints]]
channel = "branch"
direction = "inbound"
source = "assumption: answered on the spot"
delays = [{ share = 1.0, mean_hours = 0.1 }]

[overrides]
"actions.gift.value" = 3.0
"""


@pytest.fixture
def branches(tmp_path: Path) -> Path:
    file = tmp_path / "my-branches.toml"
    file.write_text(BRANCHES)
    return file


def test_a_file_laid_over_a_shipped_world_replaces_lists_and_keeps_the_rest(branches: Path) -> None:
    world = simulators.make(str(branches), seed=1, overrides={"uplift.best_fixed": 0.2})
    assert isinstance(world, JourneyWorld)
    values = {arm.id: arm.action.value for arm in world.catalogue.arms}

    assert (world.name, world.channels, world.steps) == ("my-branches", ("branch",), 20)
    assert {p.name for p in world.settings.personas} == {"walker"}
    assert (values["gift"], values["extra_film"]) == (3.0, 8.0)
    assert world.settings.uplift.best_fixed == 0.2
    assert (world.start(500).kind == 0).all()
    assert np.isfinite(rollout.play(world, rollout.at_random, n=50).money).all()


def test_a_whole_world_needs_no_base(tmp_path: Path) -> None:
    """The text of a shipped world under another name is the same world."""
    file = tmp_path / "my-bank.toml"
    file.write_bytes((resources.files("simulators.named_worlds") / "bank_inbound.toml").read_bytes())
    ours, theirs = simulators.make(str(file), seed=3), simulators.make("bank-inbound", seed=3)

    assert np.array_equal(ours.q(ours.start(50)), theirs.q(theirs.start(50)))


def test_customers_who_are_all_alike_are_refused(branches: Path) -> None:
    branches.write_text(BRANCHES.replace("spread = 0.2", "spread = 0.0"))
    with pytest.raises(SettingsError, match="no fact differs between customers; got 'age, owned'"):
        simulators.make(str(branches), seed=1)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (
            'base = "fatigue-trap"',
            'base = "fatige-trap"',
            'unknown world; got .fatige-trap.*did you mean "fatigue-trap"',
        ),
        ('base = "fatigue-trap"', "base = 3", "my-branches.toml: base: is not allowed; got 3; allowed: the name"),
        ('base = "fatigue-trap"', "", "my-branches.toml: actions.gift.value: no such place; got 'actions'"),
        ('name = "walker"', "", r'my-branches.toml: personas\[0\]: the key "name" is missing'),
        (
            "branch = 1.0",
            "brunch = 1.0",
            'personas.walker.channels: unknown name; got .brunch.*Hint: did you mean "branch"',
        ),
        ('"actions.gift.value"', '"actions.gfit.value"', 'my-branches.toml: actions.gfit.value: no such entry.*"gift"'),
        ("mean_hours = 0.1", "mean_hours = -0.1", r"touchpoints\[0\].delays\[0\].mean_hours: is not allowed; got -0.1"),
        ("steps = 20", "steps = 20\nsteps = 21", "is not valid TOML"),
    ],
)
def test_mistakes_are_named_with_the_file(branches: Path, old: str, new: str, message: str) -> None:
    branches.write_text(BRANCHES.replace(old, new))
    with pytest.raises(SettingsError, match=message):
        simulators.make(str(branches), seed=1)


def test_a_file_that_is_not_there_is_named() -> None:
    with pytest.raises(SettingsError, match=r"nowhere.toml: no such file"):
        simulators.make("nowhere.toml", seed=1)
    with pytest.raises(SettingsError, match="missing option"):
        simulators.make("nowhere.toml")


def test_it_is_checked_played_and_learned_on_like_the_shipped_ones(
    branches: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for arguments in (
        ("world", "check", str(branches), "--customers", "100"),
        ("experiment", "run", "journey", "--world", str(branches), "--profile", "quick"),
        ("world", "simulate", "club", "--world", str(branches), "--customers", "20", "--steps", "3"),
    ):
        result = command.nba(*arguments)
        assert result.exit_code == 0, result.output
    assert Path("results/journey-my-branches/result.parquet").is_file()
    assert JourneyEnv(str(branches), customers=10).reset(seed=1)[1]["action_mask"].shape == (5,)
