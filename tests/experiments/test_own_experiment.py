"""A researcher's own experiment: a folder with a sweep, policies and worlds, run and reported like the shipped ones."""

import re
from pathlib import Path

import pandas as pd
import pytest

from bandit_nba.errors import InputError, SettingsError
from experiments.runner.execute import execute, play
from experiments.runner.report import analysed, write
from experiments.runner.results import read
from experiments.runner.sweep import cells, sweep_of
from tests import command

SWEEP = """
title = "Mine"
play = "experiments.runner.customers.play:play"
rounds = 40
seeds = { first = 3, count = 2 }
scenarios = [
    { name = "telco", options = { world = "telco-journey", world_options = { steps = 6 } } },
    { name = "dear", options = { world = "dear.toml", world_options = { steps = 6 } } },
]
policies = [
    { name = "nothing", options = { kind = "nothing" } },
    { name = "mine", options = { kind = "own", file = "mine.py", arm = "online_security" } },
]
"""
POLICY = '''
"""One arm until somebody answered it, then nothing."""
from simulators.journey import rollout

class Once:
    def __init__(self, arm):
        self.arm, self.answered = rollout.always(arm), False
    def __call__(self, world, state):
        return rollout.nothing(world, state) if self.answered else self.arm(world, state)
    def learn(self, outcome):
        self.answered |= bool(((outcome.arm > 0) & outcome.responded).any())

def journey_policy(world, *, seed, arm):
    return Once(arm)

class Best:
    batch = 20
    def __init__(self, game, arm):
        self.game, self.arm = game, arm
    def decide(self, rows):
        mask = self.game.mask[rows]
        return (mask[:, self.arm] * self.arm if self.arm < mask.shape[1] else mask[:, 0] * self.arm), mask[:, 0] * 1.0
    def learn(self, rows, chosen, rewards, propensities):
        pass

def player(game, *, seed, arm=1):
    return Best(game, arm)
'''


@pytest.fixture
def mine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    place = tmp_path / "mine"
    place.mkdir()
    (place / "sweep.toml").write_text(SWEEP)
    (place / "mine.py").write_text(POLICY)
    (place / "dear.toml").write_text('base = "telco-journey"\n[overrides]\n"actions.online_security.cost" = 5.0\n')
    monkeypatch.chdir(tmp_path)
    return place


def _nba(*arguments: str) -> tuple[int, str]:
    result = command.nba(*arguments)
    return result.exit_code, result.output


def test_its_results_lie_here_wherever_the_folder_is(mine: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    there = mine.parent / "there"
    there.mkdir()
    monkeypatch.chdir(there)
    for name in ("../mine", str(mine)):
        code, output = _nba("experiment", "run", name)
        assert code == 0, output
        assert "in results/mine/result.parquet" in output
        assert _nba("experiment", "report", name)[0] == 0
    assert [path.name for path in there.iterdir()] == ["results"]
    assert "results" not in [path.name for path in (*mine.parent.iterdir(), *mine.iterdir())]


@pytest.mark.usefixtures("mine")
def test_it_is_run_and_reported_by_its_folder() -> None:
    """An own policy on a shipped world and on own settings; what its only action costs is what differs."""
    code, output = _nba("experiment", "run", "mine")
    assert code == 0, output
    assert "8 runs in results/mine/result.parquet" in output
    assert _nba("experiment", "report", "mine")[0] == 0
    page = Path("results/mine/report/report.md").read_text()
    money = pd.read_csv("results/mine/report/money.csv").set_index("scenario")

    assert page.startswith("# Mine\n")
    assert money["nothing"]["telco"] == money["nothing"]["dear"]
    assert money["mine"]["dear"] < money["mine"]["telco"]
    frame = read(Path("results/mine"))
    contacts = frame[(frame["metric"] == "contacts") & (frame["policy"] == "mine") & (frame["scenario"] == "telco")]
    assert contacts.groupby("x")["value"].max().iloc[-1] == 0.0  # it has learned that somebody answered


def test_a_changed_file_is_played_anew_and_nothing_else(mine: Path) -> None:
    before = {cell.key: cell.id for cell in cells(sweep_of("mine"))}
    (mine / "mine.py").write_text(POLICY + "\n")
    (mine / "dear.toml").write_text((mine / "dear.toml").read_text() + "\n")
    after = {cell.key: cell.id for cell in cells(sweep_of(str(mine)))}
    same = {key for key in before if before[key] == after[key]}

    assert same == {("telco", "nothing", 3), ("telco", "nothing", 4)}


def test_an_own_analysis_and_an_own_player(mine: Path, tmp_path: Path) -> None:
    text = SWEEP.replace("customers.play", "game.play").replace('arm = "online_security"', "arm = 2")
    (mine / "sweep.toml").write_text(text.replace('"nothing"', '"uniform"'))
    execute(cells(sweep_of("mine")), out=tmp_path / "out")
    assert "learning_curves" in write("mine", analysed("mine", tmp_path / "out"), tmp_path / "out").read_text()
    (mine / "analysis.py").write_text(
        "from experiments.runner.report import Report\n"
        "def analyse(frame):\n    return Report(tables={}, words=(f'{len(frame)} numbers',))\n"
    )

    assert analysed("mine", tmp_path / "out").words == (f"{len(read(tmp_path / 'out'))} numbers",)


def test_an_own_player_cannot_choose_what_customers_may_not_have(mine: Path) -> None:
    text = SWEEP.replace("customers.play", "game.play").replace('arm = "online_security"', "arm = 99")
    (mine / "sweep.toml").write_text(text.replace('"nothing"', '"uniform"'))
    with pytest.raises(InputError, match="round 0: the arm is not eligible; got 99"):
        play(cells(sweep_of("mine"))[1])


def test_an_error_says_in_which_run(mine: Path) -> None:
    (mine / "mine.py").write_text(
        "import numpy as np\ndef journey_policy(world, *, seed, arm):\n    return lambda w, s: np.full(len(s), 99)\n"
    )
    code, output = _nba("experiment", "run", "mine")

    assert code == 2
    assert "no such arm" in output
    assert "where    telco / mine / seed 3: arm" in output


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('file = "mine.py"', 'file = "mein.py"', "sweep.toml: mine: file: no such file; got 'mein.py'"),
        ('world = "dear.toml"', 'world = "chip.toml"', "sweep.toml: dear: world: no such file; got 'chip.toml'"),
        ('file = "mine.py", ', "", 'policies.options: names no file. Hint: file = "my_policy.py"'),
        ('arm = "online_security"', "arms = 1", "journey_policy does not take this .*'arm'"),
        ('arm = "online_security"', 'arm = "online_securty"', 'no such arm; got .*did you mean "online_security"'),
        ('kind = "own"', 'kind = "onw"', "policies.options.kind: no such policy; got 'onw'; allowed: nothing, random"),
    ],
)
def test_mistakes_are_named(mine: Path, old: str, new: str, message: str) -> None:
    (mine / "sweep.toml").write_text(SWEEP.replace(old, new))
    with pytest.raises((SettingsError, InputError), match=message):
        play(cells(sweep_of("mine"))[1])


def test_a_folder_without_a_sweep_is_no_experiment(tmp_path: Path) -> None:
    code, output = _nba("experiment", "run", str(tmp_path))

    assert code == 2
    assert "a folder of your own needs a sweep.toml" in output


def test_what_the_docs_show_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each block of docs/worlds.md that begins with a file's name is written under it and used as the text says."""
    blocks = re.findall(r"```\w+\n# (\S+)\n(.*?)```", Path("docs/worlds.md").read_text(), flags=re.DOTALL)
    monkeypatch.chdir(tmp_path)
    for name, text in blocks:
        Path(name).parent.mkdir(exist_ok=True)
        Path(name).write_text(text)

    assert [name for name, _ in blocks] == ["my_shop.toml", "patience/sweep.toml", "patience/rested.py"]
    assert _nba("world", "check", "my_shop.toml", "--customers", "100")[0] == 0
    code, output = _nba("experiment", "run", "patience", "--seeds", "1")
    assert code == 0, output
    assert _nba("experiment", "report", "patience")[0] == 0
    money = pd.read_csv("results/patience/report/money.csv").set_index("scenario")
    assert list(money.columns) == ["learned", "nothing", "rested"]
    assert (money > 0).all(axis=None)
