"""Buying laws against published values: CDNOW's BG/NBD and Gamma-Gamma, and the sBG of Fader and Hardie."""

import numpy as np
import pytest
from scipy.stats import poisson

import simulators
from simulators.journey import contracts, purchases
from simulators.journey.named import settings_of
from simulators.journey.settings import Contract

LAW = settings_of("retail-lifecycle").purchases
assert LAW is not None


def test_the_world_is_calibrated_on_cdnow() -> None:
    assert (LAW.r, LAW.alpha, LAW.a, LAW.b) == (0.243, 4.414, 0.793, 2.426)
    assert (LAW.p, LAW.q, LAW.v) == (6.25, 3.74, 15.44)


def test_the_published_conditional_expectation() -> None:
    """E[Y(39) | x=2, tx=30.43, T=38.86] = 1.226 (Fader, Hardie and Lee 2005, table of customer 1)."""
    assert purchases.expected_future(39.0, x=2, tx=30.43, observed=38.86, law=LAW) == pytest.approx(1.226, abs=5e-4)


def test_simulated_counts_have_the_moments_of_the_law() -> None:
    """E[X(t)] of eq. (9) at 8, 39 and 78 weeks by weekly steps; 200,000 customers, seed 1, |z| < 4 (6e-5 each)."""
    rng = np.random.default_rng(1)
    n = 200_000
    rate, leave, _ = purchases.draw_customers(rng, n, LAW)
    alive, count = np.ones(n, dtype=np.bool_), np.zeros(n)
    for week in range(1, 79):
        rows = alive.nonzero()[0]
        bought, gone = purchases.purchases_within(rate[rows], leave[rows], rng.random(len(rows)), rng.random(len(rows)))
        count[rows] += bought
        alive[rows[gone]] = False
        if week in (8, 39, 78):
            z = (count.mean() - purchases.expected_purchases(float(week), LAW)) / (count.std() / np.sqrt(n))
            assert abs(z) < 4.0


def test_conditional_expectations_predict_the_simulated_future() -> None:
    """Of customers who bought twice, or never, in 39 weeks: their mean next 39 against eq. (10); seed 2, |z| < 4."""
    rng = np.random.default_rng(2)
    n = 150_000
    rate, leave, _ = purchases.draw_customers(rng, n, LAW)
    alive, last = np.ones(n, dtype=np.bool_), np.zeros(n)
    first, second = np.zeros(n), np.zeros(n)
    for week in range(1, 79):
        rows = alive.nonzero()[0]
        bought, gone = purchases.purchases_within(rate[rows], leave[rows], rng.random(len(rows)), rng.random(len(rows)))
        (first if week <= 39 else second)[rows] += bought
        if week <= 39:
            last[rows[bought > 0]] = week - 0.5
        alive[rows[gone]] = False
    chosen = np.flatnonzero((first == 2) & (last > 20))
    expected = [purchases.expected_future(39.0, x=2, tx=t, observed=39.0, law=LAW) for t in last[chosen]]
    z = (second[chosen].mean() - np.mean(expected)) / (second[chosen].std() / np.sqrt(len(chosen)))
    silent = second[first == 0]
    of_silent = purchases.expected_future(39.0, x=0, tx=0.0, observed=39.0, law=LAW)

    assert abs(z) < 4.0
    assert abs(silent.mean() - of_silent) < 4.0 * silent.std() / np.sqrt(len(silent))


def test_the_parameters_are_found_again_by_likelihood() -> None:
    """The likelihood of 20,000 simulated customers is higher at the truth than 15 % beside it, in each parameter."""
    rng = np.random.default_rng(3)
    n, weeks = 20_000, 78
    rate, leave, _ = purchases.draw_customers(rng, n, LAW)
    alive, x, tx = np.ones(n, dtype=np.bool_), np.zeros(n), np.zeros(n)
    for week in range(weeks * 7):  # days: at most one purchase is lost to rounding
        rows = alive.nonzero()[0]
        bought, gone = purchases.purchases_within(
            rate[rows] / 7, leave[rows], rng.random(len(rows)), rng.random(len(rows))
        )
        x[rows] += bought
        tx[rows[bought > 0]] = (week + 0.5) / 7
        alive[rows[gone]] = False
    observed = np.full(n, float(weeks))
    at_truth = purchases.log_likelihood(x, tx, observed, LAW)
    for name in ("r", "alpha", "a", "b"):
        for factor in (1 / 1.3, 1.3):
            beside = {key: getattr(LAW, key) for key in LAW.__struct_fields__} | {name: getattr(LAW, name) * factor}
            assert purchases.log_likelihood(x, tx, observed, type(LAW)(**beside)) < at_truth


def test_amounts_have_the_published_mean() -> None:
    """Gamma-Gamma: p v / (q - 1) = 35.22; 400,000 purchases, seed 4, |z| < 4."""
    rng = np.random.default_rng(4)
    _, _, mean = purchases.draw_customers(rng, 400_000, LAW)
    paid = purchases.amounts(mean, np.ones(400_000, dtype=np.int64), rng.random(400_000), LAW)
    z = (paid.mean() - purchases.expected_amount(LAW)) / (paid.std() / np.sqrt(len(paid)))

    assert purchases.expected_amount(LAW) == pytest.approx(6.25 * 15.44 / 2.74)
    assert abs(z) < 4.0
    assert purchases.conditional_amount(40.0, 0, LAW) == pytest.approx(purchases.expected_amount(LAW))
    # by hand, two purchases of 10 on average: 6.25 (15.44 + 2 x 10) / (6.25 x 2 + 3.74 - 1)
    assert purchases.conditional_amount(10.0, 2, LAW) == pytest.approx(221.5 / 15.24)


def test_customers_differ_in_their_mean_amounts_as_the_law_says() -> None:
    """p / mean = nu ~ Gamma(q, v): mean q / v = .242228, variance q / v^2 = .015688; 400,000 customers, seed 7."""
    _, _, mean = purchases.draw_customers(np.random.default_rng(7), 400_000, LAW)
    nu = LAW.p / mean
    squares = (nu - nu.mean()) ** 2

    assert abs(nu.mean() - 0.242228) < 4.5 * nu.std() / np.sqrt(400_000)
    assert abs(squares.mean() - 0.015688) < 4.5 * squares.std() / np.sqrt(400_000)


@pytest.mark.parametrize("count", [1, 3])
def test_amounts_vary_as_the_sum_of_so_many(count: int) -> None:
    """Each Gamma(p) of mean 20: the sum has mean 20 n and variance n 20^2 / p; 300,000 sums, seed 8, |z| < 4.5."""
    n = 300_000
    u = np.random.default_rng(8).random(n)
    paid = purchases.amounts(np.full(n, 20.0), np.full(n, count), u, LAW)
    squares = (paid - 20.0 * count) ** 2

    assert abs(paid.mean() - 20.0 * count) < 4.5 * paid.std() / np.sqrt(n)
    assert abs(squares.mean() - count * 400.0 / LAW.p) < 4.5 * squares.std() / np.sqrt(n)


def test_counts_follow_poissons_law_by_hand() -> None:
    u = np.array(
        [0.0, 0.36, 0.37, 0.73, 0.74, 0.9197, 0.9810]
    )  # F(0) = .3679, F(1) = .7358, F(2) = .9197, F(3) = .9810
    assert purchases.poisson_quantile(np.ones(7), u).tolist() == [0, 0, 1, 1, 2, 3, 3]


@pytest.mark.parametrize("mean", [29.0, 31.0, 60.0, 800.0])
def test_counts_follow_poissons_law_where_they_are_large(mean: float) -> None:
    """scipy's own inverse; exp(-60) is below any term that counts, exp(-800) is zero."""
    u = np.linspace(0.0, 0.9999, 101)[1:]
    found = purchases.poisson_quantile(np.full(len(u), mean), u)

    assert found.tolist() == poisson.ppf(u, mean).astype(int).tolist()
    assert purchases.poisson_quantile(np.array([60.0]), np.array([0.0]))[0] == 0


@pytest.mark.parametrize(("alpha", "beta", "after_one"), [(0.668, 3.806, 0.851), (0.704, 1.182, 0.627)])
def test_survival_at_renewals(alpha: float, beta: float, after_one: float) -> None:
    """S(1) = beta / (alpha + beta), and simulated cohorts survive as S(n) says; 200,000 customers, seed 5, |z| < 4."""
    law = Contract(source="Fader and Hardie 2007", alpha=alpha, beta=beta)
    theta = contracts.draw_customers(np.random.default_rng(5), 200_000, law)
    rng = np.random.default_rng(6)
    left = np.ones(len(theta), dtype=np.bool_)
    assert contracts.survival(1, law) == pytest.approx(beta / (alpha + beta))
    assert contracts.survival(1, law) == pytest.approx(after_one, abs=1e-3)
    for n in range(1, 9):
        left &= rng.random(len(theta)) >= contracts.leaving(theta, np.ones(len(theta)))
        expected = float(contracts.survival(n, law))
        assert abs(left.mean() - expected) < 4 * np.sqrt(expected * (1 - expected) / len(theta))


def test_who_has_renewed_often_renews_again() -> None:
    """theta ~ Beta(alpha, beta + n) after n renewals, of mean alpha / (alpha + beta + n); seed 9, |z| < 4."""
    law = Contract(source="Fader and Hardie 2007", alpha=0.704, beta=1.182)
    renewed = np.repeat([0, 1, 6], 100_000)
    theta = contracts.draw_customers(np.random.default_rng(9), len(renewed), law, renewed=renewed)
    for n in (0, 1, 6):
        found, expected = theta[renewed == n], 0.704 / (0.704 + 1.182 + n)
        assert abs(found.mean() - expected) < 4 * found.std() / np.sqrt(len(found))


def test_survivors_leave_as_the_cohorts_later_years_say() -> None:
    """S(n + 1) / S(n) of those who renewed n times, at their next renewal, and as new ones where nobody says so."""
    quiet: dict[str, object] = {f"retention.{k}": 0.0 for k in ("issue", "fatigue", "protection", "loyal")}
    quiet |= {"uplift.stages": {"churned": -20.0}, "retention.win_back_per_week": 0.0}
    for stock, years in (("survivors", 4), ("as_new", 0)):
        world = simulators.make("telco-journey", seed=3, overrides={**quiet, "contract.stock": stock})
        state, law = world.start(60_000), world.settings.contract
        old = (-state.joined >= 4 * 52) & (-state.joined < 5 * 52) & (state.stage > 0) & (state.stage != 5)
        left = np.zeros(len(state), dtype=np.bool_)
        for _ in range(52):
            left |= world.step(state, np.zeros(len(state), dtype=np.int64)).left
        stays = float(contracts.survival(years + 1, law) / contracts.survival(years, law))
        n = int(old.sum())

        assert n > 3_000
        assert abs((~left[old]).mean() - stays) < 4 * np.sqrt(stays * (1 - stays) / n)


def test_hazards_multiply_survival() -> None:
    theta = np.array([0.2, 0.2, 0.2])
    assert contracts.leaving(theta, np.array([0.0, 1.0, 2.0])).tolist() == pytest.approx([0.0, 0.2, 0.36])
