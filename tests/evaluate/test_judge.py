"""Judgement on a small log against its known truth."""

import numpy as np
import pytest

from bandit_nba.decide.policy import FeatureSettings
from bandit_nba.errors import RefusedError
from bandit_nba.evaluate.judge import best_fixed, judge
from bandit_nba.evaluate.policies import Fixed, LoggingPolicy, Uniform
from bandit_nba.evaluate.reward_model import cross_fitted
from tests.evaluate.logs import cell_truth, sampled

FEATURES = FeatureSettings(customer=("segment",), channel=False)
POLICIES = (LoggingPolicy(), Uniform(), Fixed("a"), Fixed("b"))


def test_intervals_hold_the_truth_on_most_logs():
    """20 logs x 4 policies x 3 estimators: each pair misses 5 % of 20; 5 or more misses has chance .003 a pair."""
    misses = dict.fromkeys((p.name, e) for p in POLICIES for e in ("ips", "snips", "dr"))
    misses = dict.fromkeys(misses, 0)
    for seed in range(20):
        log = sampled(1_500, seed=seed)
        truth = cell_truth(log)
        for j in judge(log, POLICIES, features=FEATURES, rng=np.random.default_rng(seed)):
            true_value = (j.probability * truth).sum() / len(log)
            for name, e in j.estimates.items():
                misses[j.policy, name] += not e.low <= true_value <= e.high

    assert max(misses.values()) < 5, misses


def test_the_logging_policy_gets_its_own_mean_exactly():
    log = sampled(500, seed=30)

    (found,) = judge(
        log, [LoggingPolicy()], features=FEATURES, estimators=("ips", "snips"), rng=np.random.default_rng(0)
    )

    assert found.weights.tolist() == [1.0] * 500
    assert found.estimates["ips"].value == pytest.approx(log.reward.mean(), abs=1e-12)
    assert found.estimates["snips"].value == pytest.approx(log.reward.mean(), abs=1e-12)


def test_the_reward_model_finds_the_truth_and_never_sees_its_own_customer():
    log = sampled(20_000, seed=31)

    q = cross_fitted(log, FEATURES, rng=np.random.default_rng(0))

    assert np.abs(q - cell_truth(log)).mean() < 0.03
    # A customer whose every reward is turned round must not change what is predicted for that customer.
    mine = log.group == log.group[0]
    turned = log.reward.copy()
    turned[mine] = 1.0 - turned[mine]
    other = log.__class__(**{**log.__dict__, "reward": turned})
    again = cross_fitted(other, FEATURES, rng=np.random.default_rng(0))
    np.testing.assert_array_equal(again[mine[log.row]], q[mine[log.row]])
    assert np.abs(again - q).max() > 0


def test_the_best_fixed_arm_is_found_and_judged_only_on_later_decisions():
    """Arm a earns (.5 + .1) / 2 where it can be had, b (.1 + .6) / 2 on nine rows of ten: .30 against .315."""
    log = sampled(20_000, seed=32)
    early = log.between(-np.inf, 14_999.0)

    found = best_fixed(early, ("no_action", "a", "b"), features=FEATURES, rng=np.random.default_rng(0))

    truth = cell_truth(early)
    values = {arm: float((Fixed(arm).replay(early) * truth).sum() / len(early)) for arm in ("a", "b")}
    assert values[found.arm] > max(values.values()) - 0.02
    assert found.learned_until == 14_999.0
    with pytest.raises(RefusedError, match="may have learned from"):
        judge(early, [found], features=FEATURES, rng=np.random.default_rng(0))
