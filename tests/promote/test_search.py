"""A search finds the policy that the world rewards, corrects for how many it tried, and leaves a file to promote."""

from pathlib import Path
from types import SimpleNamespace

import msgspec
import numpy as np
import pytest

from bandit_nba.cli.ray_spread import OnRay
from bandit_nba.decide.choice.weighing import Arbitration, Lever
from bandit_nba.decide.policy import Exploration, Policy
from bandit_nba.errors import RefusedError
from bandit_nba.evaluate import estimate_difference
from bandit_nba.evaluate.diagnostics import Finding
from bandit_nba.learn.compile import CompiledEnsemble
from bandit_nba.promote import ledger
from bandit_nba.promote.candidate import Candidate, read_policy
from bandit_nba.promote.frozen import learned_from
from bandit_nba.promote.search import Try, best, prepare, run, unjudged
from bandit_nba.promote.space import groups_of, space
from bandit_nba.workspace import open_workspace
from tests.command import nba
from tests.promote import world

NOW_S = world.START_S + 10_000.0


def test_the_best_of_a_search_is_sure_and_promoted_at_once(shop: Path) -> None:
    out = shop / "best.toml"

    done = nba("search", str(shop), "--out", str(out), "--most", "8", "--workers", "0", "--json")

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

    found = best(list(run(task)))

    scorer, until = learned_from(task.early, found.policy, workspace.catalogue)
    candidate = Candidate(found.policy, scorer, workspace, learned_until=until)
    weights = candidate.replay(task.late)[task.late.chosen] / task.late.propensity
    by_hand = estimate_difference(
        weights, np.ones(len(weights)), task.late.reward, alpha=0.05 / 6, groups=task.late.group
    )
    assert found.gain is not None
    assert (found.gain.low, found.gain.high) == pytest.approx((by_hand.low, by_hand.high))
    assert task.early.decided_at[-1] <= task.split - world.WAIT_S < task.late.decided_at[0] - world.WAIT_S


def test_levers_of_every_group_are_in_the_space_and_today_s_own_way_is_tried_first(shop: Path) -> None:
    workspace = open_workspace(shop)
    named = msgspec.structs.replace(workspace.policy, arbitration=Arbitration(levers={"offers": 3.0}))
    policies = space(
        named, workspace.catalogue.facts, groups=("offers", "service"), most=10_000, rng=np.random.default_rng(0)
    )
    dated = msgspec.structs.replace(named, arbitration=Arbitration(levers=(Lever(group="offers", lever=3.0),)))
    others = space(dated, workspace.catalogue.facts, groups=("offers",), most=10_000, rng=np.random.default_rng(0))

    assert groups_of(workspace.catalogue) == ("offers",)
    found = {tuple(sorted(dict(policy.arbitration.levers).items())) for policy in policies}
    assert found == {
        (("offers", 3.0),),
        (("offers", 1.5),),
        (("offers", 6.0),),
        (("offers", 3.0), ("service", 0.5)),
        (("offers", 3.0), ("service", 2.0)),
        (),
    }
    assert policies[0].exploration == named.exploration
    assert policies[0].arbitration == named.arbitration
    assert len({policy.version for policy in policies}) == len(policies)
    assert {len(policy.arbitration.all_levers) for policy in others} == {0, 1, 2}


def test_a_policy_that_samples_by_an_ensemble_is_judged_by_its_members_votes(shop: Path) -> None:
    workspace = open_workspace(shop)
    policy = msgspec.structs.replace(
        workspace.policy, exploration=Exploration(kind="thompson", members=5, floor=0.1), name="votes"
    )
    task = prepare(workspace, [policy], judged_share=0.4, alpha=0.05, now_s=NOW_S)
    scorer, until = learned_from(task.early, policy, workspace.catalogue)
    chance = Candidate(policy, scorer, workspace, learned_until=until).replay(task.late)

    eligible = np.diff(task.late.indptr)[task.late.row]
    votes = (chance - 0.1 / eligible) / (0.9 / 5)
    # each arm has a whole number of votes (or shares of ties), and not every row is unanimous
    assert np.allclose(np.add.reduceat(votes, task.late.indptr[:-1]), 5.0)
    assert isinstance(scorer, CompiledEnsemble)
    assert best(list(run(task))).gain is not None


def test_it_says_why_policies_could_not_be_judged() -> None:
    few = [
        Finding("size", "stop", f"{n} left", "too few", "log more", {"more": more})
        for n, more in ((5, 90.0), (9, 50.0))
    ]
    lost = Finding("support", "stop", "3 % lost", "unknown", "explore them", {"mass": 0.03})
    tries = [Try(Policy(), None, stop) for stop in (few[0], lost, few[1])]

    assert [str(why) for why in unjudged(tries)] == [
        "2 by size (at best 9 left): too few; log more",
        "1 by support (at best 3 % lost): unknown; explore them",
    ]
    with pytest.raises(RefusedError, match="can judge none") as refused:
        best(tries)
    assert "2 by size (at best 9 left)" in refused.value.hint


@pytest.mark.ray
def test_a_cluster_finds_the_same(shop: Path) -> None:
    workspace = open_workspace(shop)
    policies = space(workspace.policy, workspace.catalogue.facts, most=4, rng=np.random.default_rng(0))
    task = prepare(workspace, policies, judged_share=0.4, alpha=0.05, now_s=NOW_S)

    alone = {one.policy.version: one.gain for one in run(task)}
    together = {one.policy.version: one.gain for one in run(task, spread=OnRay(workers=2))}

    assert together == alone


def test_a_cluster_that_is_not_there_is_said(shop: Path) -> None:
    task = SimpleNamespace(workspace=shop)

    with pytest.raises(RefusedError, match="cannot be reached"):
        list(OnRay(workers=1, address="127.0.0.1:1")(print, task, [1]))
