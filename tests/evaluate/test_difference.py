"""The difference of two policies on the same decisions."""

import math

import numpy as np
import pytest

from bandit_nba.errors import InputError, RefusedError
from bandit_nba.evaluate import estimate, estimate_difference
from bandit_nba.evaluate.estimators import ESTIMATORS

OPTIONS = {"dros": {"shrinkage": 2.0}, "subgaussian": {"shrinkage": 0.3}}


def two_policies(seed=0, n=3000):
    """Weights of two similar policies on one uniform log of 4 arms, and models."""
    rng = np.random.default_rng(seed)
    arm = rng.integers(0, 4, n)
    first, second = np.array([0.4, 0.3, 0.2, 0.1]), np.array([0.35, 0.3, 0.2, 0.15])
    rewards = (rng.random(n) < np.array([0.5, 0.3, 0.2, 0.1])[arm]).astype(float)
    q = {"q_logged": np.full(n, 0.3), "q_policy": rng.random(n), "q_baseline": rng.random(n)}
    return 4 * first[arm], 4 * second[arm], rewards, q


@pytest.mark.parametrize("name", [name for name in ESTIMATORS if name != "replay"])
def test_the_difference_is_that_of_the_two_values(name):
    weights, baseline, rewards, q = two_policies()
    options = OPTIONS.get(name, {})

    gap = estimate_difference(weights, baseline, rewards, **q, estimator=name, weight_range=(0.0, 2.0), **options)
    shared = {"estimator": name, "q_logged": q["q_logged"], "weight_range": (0.0, 2.0), **options}
    ours = estimate(weights, rewards, q_policy=q["q_policy"], **shared)
    theirs = estimate(baseline, rewards, q_policy=q["q_baseline"], **shared)

    assert gap.value == pytest.approx(ours.value - theirs.value, abs=1e-12)
    assert gap.ess == min(ours.ess, theirs.ess)
    if name != "dm":
        swapped = estimate_difference(
            baseline, weights, rewards, **q, estimator=name, weight_range=(0.0, 2.0), **options
        )
        assert swapped.ess == gap.ess


def test_ips_difference_by_hand():
    # (w - w_b) r = 1, 0, -1, 0: mean 0, variance 2/3 (n - 1), se^2 = 2/3/4
    actual = estimate_difference([2, 1, 0, 1], [1, 1, 1, 1], [1, 1, 1, 1], estimator="ips", alpha=0.05)

    assert actual.value == 0.0
    assert actual.high == pytest.approx(1.959963984540054 * math.sqrt(2 / 3 / 4), abs=1e-12)


@pytest.mark.parametrize("interval", ["gaussian", "student_t", "bootstrap"])
def test_shared_luck_makes_it_narrower_than_two_intervals(interval):
    weights, baseline, rewards, _ = two_policies()

    gap = estimate_difference(weights, baseline, rewards, interval=interval, alpha=0.001)
    ours, theirs = (estimate(w, rewards, interval=interval, alpha=0.001) for w in (weights, baseline))

    assert gap.half_width < 0.4 * math.hypot(ours.half_width, theirs.half_width)
    assert gap.low < 0.02 < gap.high  # truth: .05 (.5 - .1); misses with chance .001


def test_a_policy_against_itself_differs_by_nothing():
    weights, _, rewards, _ = two_policies()

    actual = estimate_difference(weights, weights, rewards)

    assert (actual.value, actual.low, actual.high) == (0.0, 0.0, 0.0)


@pytest.mark.parametrize("interval", ["confidence_sequence", "robust_sequence"])
@pytest.mark.parametrize("sign", [1, -1])
def test_sequences_need_only_the_range_of_the_baseline(interval, sign):
    rng = np.random.default_rng(2)
    rewards = (rng.random(20_000) < 0.5).astype(float)
    arm = rng.random(20_000) < 0.5
    rewards = np.where(arm, rewards, (rng.random(20_000) < 0.2).astype(float))
    weights = np.where(arm == (sign == 1), 2.0, 0.0)  # truth: sign * .15 more than the uniform log

    actual = estimate_difference(
        weights, np.ones(20_000), rewards, estimator="ips", interval=interval, baseline_weight_range=(1.0, 1.0)
    )

    assert actual.low < sign * 0.15 < actual.high
    assert actual.half_width < 0.1


def test_sequences_refuse_two_infinite_ranges():
    weights, baseline, rewards, _ = two_policies()
    with pytest.raises(RefusedError, match="infinite"):
        estimate_difference(weights, baseline, rewards, estimator="ips", interval="confidence_sequence")


def test_hoeffding_by_hand():
    # contributions in [-2, 2]: half = 4 sqrt(ln 40 / (2 n)), inside [-1, 1]
    weights, baseline, rewards, _ = two_policies()
    actual = estimate_difference(
        weights, baseline, rewards, estimator="ips", interval="hoeffding", weight_range=(0.0, 2.0)
    )

    assert actual.half_width == pytest.approx(4 * math.sqrt(math.log(40) / 6000), abs=1e-12)
    with pytest.raises(RefusedError, match="infinite"):
        estimate_difference(weights, baseline, rewards, estimator="ips", interval="hoeffding")


@pytest.mark.parametrize("interval", ["clopper_pearson", "cressie_read", "el"])
def test_intervals_of_one_policy_are_refused(interval):
    weights, baseline, rewards, _ = two_policies()
    with pytest.raises(RefusedError, match=interval):
        estimate_difference(weights, baseline, rewards, interval=interval, weight_range=(0.0, 2.0))


def test_replay_is_refused():
    with pytest.raises(InputError, match="replay"):
        estimate_difference([1.0, 1.0], [1.0, 1.0], [1.0, 0.0], estimator="replay")


def test_customers_widen_it():
    weights, baseline, rewards, _ = two_policies(n=500)
    fourfold = [np.repeat(column, 4) for column in (weights, baseline, rewards)]

    once = estimate_difference(weights, baseline, rewards)
    grouped = estimate_difference(*fourfold, groups=np.repeat(np.arange(500), 4))

    assert grouped.half_width == pytest.approx(once.half_width, rel=1e-9)


def test_a_baseline_without_effective_decisions_is_told():
    n = 1000
    baseline = np.zeros(n)
    baseline[:10] = 100.0

    actual = estimate_difference(np.ones(n), baseline, np.full(n, 0.5))

    assert actual.ess == pytest.approx(10.0)
    assert any("of the baseline" in text for text in actual.warnings)
