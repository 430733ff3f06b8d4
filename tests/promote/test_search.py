"""A search finds the policy that the world rewards, corrects for how many it tried, and leaves a file to promote."""

from pathlib import Path

import msgspec
import numpy as np
import pytest
from click.testing import Result
from typer.testing import CliRunner

from bandit_nba.cli import application
from bandit_nba.evaluate import estimate_difference
from bandit_nba.promote import ledger
from bandit_nba.promote.candidate import Candidate, read_policy
from bandit_nba.promote.frozen import learned_from
from bandit_nba.promote.search import best, prepare, run
from bandit_nba.promote.space import space
from bandit_nba.workspace import open_workspace
from tests.promote import world

NOW_S = world.START_S + 10_000.0


def nba(*arguments: str) -> Result:
    return CliRunner().invoke(application(arguments), list(arguments))


def test_the_best_of_a_search_is_sure_and_promoted_at_once(shop: Path) -> None:
    out = shop / "best.toml"

    done = nba("search", str(shop), "--out", str(out), "--most", "8", "--workers", "1", "--json")

    assert done.exit_code == 0, done.output
    found = msgspec.json.decode(done.stdout)
    assert found["tried"] == 8
    assert found["sure"]
    assert 0.0 < found["best"]["gain"]["low"] < 0.33
    search = ledger.events(shop)[-1]
    assert (search.kind, search.among) == ("searched", 8)
    assert search.policy == read_policy(out, open_workspace(shop)).version
    promoted = nba("promote", str(shop), str(out), "--json")
    assert promoted.exit_code == 0, promoted.output
    told = msgspec.json.decode(promoted.stdout)
    assert told["promoted"]
    assert told["alpha"] == pytest.approx(0.05 / 2 / 8)


def test_the_bound_is_that_of_one_among_all_that_were_tried(shop: Path) -> None:
    """By hand: the gain's interval at .05 / 6."""
    workspace = open_workspace(shop)
    policies = space(workspace.policy, workspace.catalogue.facts, most=6, rng=np.random.default_rng(0))
    task = prepare(workspace, policies, judged_share=0.4, alpha=0.05, now_s=NOW_S)

    found = best(list(run(task, workers=1)))

    scorer, until = learned_from(task.early, found.policy, workspace.catalogue)
    candidate = Candidate(found.policy, scorer, workspace, learned_until=until)
    weights = candidate.replay(task.late)[task.late.chosen] / task.late.propensity
    by_hand = estimate_difference(
        weights, np.ones(len(weights)), task.late.reward, alpha=0.05 / 6, groups=task.late.group
    )
    assert found.gain is not None
    assert (found.gain.low, found.gain.high) == pytest.approx((by_hand.low, by_hand.high))
    assert task.early.decided_at[-1] <= task.split - world.WAIT_S < task.late.decided_at[0] - world.WAIT_S


def test_processes_find_the_same(shop: Path) -> None:
    workspace = open_workspace(shop)
    policies = space(workspace.policy, workspace.catalogue.facts, most=4, rng=np.random.default_rng(0))
    task = prepare(workspace, policies, judged_share=0.4, alpha=0.05, now_s=NOW_S)

    alone = {one.policy.version: one.gain for one in run(task, workers=1)}
    together = {one.policy.version: one.gain for one in run(task, workers=2)}

    assert together == alone
