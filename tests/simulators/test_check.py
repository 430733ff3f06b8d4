"""The contract checks pass for sound worlds and name what is wrong with others."""

import functools
from pathlib import Path

import pandas as pd
import pytest

import simulators
from bandit_nba.errors import SettingsError
from simulators.check import check_world, load_world
from simulators.journey import named
from tests import command


def _nba(*arguments: str) -> tuple[int, str]:
    result = command.nba(*arguments)
    return result.exit_code, result.output


@pytest.mark.parametrize("name", sorted(named.WORLDS))
def test_shipped_worlds_keep_the_contract(name: str) -> None:
    findings = list(check_world(functools.partial(simulators.make, name), customers=120, replications=20))

    assert [f.found for f in findings if not f.passed] == []
    assert len(findings) == 7


@pytest.fixture
def own(tmp_path: Path) -> Path:
    file = tmp_path / "my_world.py"
    assert _nba("world", "new", str(file)) == (0, f"{file}: written. Make it your own, then: nba world check {file}\n")
    return file


def test_the_template_keeps_it_and_is_short(own: Path) -> None:
    code, output = _nba("world", "check", str(own))
    lines = [line for line in own.read_text().splitlines() if line.strip()]

    assert code == 0
    assert output.count("ok  ") == 7
    assert output.endswith("keeps the contract\n")
    assert len(lines) <= 65


@pytest.mark.parametrize(
    ("old", "new", "check", "found"),
    [
        ("0.05 + 0.10 * young", "0.05 + 0.15 * young", None, None),
        ("< self.q(state)[rows, arm]", "< 0.8 * self.q(state)[rows, arm]", "truth", "standard errors from q"),
        ("~state.member])", "state.member])", "rules", "disagree with `eligible` about membership"),
        ("np.ones((len(state), 2), dtype=bool)", "np.zeros((len(state), 2), dtype=bool)", "specification", "no_action"),
        ("np.full(len(state), 0.01)", "np.full(len(state), np.nan)", "finite numbers", "q is not finite"),
        ("streams((self.seed, 1, replication), customer)", "streams((1, replication), customer)", None, None),
        ("(self.seed, 1, replication)", "(self.seed, 1)", "determinism", "another replication"),
        ("uniforms(state.stream, state.t + 1, count=1)[0]", "np.random.random(len(state))", "determinism", "same seed"),
        ("state.t += 1", "pass", "specification", "state.t"),
        ('raise InputError("an arm is not eligible", where="arm")', "pass", "masks", "was done"),
    ],
)
def test_what_is_wrong_is_named(own: Path, old: str, new: str, check: str | None, found: str | None) -> None:
    text = own.read_text()
    assert old in text
    own.write_text(text.replace(old, new))
    failed = [f for f in check_world(functools.partial(load_world, own), customers=400) if not f.passed]
    if check is None or found is None:
        assert failed == []
    else:
        assert failed[0].check == check
        assert found in failed[0].found
        assert _nba("world", "check", str(own))[0] == 1


def test_files_that_are_no_worlds(tmp_path: Path, own: Path) -> None:
    with pytest.raises(SettingsError, match="no such file"):
        load_world(tmp_path / "none.py")
    broken = tmp_path / "broken.py"
    broken.write_text("1 / 0")
    with pytest.raises(SettingsError, match="ZeroDivisionError"):
        load_world(broken)
    broken.write_text("x = 1")
    with pytest.raises(SettingsError, match="no function make"):
        load_world(broken)
    assert _nba("world", "new", str(own))[0] == 2
    assert _nba("world", "new", str(tmp_path / "world.txt"))[0] == 2


def test_the_list_names_every_world_and_option() -> None:
    code, output = _nba("world", "list")

    assert code == 0
    for name in simulators.worlds():
        assert f"{name}\n" in output
    assert "wear='high'" in output


def test_a_rule_that_disagrees_is_shown_with_a_customer(own: Path) -> None:
    own.write_text(own.read_text().replace("~state.member])", "~state.member & (state.age < 30)])"))
    code, output = _nba("world", "check", str(own))

    assert code == 1
    assert "by the rules membership is eligible, by `eligible` not; the rules see {'age': " in output


def test_an_experiment_is_run_and_reported_on_ones_own_world(
    own: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All policies of `journey` on the template; a changed file is played anew, an unchanged one is not."""
    monkeypatch.chdir(tmp_path)
    run = ("experiment", "run", "journey", "--world", "my_world.py", "--profile", "quick")
    code, output = _nba(*run)
    assert code == 0, output
    assert "Next: nba experiment report journey --out results/journey-my_world" in output
    first = sorted(path.name for path in Path("results/journey-my_world/runs").iterdir())
    assert _nba(*run)[0] == 0
    assert sorted(path.name for path in Path("results/journey-my_world/runs").iterdir()) == first
    assert _nba("experiment", "report", "journey", "--out", "results/journey-my_world")[0] == 0
    money = pd.read_csv("results/journey-my_world/report/money.csv").set_index("scenario").loc["my_world"]
    assert money["nothing"] < money["random"] < money["myopic money, knows q"]

    own.write_text(own.read_text().replace("0.05 + 0.10 * young", "0.05 + 0.20 * young"))
    assert _nba(*run)[0] == 0
    assert len(list(Path("results/journey-my_world/runs").iterdir())) == 2 * len(first)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("journey", "--world", "nowhere.py"), "no such file"),
        (("journey", "--world", "telco-jurney"), "telco-journey"),
        (("journey-ope", "--world", "telco-journey"), "own worlds only"),
    ],
)
def test_worlds_that_an_experiment_cannot_be_run_on_are_named(arguments: tuple[str, ...], message: str) -> None:
    code, output = _nba("experiment", "run", *arguments)

    assert code == 2
    assert message in output


def test_options_of_ones_own_world_are_the_arguments_of_its_make(own: Path) -> None:
    own.write_text(own.read_text().replace("def make(*, seed):", "def make(*, seed, bonus=0):"))

    assert simulators.make(str(own), seed=3, bonus=1).seed == 3
    with pytest.raises(SettingsError, match="unexpected keyword argument 'bonis'"):
        simulators.make(str(own), seed=3, bonis=1)


@pytest.mark.parametrize(
    ("experiment", "old", "message"),
    [
        ("exploration", "    def at(self, rows):", "the world's state has no at(rows)"),
        ("journey", "    def money(self, state):", "the world has no money(state)"),
    ],
)
def test_what_an_experiment_needs_beyond_the_contract_is_named(
    own: Path, tmp_path: Path, experiment: str, old: str, message: str
) -> None:
    own.write_text(own.read_text().replace(old, old.replace("def ", "def no_")))
    place = str(tmp_path / "out")
    code, output = _nba("experiment", "run", experiment, "--world", str(own), "--profile", "quick", "--out", place)

    assert code == 2
    assert message in output
    assert "docs/worlds.md" in output


def test_a_misspelt_name_is_told_with_the_nearest() -> None:
    code, output = _nba("world", "check", "telco-jurney")

    assert code == 2
    assert "unknown world" in output
    assert "where    FILE" in output
    assert "telco-journey" in output.rpartition("hint")[2]
