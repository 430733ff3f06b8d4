"""A replayed policy is the policy: it says of each decision exactly what acting on it said."""

from pathlib import Path

import numpy as np
import pytest

from bandit_nba.decide.scoring import NoModel
from bandit_nba.errors import RefusedError
from bandit_nba.evaluate.policies import refuse_seen
from bandit_nba.promote.candidate import Candidate, read_policy
from bandit_nba.promote.frozen import Freezer, learned_from, split_at
from bandit_nba.promote.reading import read
from bandit_nba.store.database import Database
from bandit_nba.workspace import open_workspace
from tests.promote import world
from tests.promote.test_watch import Likes

NOW_S = world.START_S + 50_000.0


def test_the_log_s_own_policy_gets_its_own_probabilities(shop: Path) -> None:
    (shop / "policy.toml").write_text(world.SHARP)
    workspace = open_workspace(shop)
    world.play(workspace, 300, start_s=world.START_S + 5_000.0, seed=3, scorer=Likes(1))
    database = Database.open(workspace.database_url, create=False)
    log = read(database, workspace, now_s=NOW_S).after(world.START_S + 4_000.0).log
    database.close()

    found = Candidate(workspace.policy, Likes(1), workspace, learned_until=0.0).replay(log)

    np.testing.assert_array_equal(found, log.probability)


def test_a_mixture_counts_each_part_with_its_share(shop: Path) -> None:
    """Control .25 of customers at random, the rest sharp: .25 x even + .75 x own, floored."""
    mixed = shop / "mixed.toml"
    mixture = '[mixture]\nexperiment = "e"\ncontrol = 0.25\n'
    mixed.write_text(world.SHARP.replace("floor = 0.1", "floor = 0.0") + mixture)
    workspace = open_workspace(shop)
    database = Database.open(workspace.database_url, create=False)
    log = read(database, workspace, now_s=NOW_S).log
    database.close()

    found = Candidate(read_policy(mixed, workspace), Likes(1), workspace, learned_until=0.0).replay(log)

    alpha = np.array([name == "alpha" for name in log.arms])[log.arm]
    assert found[alpha] == pytest.approx(0.25 / 3 + 0.75)
    assert np.add.reduceat(found, log.indptr[:-1]) == pytest.approx(1.0)


def test_a_model_learned_from_the_early_part_finds_who_wants_what(shop: Path) -> None:
    workspace = open_workspace(shop)
    database = Database.open(workspace.database_url, create=False)
    reading = read(database, workspace, now_s=NOW_S)
    freezer = Freezer(database, workspace, reading)
    policy = read_policy(shop / "sharp.toml", workspace)
    scorer, until = freezer.model(policy)
    database.close()
    late = reading.after(freezer.split).log

    candidate = Candidate(policy, scorer, workspace, learned_until=until)
    chance = candidate.replay(late)

    refuse_seen(candidate, late)
    assert until <= freezer.split - world.WAIT_S
    young = np.array([name == "young" for name in late.facts.columns["segment"].values])[
        late.facts.columns["segment"].codes
    ]
    is_alpha = np.array([name == "alpha" for name in late.arms])[late.arm]
    open_to_all = np.diff(late.indptr)[late.row] == 3
    assert chance[is_alpha & young[late.row] & open_to_all] == pytest.approx(0.9 + 0.1 / 3)
    assert chance[is_alpha & ~young[late.row] & open_to_all] == pytest.approx(0.1 / 3)


def test_nothing_learned_means_no_model(shop: Path) -> None:
    workspace = open_workspace(shop)
    database = Database.open(workspace.database_url, create=False)
    log = read(database, workspace, now_s=NOW_S).log
    database.close()

    scorer, until = learned_from(log.between(np.inf), workspace.policy, workspace.catalogue)

    assert isinstance(scorer, NoModel)
    assert until == -np.inf


def test_a_log_that_cannot_be_cut_in_two_is_refused() -> None:
    with pytest.raises(RefusedError, match="too few"):
        split_at(np.array([5.0]), [])


def test_what_happened_stands_beside_each_decision(shop: Path) -> None:
    workspace = open_workspace(shop)
    database = Database.open(workspace.database_url, create=False)
    reading = read(database, workspace, now_s=NOW_S)
    database.close()

    assert (reading.happened["accept"] == (reading.log.reward == 1.0)).all()
    beta = np.array([name == "beta" for name in reading.log.arms])[reading.log.arm[reading.log.chosen]]
    assert beta[reading.happened["complaint"]].all()
    barred = np.diff(reading.log.indptr) == 1
    assert 0.03 < barred.mean() < 0.07
    for row in np.flatnonzero(barred)[:5].tolist():
        stages = {stage for stage, _ in reading.removals[int(reading.removed[row])].values()}
        assert stages == {"applicability"}
