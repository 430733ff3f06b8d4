"""The Poisson bootstrap: beside the delta method, by customers, through buckets."""

import numpy as np
import pytest
from scipy import stats

from bandit_nba.evaluate import estimate
from bandit_nba.evaluate.intervals.bootstrap import BUCKETS, POISSON
from tests.evaluate.weighed import random_log


def test_bootstrap_agrees_with_the_delta_method_and_repeats():
    weights, rewards = random_log(n=5000)

    first = estimate(weights, rewards, interval="bootstrap", rng=np.random.default_rng(1))
    again = estimate(weights, rewards, interval="bootstrap", rng=np.random.default_rng(1))
    other = estimate(weights, rewards, interval="bootstrap", rng=np.random.default_rng(2))
    delta = estimate(weights, rewards)

    assert first == again
    assert first != other
    assert first.half_width == pytest.approx(delta.half_width, rel=0.1)


def test_bootstrap_moves_numerator_and_denominator_together():
    # a constant reward: the quotient never varies, IPS does
    weights, _ = random_log()
    constant = np.full(len(weights), 0.5)

    assert estimate(weights, constant, interval="bootstrap").half_width == pytest.approx(0, abs=1e-12)
    assert estimate(weights, constant, estimator="ips", interval="bootstrap").half_width > 0.01


def test_bootstrap_counts_are_poisson():
    shares = np.bincount(POISSON.astype(int)) / len(POISSON)

    np.testing.assert_allclose(shares, stats.poisson(1).pmf(np.arange(len(shares))), atol=2e-5)
    assert POISSON.mean() == pytest.approx(1, abs=1e-4)
    assert POISSON.var() == pytest.approx(1, abs=1e-3)


def test_bootstrap_of_many_customers_goes_through_buckets():
    weights, rewards = random_log(n=3 * BUCKETS)

    bucketed = estimate(weights, rewards, interval="bootstrap", rng=np.random.default_rng(1))
    delta = estimate(weights, rewards)

    assert bucketed.half_width == pytest.approx(delta.half_width, rel=0.1)


def test_bootstrap_resamples_customers():
    weights, rewards = random_log(n=300)
    tenfold = np.repeat(weights, 10), np.repeat(rewards, 10)

    once = estimate(weights, rewards, interval="bootstrap", rng=np.random.default_rng(3))
    grouped = estimate(
        *tenfold, interval="bootstrap", groups=np.repeat(np.arange(300), 10), rng=np.random.default_rng(3)
    )

    assert (grouped.low, grouped.high) == pytest.approx((once.low, once.high), abs=1e-12)


def test_bootstrap_leaves_out_and_tells_resamples_without_weight():
    weights = np.r_[np.full(3, 10.0), np.zeros(27)]
    rewards = np.r_[1.0, 0.0, 1.0, np.zeros(27)]

    actual = estimate(weights, rewards, interval="bootstrap")

    assert any("resamples had no decision with weight" in text for text in actual.warnings)
