"""The loop in memory: honest propensities, a model frozen before what judges it, repeatable, fast enough to tune."""

import time

import numpy as np
import pytest

from bandit_nba.decide.policy import Policy
from bandit_nba.errors import InputError
from bandit_nba.evaluate.policies import refuse_seen
from bandit_nba.settings import parse
from experiments.offline_loop import LoopResult, Pace, run
from experiments.offline_value import judged, learned_policy, true_values
from simulators.telco_workspace import telco_policy

POLICY = parse(telco_policy(), Policy, where="policy.toml")
PACE = Pace(per_s=200.0)


@pytest.fixture(scope="module")
def result() -> LoopResult:
    return run(world_seed=1, n_decisions=6_000, policy=POLICY, rng_seed=0, pace=PACE)


def test_every_row_is_a_distribution_over_its_eligible_arms(result: LoopResult) -> None:
    floor = POLICY.exploration.floor / result.mask.sum(axis=1, keepdims=True)

    assert result.probability.sum(axis=1) == pytest.approx(1.0, abs=1e-9)
    assert (result.probability[~result.mask] == 0.0).all()
    assert (result.probability >= floor * result.mask - 1e-12).all()
    assert (result.mask == result.world.eligible[result.customer]).all()
    assert result.mask[np.arange(len(result)), result.chosen].all()


def test_chosen_arms_follow_the_logged_probabilities(result: LoopResult) -> None:
    """Sum over rows of 1{chosen = a} - p_a per arm, in standard errors: all within 5 (seed 0; error rate 1e-5)."""
    hits = np.zeros_like(result.probability)
    hits[np.arange(len(result)), result.chosen] = 1.0
    error = (hits - result.probability).sum(axis=0)
    se = np.sqrt((result.probability * (1.0 - result.probability)).sum(axis=0))

    assert np.abs(error / se).max() < 5.0


def test_nothing_is_learned_before_the_first_wait_is_over(result: LoopResult) -> None:
    lag = int(result.world.delays.horizon_s * PACE.per_s)
    first = slice(0, lag)

    assert result.probability[first] == pytest.approx(result.mask[first] / result.mask[first].sum(axis=1)[:, None])
    assert result.probability[2 * lag :].max() > 0.5


def test_the_frozen_model_never_saw_what_it_is_judged_on(result: LoopResult) -> None:
    log = result.log(start=result.judged_from)
    wait_s = result.world.delays.horizon_s

    refuse_seen(learned_policy(result), log)
    assert result.learned_until <= result.decided_at[result.judged_from] - wait_s
    assert result.frozen.examples_learned == result.judged_from - wait_s * PACE.per_s


def test_the_log_holds_what_happened(result: LoopResult) -> None:
    log = result.log(start=result.judged_from)
    rows = slice(result.judged_from, None)
    arms = np.array(log.arms)

    assert len(log) == 1_800
    assert (log.propensity == result.propensity[rows]).all()
    assert (arms[log.arm[log.chosen]] == arms[result.chosen[rows]]).all()
    assert (log.mask() == result.mask[rows]).all()
    assert log.group.max() + 1 == len(np.unique(result.customer[rows]))


def test_equal_seeds_give_equal_runs_and_other_seeds_others(result: LoopResult) -> None:
    again = run(world_seed=1, n_decisions=6_000, policy=POLICY, rng_seed=0, pace=PACE)
    other = run(world_seed=1, n_decisions=6_000, policy=POLICY, rng_seed=1, pace=PACE)

    for name in ("customer", "probability", "chosen", "reward"):
        assert (getattr(result, name) == getattr(again, name)).all()
        assert not (getattr(result, name) == getattr(other, name)).all()


def test_true_values_agree_with_the_judges_truths(result: LoopResult) -> None:
    values = true_values(result)
    judgements, truths = judged(result, rng=np.random.default_rng(1))

    assert [j.policy for j in judgements] == ["logging", "uniform", "best fixed", "learned"]
    assert truths["uniform"] == pytest.approx(values.uniform, abs=1e-12)
    assert truths["learned"] == pytest.approx(values.learned, abs=1e-12)
    assert truths["logging"] == pytest.approx(values.online, abs=1e-12)
    assert truths["best fixed"] <= values.oracle
    assert values.uniform < values.learned < values.oracle


def test_too_short_a_run_is_refused() -> None:
    with pytest.raises(InputError, match="too few decisions"):
        run(world_seed=1, n_decisions=500, policy=POLICY, rng_seed=0)


def test_twenty_thousand_decisions_take_less_than_ten_seconds_and_learn() -> None:
    """The demonstration's size on a development world: the targets of the closed loop, and the time to tune with it."""
    started = time.process_time()  # of this process alone, whoever else runs beside it
    values = true_values(run(world_seed=2, n_decisions=20_000, policy=POLICY, rng_seed=0))
    seconds = time.process_time() - started

    assert seconds < 10.0
    assert values.closed >= 0.55
    assert values.lift >= 0.20
