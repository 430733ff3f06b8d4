"""Parity with the package vw-estimators (development only).

Its bugs, left out by name:
- `cressieread.Interval`: where no re-weighting is feasible its *upper* end falls back to r_min; ours is r_max. Where
  rewards do not vary it takes infeasible re-weightings for feasible ones (y z close to 0 although z > 0).
- `cressieread.Interval.__add__`, `clopper_pearson.Interval.__add__`: forget the reward range of the shards.
- `clopper_pearson.Interval`: takes the largest weight *seen* for the largest possible one; compared at that weight.
- `cs.Interval`: no cap of the running guess at 1, so that it is not valid under heavy weights; compared on logs where
  the cap never acts.
- `Interval` of cressieread widens the range of weights to those seen; compared at ranges that hold them.
"""

from math import inf

import numpy as np
import pytest
from estimators.bandits import clopper_pearson, cressieread, cs, gaussian, ips, mle, snips
from estimators.slates import pseudo_inverse

from bandit_nba.evaluate import estimate

SEEDS = range(6)
PROPENSITY = 0.25


def random_log(seed, n=300):
    """Weights with either sign of (mean - 1), rewards of any kind."""
    rng = np.random.default_rng(seed)
    low = rng.choice([0.1, 0.3])
    weights = rng.choice([low, 0.9, 3.5], n, p=[0.4, 0.4, 0.2])
    rewards = (rng.random(n) < 0.3).astype(float) if seed % 2 else rng.random(n)
    return weights, rewards


def fed(reference, weights, rewards):
    for w, r in zip(weights, rewards, strict=True):
        reference.add_example(PROPENSITY, float(r), float(w) * PROPENSITY)
    return reference


@pytest.mark.parametrize("weight_range", [(0.0, inf), (0.0, 4.0), (0.1, 20.0)])
@pytest.mark.parametrize("seed", SEEDS)
def test_likelihood_estimators(seed, weight_range):
    weights, rewards = random_log(seed)

    for name, module in (("el", mle), ("cressie_read", cressieread)):
        expected = fed(module.Estimator(*weight_range), weights, rewards).get()
        actual = estimate(weights, rewards, estimator=name, weight_range=weight_range)
        assert actual.value == pytest.approx(expected, abs=1e-9), name


@pytest.mark.parametrize("seed", SEEDS)
def test_ips_snips_and_the_gaussian_interval(seed):
    weights, rewards = random_log(seed)
    low, high = fed(gaussian.Interval(), weights, rewards).get(0.1)

    actual = estimate(weights, rewards, estimator="ips", alpha=0.1)

    assert actual.value == pytest.approx(fed(ips.Estimator(), weights, rewards).get(), abs=1e-9)
    assert (actual.low, actual.high) == pytest.approx((low, high), abs=1e-9)
    assert estimate(weights, rewards).value == pytest.approx(fed(snips.Estimator(), weights, rewards).get(), abs=1e-9)


@pytest.mark.parametrize("weight_range", [(0.0, inf), (0.0, 4.0), (0.1, 20.0)])
@pytest.mark.parametrize("alpha", [0.05, 0.3])
@pytest.mark.parametrize("seed", SEEDS)
def test_cressie_read_interval(seed, alpha, weight_range):
    weights, rewards = random_log(seed)
    low, high = fed(cressieread.Interval(*weight_range, 0.0, 1.0), weights, rewards).get(alpha)

    actual = estimate(weights, rewards, interval="cressie_read", weight_range=weight_range, alpha=alpha)

    assert (actual.low, actual.high) == pytest.approx((low, high), abs=1e-9)


@pytest.mark.parametrize("seed", SEEDS)
def test_cressie_read_interval_of_money(seed):
    weights, rewards = random_log(seed)
    money = 20 * rewards - 5
    low, high = fed(cressieread.Interval(0.0, 4.0, -5.0, 15.0), weights, money).get(0.05)

    actual = estimate(weights, money, interval="cressie_read", weight_range=(0.0, 4.0), reward_range=(-5.0, 15.0))

    assert (actual.low, actual.high) == pytest.approx((low, high), abs=1e-9)


@pytest.mark.parametrize("seed", SEEDS)
def test_clopper_pearson_interval(seed):
    weights, rewards = random_log(seed)
    low, high = fed(clopper_pearson.Interval(), weights, rewards).get(0.05)

    actual = estimate(weights, rewards, interval="clopper_pearson", weight_range=(0.0, float(weights.max())))

    assert (actual.low, actual.high) == pytest.approx((low, high), abs=1e-9)


@pytest.mark.parametrize("seed", SEEDS)
def test_confidence_sequence(seed):
    # weights up to 1.2 only, so that no running guess reaches 1 and the cap never acts
    rng = np.random.default_rng(seed)
    weights, rewards = rng.choice([0.8, 1.2], 300), rng.random(300) * 0.5 + 0.2
    low, high = fed(cs.Interval(), weights, rewards).get(0.05)

    actual = estimate(weights, rewards, estimator="ips", interval="confidence_sequence")

    assert (actual.low, actual.high) == pytest.approx((low, high), abs=1e-9)


def test_the_upper_end_without_a_feasible_weighting_is_not_that_of_vw():
    # weights of 1.25 alone, possible from .9 on, cannot be brought to a mean of 1: nothing can be said
    weights, rewards = [1.25] * 4, [0.0] * 4
    theirs = fed(cressieread.Interval(0.9, 1.5, 0.0, 1.0), weights, rewards).get(0.05)
    ours = estimate(weights, rewards, interval="cressie_read", weight_range=(0.9, 1.5))

    assert theirs == [0.0, 0.0]
    assert (ours.low, ours.high) == (0.0, 1.0)


@pytest.mark.parametrize("seed", SEEDS)
def test_pseudo_inverse(seed):
    from bandit_nba.evaluate.slates import estimate_slates

    rng = np.random.default_rng(seed)
    mu, pi, rewards = rng.uniform(0.1, 1, (200, 3)), rng.uniform(0, 1, (200, 3)), rng.random(200)
    reference = pseudo_inverse.Estimator()
    for p_log, p_pred, r in zip(mu.tolist(), pi.tolist(), rewards, strict=True):
        reference.add_example(p_log, r, p_pred)

    assert estimate_slates(pi / mu, rewards).value == pytest.approx(reference.get(), abs=1e-9)
