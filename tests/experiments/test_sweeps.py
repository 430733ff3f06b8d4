"""Every shipped experiment runs in its quick form and can be read; what their sweeps say is what they promise."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from bandit_nba.decide.policy import Policy
from bandit_nba.errors import SettingsError
from bandit_nba.settings import load
from experiments.bakeoff.datasets import scenario_line
from experiments.runner.compare import against, half_width, verdicts
from experiments.runner.execute import execute
from experiments.runner.game.play import make_player, run
from experiments.runner.game.product import product_policy
from experiments.runner.game.rounds import make_game
from experiments.runner.gaps import paired
from experiments.runner.report import analysed, write
from experiments.runner.results import read
from experiments.runner.sweep import cells, folder, names, sweep_of
from simulators.bakeoff_data import candidates, chosen, development, held_out

SHIPPED = {
    "bakeoff",
    "bakeoff-worlds",
    "cold-start",
    "delay",
    "exploration",
    "fidelity",
    "journey",
    "journey-ope",
    "long-term",
    "ope-coverage",
    "segment-vs-individual",
    "tuning",
}
TEMPLATE = Path("bandit_nba/templates/telco/policy.toml")


def test_the_shipped_experiments_are_complete() -> None:
    assert set(names()) == SHIPPED
    for name in names():
        for file in ("sweep.toml", "analysis.py", "README.md"):
            assert (folder(name) / file).is_file(), f"{name}/{file}"
        assert "quick" in sweep_of(name).profiles


@pytest.mark.parametrize("name", ["cold-start", "segment-vs-individual"])
def test_a_quick_sweep_runs_and_is_reported(name: str, tmp_path: Path) -> None:
    execute(cells(sweep_of(name), profile="quick"), out=tmp_path)
    page = write(name, analysed(name, tmp_path), tmp_path).read_text()

    assert page.startswith(f"# {sweep_of(name).title}")
    assert list((tmp_path / "report").glob("*.svg"))


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(SHIPPED - {"bakeoff", "cold-start", "fidelity", "segment-vs-individual"}))
def test_every_other_quick_sweep_runs_and_is_reported(name: str, tmp_path: Path) -> None:
    execute(cells(sweep_of(name), profile="quick"), out=tmp_path)

    assert write(name, analysed(name, tmp_path), tmp_path).is_file()


def test_the_bakeoffs_default_is_the_one_that_a_new_workspace_gets() -> None:
    template = load(TEMPLATE, Policy)
    game = make_game({"world": "bakeoff", "world_options": {"dataset": "mlmRev.Socatt"}}, seed=1, rounds=50)
    ours = next(policy for policy in sweep_of("bakeoff").policies if policy.name == "default")
    played = product_policy(game, ours.options)

    assert played.exploration == template.exploration
    assert played.learning == template.learning
    assert played.priors == template.priors


def test_the_bakeoffs_players_play_the_other_worlds_too() -> None:
    assert sweep_of("bakeoff-worlds").policies == sweep_of("bakeoff").policies


@pytest.mark.slow
def test_the_bakeoffs_data_sets_are_those_that_the_rule_takes() -> None:
    text = (folder("bakeoff") / "sweep.toml").read_text()

    assert len(chosen()) >= 10
    assert set(held_out()).isdisjoint(development())
    assert all(scenario_line(name) in text for name in held_out())
    assert text.count('world = "bakeoff"') == len(held_out())
    assert all(one.excluded or (one.rows >= 1_000 and 2 <= one.classes <= 20) for one in candidates())


def test_the_bakeoffs_test_by_hand() -> None:
    """a = .55, b = .5, n = 1,000: se = sqrt((.2475 + .25) / 1000) = .02230, |d| / se = 2.242, p = 1 - erf = .0015;
    a = .52: |d| / se = .8953, p = .205: neither."""
    a, b, n = np.array([0.55, 0.52, 0.45, 0.5]), np.full(4, 0.5), np.full(4, 1_000.0)

    assert verdicts(a, b, n).tolist() == [1, 0, -1, 0]


def test_intervals_over_few_seeds_are_students() -> None:
    """By hand: 1 and 3 have sd sqrt 2, and t_1 is 12.7062: 12.7062 sqrt(2) / sqrt(2); t_4 is 2.7764."""
    assert half_width(np.array([1.0, 3.0])) == pytest.approx(12.7062, abs=1e-4)
    assert half_width(np.arange(5.0)) == pytest.approx(2.7764 * np.sqrt(2.5 / 5), abs=1e-4)
    assert np.isnan(half_width(np.array([1.0])))
    rows = [
        ("s", p, seed, m, v) for p, a, b in (("a", 2, 6), ("b", 1, 3)) for seed, v in enumerate((a, b)) for m in "m"
    ]
    frame = pd.DataFrame(rows, columns=["scenario", "policy", "seed", "metric", "value"]).assign(x=np.nan)
    found = paired(frame, "a", metric="m").iloc[0]  # differences 1 and 3 of a mean of 2

    assert found[["low_%", "gain_%", "high_%"]].tolist() == pytest.approx([-535.31, 100.0, 735.31], abs=0.01)


def test_players_meet_the_same_rounds_and_best_fixed_earns_its_mean() -> None:
    game = make_game({"world": "telco"}, seed=3, rounds=400)
    again = make_game({"world": "telco"}, seed=3, rounds=400)
    player = make_player(game, {"kind": "best_fixed"}, seed=1)
    arm, reward = run(game, player)
    rows = np.arange(400)
    wanted = np.where(game.mask[:, game.best_fixed], game.best_fixed, 0)

    assert (game.luck == again.luck).all()
    assert (arm == wanted).all()
    assert (reward == (game.luck < game.q[rows, wanted])).all()


@pytest.mark.parametrize(
    "options",
    [
        {"kind": "product"},
        {"kind": "product", "exploration": {"kind": "thompson", "members": 2}},
        {"kind": "uniform"},
        {"kind": "segments", "segments": 3},
        {"kind": "segments_known", "segments": 3},
        {"kind": "vowpal", "args": ["--squarecb"]},
        {"kind": "linucb"},
        {"kind": "lints", "alpha": 0.3},
    ],
)
def test_every_player_chooses_possible_arms_and_can_be_repeated(options: dict[str, object]) -> None:
    game = make_game({"world": "telco", "arrive": 0.5}, seed=2, rounds=120)
    arm, reward = run(game, make_player(game, options, seed=1), delay=20)

    assert game.mask[np.arange(len(game)), arm].all()
    assert not game.mask[:60, 9:].any()
    assert (game.situation.mask == game.mask).all()
    assert (arm == run(game, make_player(game, options, seed=1), delay=20)[0]).all()
    assert set(np.unique(reward)) <= {0.0, 1.0}


def test_unknown_names_are_refused() -> None:
    with pytest.raises(SettingsError, match="no such experiment"):
        sweep_of("bakeof")
    with pytest.raises(SettingsError, match="no such profile"):
        cells(sweep_of("delay"), profile="tiny")


def test_the_report_counts_wins_from_the_results(tmp_path: Path) -> None:
    """A policy against itself under another name neither wins nor loses."""
    execute(cells(sweep_of("delay"), profile="quick"), out=tmp_path)
    frame = read(tmp_path)
    one = frame[frame["policy"] == "uniform"]
    both = one.assign(policy="twin")
    found = against(pd.concat([one, both]), "uniform")

    assert found[["wins", "losses"]].to_numpy().sum() == 0
    assert found["difference"].tolist() == [0.0]
