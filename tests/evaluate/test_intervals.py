"""Every interval: hand-checked numbers, golden numbers, customers, and what is refused."""

import math

import numpy as np
import pytest
from scipy import optimize, stats

from bandit_nba.errors import InputError, RefusedError
from bandit_nba.evaluate import estimate
from bandit_nba.evaluate.intervals import INTERVALS
from tests.evaluate.weighed import random_log

W = np.array([2.0, 0.5, 0.0, 1.5] * 5)
R = np.array([1.0, 0.0, 1.0, 1.0] * 5)


def test_hoeffding_by_hand():
    # range of w r is [0, 2.5]; half = 2.5 sqrt(ln 40 / 40)
    actual = estimate(W, R, estimator="ips", interval="hoeffding", weight_range=(0.0, 2.5))

    half = 2.5 * math.sqrt(math.log(40) / 40)
    assert actual.low == pytest.approx(0.875 - half, abs=1e-12)
    assert actual.high == 1.0  # a mean reward cannot exceed the range of the rewards


def test_hoeffding_with_customers_by_hand():
    # 10 customers with 2 decisions each: sum m^2 = 40, half = 2.5 sqrt(ln(40) * 40 / 2) / 20
    actual = estimate(
        W, R / 2, estimator="ips", interval="hoeffding", weight_range=(0, 2.5), groups=np.arange(20) // 2, alpha=0.5
    )

    half = 2.5 * math.sqrt(math.log(4) * 40 / 2) / 20
    assert actual.low == pytest.approx(max(0.0, 0.4375 - half), abs=1e-12)
    assert actual.high == pytest.approx(min(1.0, 0.4375 + half), abs=1e-12)


def test_empirical_bernstein_by_hand():
    n, terms = 4000, np.tile([0.5, 0.0, 0.25, 0.0], 1000)
    actual = estimate(np.ones(n), terms, estimator="ips", interval="empirical_bernstein", weight_range=(0.0, 2.0))

    level = math.log(4 / 0.05)
    half = math.sqrt(2 * terms.var(ddof=1) * level / n) + 7 * 2 * level / (3 * (n - 1))
    assert actual.low == pytest.approx(0.1875 - half, abs=1e-12)
    assert actual.high == pytest.approx(0.1875 + half, abs=1e-12)


def test_skewed_t_by_hand():
    """w r of IPS is 0, 0, 0, 4: mean 1, influences u = -1/4 (three times) and 3/4.

    sum u^2 = 12/16 = 3/4; sum u^4 = 84/256, so c = (9/16) (256/84) = 12/7; sum u^3 = 24/64, skewness = (3/8) /
    (3/4)^1.5 = 1/sqrt(3); t with max(c - 1, 1) = 1 degree is 12.7062; se = 1 (unbiased); z = 1.959964.
    """
    actual = estimate([1.0, 1.0, 1.0, 4.0], [0.0, 0.0, 0.0, 1.0], estimator="ips", interval="skewed_t")

    shift = (2 * 1.959964**2 + 1) / 6 / math.sqrt(3)
    assert actual.low == pytest.approx(1 - 12.7062047, abs=1e-6)
    assert actual.high == pytest.approx(1 + 12.7062047 + shift, abs=1e-5)


def test_skewed_t_is_the_gaussian_where_no_decision_stands_out():
    rng = np.random.default_rng(21)
    rewards = (rng.random(200_000) < 0.5).astype(float)

    wide = estimate(np.ones(200_000), rewards, interval="skewed_t")
    plain = estimate(np.ones(200_000), rewards, interval="gaussian")

    assert wide.low == pytest.approx(plain.low, abs=1e-3 * plain.half_width)
    assert wide.high == pytest.approx(plain.high, abs=1e-3 * plain.half_width)


def test_student_t_by_hand():
    actual = estimate(W, R, estimator="ips", interval="student_t")

    half = stats.t(19).ppf(0.975) * (W * R).std(ddof=1) / math.sqrt(20)
    assert actual.low == pytest.approx(0.875 - half, abs=1e-12)


def test_clopper_pearson_is_exact_for_counts():
    # 7 successes in 50 trials with every weight 1
    rewards = np.r_[np.ones(7), np.zeros(43)]
    actual = estimate(np.ones(50), rewards, interval="clopper_pearson", weight_range=(0.0, 1.0))

    exact = stats.binomtest(7, 50).proportion_ci(0.95, method="exact")
    assert actual.low == pytest.approx(exact.low, abs=1e-9)
    assert actual.high == pytest.approx(exact.high, abs=1e-9)


def test_clopper_pearson_tells_that_it_used_the_largest_weight_seen():
    weights, rewards = random_log()
    told = estimate(weights, rewards, interval="clopper_pearson")

    known = estimate(weights, rewards, interval="clopper_pearson", weight_range=(0.0, weights.max()))
    assert any("largest weight seen" in text for text in told.warnings)
    assert (told.low, told.high) == pytest.approx((known.low, known.high))


def test_clopper_pearson_without_a_success_and_without_a_failure():
    none = estimate(np.ones(300), np.zeros(300), interval="clopper_pearson", weight_range=(0.0, 1.0))
    every = estimate(np.ones(300), np.ones(300), interval="clopper_pearson", weight_range=(0.0, 1.0))

    # the rule of three: 1 - (alpha/2)^(1/n)
    assert (none.low, none.high) == (0.0, pytest.approx(1 - 0.025 ** (1 / 300), abs=1e-9))
    assert (every.low, every.high) == (pytest.approx(0.025 ** (1 / 300), abs=1e-9), 1.0)


@pytest.mark.parametrize("interval", ["gaussian", "clopper_pearson", "cressie_read", "el", "bootstrap"])
def test_published_example(interval):
    # vw-estimators: p = .5, pi alternating .8/.2 with r = 1/0, 10,000 decisions: within (.75, .85)
    weights, rewards = np.tile([1.6, 0.4], 5000), np.tile([1.0, 0.0], 5000)

    actual = estimate(weights, rewards, estimator="ips", interval=interval)

    assert 0.75 < actual.low < actual.value < actual.high < 0.85


def profile_by_search(weights, terms, v, corners):
    """Largest sum of ln(n Q) with mean weight 1 and mean term v, mass allowed at `corners`: primal, by SLSQP."""
    n = len(weights)
    w = np.r_[weights, [c[0] for c in corners]]
    t = np.r_[terms, [c[0] * c[1] for c in corners]]
    constraints = [
        {"type": "eq", "fun": lambda q: q.sum() - 1, "jac": lambda q: np.ones_like(q)},
        {"type": "eq", "fun": lambda q: q @ w - 1, "jac": lambda _: w},
        {"type": "eq", "fun": lambda q: q @ t - v, "jac": lambda _: t},
    ]
    start = np.r_[np.full(n, 0.9 / n), np.full(len(corners), 0.1 / len(corners))]
    found = optimize.minimize(
        lambda q: -np.log(n * q[:n]).sum(),
        start,
        jac=lambda q: np.r_[-1 / q[:n], np.zeros(len(corners))],
        bounds=[(1e-9, 1)] * n + [(0, 1)] * len(corners),
        constraints=constraints,
        method="SLSQP",
        options={"maxiter": 500, "ftol": 1e-12},
    )
    return -found.fun


def test_empirical_likelihood_ends_have_the_right_likelihood():
    # the dual's ends, put into the primal problem, lose exactly chi-square / 2 of log-likelihood against the best v
    rng = np.random.default_rng(14)
    weights, rewards = rng.choice([0.2, 0.9, 2.0], 30, p=[0.3, 0.5, 0.2]), (rng.random(30) < 0.4).astype(float)
    corners = [(w, r) for w in (0.0, 3.0) for r in (0.0, 1.0)]
    actual = estimate(weights, rewards, estimator="el", interval="el", weight_range=(0.0, 3.0))

    # an independent maximum: over v, on a grid around the estimate
    grid = np.linspace(actual.low, actual.high, 25)
    best = max(profile_by_search(weights, weights * rewards, v, corners) for v in grid)
    for end in (actual.low, actual.high):
        lost = best - profile_by_search(weights, weights * rewards, end, corners)
        assert lost == pytest.approx(3.841458820694124 / 2, abs=0.01)


@pytest.mark.parametrize("interval", ["cressie_read", "el", "clopper_pearson"])
def test_likelihoods_widen_by_the_design_effect(interval):
    # each customer's decision repeated 4 times: the ends are near those of the quarter of the data
    weights, rewards = random_log(n=1500, rate=0.3)
    options = {"interval": interval, "estimator": "ips", "weight_range": (0.0, 2.7)}
    fourfold = np.repeat(weights, 4), np.repeat(rewards, 4)

    once = estimate(weights, rewards, **options)
    grouped = estimate(*fourfold, groups=np.repeat(np.arange(1500), 4), **options)
    naive = estimate(*fourfold, **options)

    assert grouped.half_width == pytest.approx(once.half_width, rel=0.03)
    assert naive.half_width == pytest.approx(once.half_width / 2, rel=0.05)


@pytest.mark.parametrize("interval", ["hoeffding", "empirical_bernstein"])
@pytest.mark.parametrize("estimator", ["ips", "snips", "dr"])
def test_bounds_refuse_an_infinite_range_of_weights(interval, estimator):
    q = np.full(len(W), 0.5)
    with pytest.raises(RefusedError, match=r"weight_range.*infinite"):
        estimate(W, R, q_logged=q, q_policy=q, estimator=estimator, interval=interval)


def test_bounds_accept_an_infinite_range_where_the_estimator_bounds_the_weights():
    q = np.full(len(W), 0.5)

    clipped = estimate(W, R, estimator="ips", interval="hoeffding", clip=2.0)
    shrunk = estimate(W, R, q_logged=q, q_policy=q, estimator="dros", shrinkage=1.0, interval="hoeffding")
    harmonic = estimate(W, R / 2, estimator="subgaussian", shrinkage=0.5, interval="hoeffding", alpha=0.9)

    # largest w' of dros with l = 1 is 1/2: contributions in [-1/2, 3/2], half = 2 sqrt(ln 40 / 40)
    assert clipped.low == pytest.approx(max(0.0, clipped.value - 2 * math.sqrt(math.log(40) / 40)), abs=1e-12)
    # largest w' of sub-Gaussian with l = 1/2 is 2: contributions in [0, 2]
    assert harmonic.half_width == pytest.approx(2 * math.sqrt(math.log(2 / 0.9) / 40), abs=1e-12)
    assert shrunk.low == pytest.approx(max(0.0, shrunk.value - 2 * math.sqrt(math.log(40) / 40)), abs=1e-12)


@pytest.mark.parametrize("interval", ["clopper_pearson", "cressie_read", "el"])
def test_likelihoods_refuse_models_and_clipping(interval):
    q = np.full(len(W), 0.5)
    with pytest.raises(RefusedError, match="unclipped weights"):
        estimate(W, R, q_logged=q, q_policy=q, estimator="dr", interval=interval)
    with pytest.raises(RefusedError, match="unclipped weights"):
        estimate(W, R, estimator="ips", clip=1.0, interval=interval)


@pytest.mark.parametrize("interval", ["clopper_pearson", "cressie_read", "el"])
def test_likelihoods_refuse_rewards_outside_of_their_range(interval):
    with pytest.raises(InputError, match=r"rewards\[1\].*inside reward_range"):
        estimate([1.0, 1.0, 1.0], [1.0, 3.0, 0.0], interval=interval)


@pytest.mark.parametrize("interval", ["hoeffding", "empirical_bernstein", "confidence_sequence", "robust_sequence"])
def test_bounds_refuse_rewards_outside_of_their_range(interval):
    with pytest.raises(InputError, match=r"rewards\[1\].*inside reward_range"):
        estimate([1.0, 1.0, 1.0], [1.0, 3.0, 0.0], interval=interval, weight_range=(0.0, 2.0))


@pytest.mark.parametrize("interval", ["hoeffding", "empirical_bernstein", "confidence_sequence", "el", "cressie_read"])
def test_bounds_refuse_an_infinite_range_of_rewards(interval):
    with pytest.raises((InputError, RefusedError), match="reward"):
        estimate(W, R, interval=interval, weight_range=(0.0, 2.0), reward_range=(0.0, math.inf))


@pytest.mark.parametrize("interval", sorted(INTERVALS))
def test_intervals_move_with_the_unit_of_the_rewards(interval):
    # money: r' = 20 r - 5 in [-5, 15] must give 20 V - 5 (up to the mean weight for IPS: on-policy weights here)
    rng = np.random.default_rng(15)
    rewards = rng.random(400)
    weights = np.ones(400)

    plain = estimate(weights, rewards, interval=interval, weight_range=(0.0, 1.0))
    money = estimate(weights, 20 * rewards - 5, interval=interval, weight_range=(0.0, 1.0), reward_range=(-5.0, 15.0))

    assert money.value == pytest.approx(20 * plain.value - 5, abs=1e-9)
    assert money.low == pytest.approx(20 * plain.low - 5, abs=1e-5)
    assert money.high == pytest.approx(20 * plain.high - 5, abs=1e-5)


@pytest.mark.parametrize("interval", sorted(INTERVALS))
def test_a_smaller_alpha_gives_a_wider_interval_around_the_same_value(interval):
    weights, rewards = random_log()

    at5 = estimate(weights, rewards, interval=interval, weight_range=(0.0, 2.7), alpha=0.05)
    at20 = estimate(weights, rewards, interval=interval, weight_range=(0.0, 2.7), alpha=0.2)

    assert at5.value == at20.value
    assert at5.low <= at20.low < at20.high <= at5.high
    assert at20.half_width < at5.half_width


@pytest.mark.parametrize("interval", sorted(INTERVALS))
def test_no_success_at_all_leaves_a_finite_interval_that_holds_zero(interval):
    weights, _ = random_log(n=500)

    actual = estimate(weights, np.zeros(500), interval=interval, weight_range=(0.0, 2.7))

    assert actual.low == pytest.approx(0.0, abs=1e-6)
    assert math.isfinite(actual.high)
