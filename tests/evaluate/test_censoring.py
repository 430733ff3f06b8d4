"""Censoring weights: equal to Kaplan-Meier, unbiased where the naive share is not."""

import numpy as np
import pytest

from bandit_nba.errors import InputError, RefusedError
from bandit_nba.evaluate import estimate
from bandit_nba.evaluate.censoring import watched


def kaplan_meier_churn(times, churned, horizon):
    """1 - survival, by the textbook loop over distinct times (churn before censoring at ties)."""
    survival = 1.0
    for moment in np.unique(times[times <= horizon]):
        at_risk = (times >= moment).sum()
        survival *= 1 - ((times == moment) & churned).sum() / at_risk
    return 1 - survival


@pytest.mark.parametrize("seed", range(5))
def test_unweighted_churn_is_one_minus_kaplan_meier(seed):
    # whole weeks, so that there are many ties
    rng = np.random.default_rng(seed)
    churn, leave = rng.integers(1, 40, 200), rng.integers(1, 60, 200)
    times, seen = np.minimum(churn, leave).astype(float), churn <= leave

    found = watched(times, seen, 20.0)
    actual = estimate(found.weights, found.churned, estimator="ips")

    assert actual.value == pytest.approx(kaplan_meier_churn(times, seen, 20.0), abs=1e-12)


def test_by_hand():
    # times 1 churn, 2 censored, 3 churn, 5 watched; horizon 4. Censoring at 2 with 3 at risk: G after 2 = 2/3
    found = watched([1.0, 2.0, 3.0, 5.0], [True, False, True, False], 4.0)

    np.testing.assert_allclose(found.weights, [1.0, 0.0, 1.5, 1.5])
    np.testing.assert_array_equal(found.churned, [1, 0, 1, 0])
    np.testing.assert_array_equal(found.known, [True, False, True, True])
    assert found.censored_share == 0.25
    assert found.weights.sum() == pytest.approx(4.0)  # those known stand for all


def test_unbiased_where_the_share_among_known_is_not():
    # seed 0, 20,000 customers, churn chance 1 - exp(-1) = .632 by the horizon, half of them censored before
    rng = np.random.default_rng(0)
    churn, leave = rng.exponential(1.0, 20_000), rng.exponential(1.5, 20_000)
    times, seen = np.minimum(churn, leave), churn <= leave

    found = watched(times, seen, 1.0)
    actual = estimate(found.weights, found.churned, alpha=0.001)
    naive = found.churned[found.known].mean()

    assert actual.low < 1 - np.exp(-1) < actual.high
    assert naive > 0.7


def test_policy_weights_multiply():
    # two arms with churn .2 and .6, uniform log, the policy always plays the first
    rng = np.random.default_rng(1)
    arm = rng.integers(0, 2, 20_000)
    rate = -np.log(1 - np.where(arm == 0, 0.2, 0.6))
    churn, leave = rng.exponential(1 / rate), rng.exponential(2.0, 20_000)
    found = watched(np.minimum(churn, leave), churn <= leave, 1.0)

    actual = estimate(np.where(arm == 0, 2.0, 0.0) * found.weights, found.churned, alpha=0.001)

    assert actual.low < 0.2 < actual.high
    assert actual.half_width < 0.05


def test_strata_have_their_own_censoring():
    # old customers are watched for long, new ones (who churn more) are mostly censored: pooled weights are biased
    rng = np.random.default_rng(2)
    new = rng.random(40_000) < 0.5
    churn = rng.exponential(np.where(new, 1.0, 5.0))
    leave = rng.exponential(np.where(new, 0.8, 50.0))
    times, seen = np.minimum(churn, leave), churn <= leave
    truth = 0.5 * (1 - np.exp(-1.0)) + 0.5 * (1 - np.exp(-0.2))

    def churned(strata):
        found = watched(times, seen, 1.0, strata=strata)
        return estimate(found.weights, found.churned, estimator="ips").value

    assert churned(new) == pytest.approx(truth, abs=0.015)
    assert abs(churned(None) - truth) > 0.015


def test_a_horizon_that_nearly_nobody_reaches_is_refused():
    with pytest.raises(RefusedError, match="too few customers are watched"):
        watched(np.arange(1.0, 101.0), np.zeros(100, bool), 99.0)


@pytest.mark.parametrize(
    ("times", "seen", "horizon", "message"),
    [
        ([1.0, -1.0], [True, False], 1.0, r"times\[1\]"),
        ([1.0, np.nan], [True, False], 1.0, r"times\[1\]"),
        ([1.0, 2.0], [True], 1.0, "churn_seen"),
        ([1.0, 2.0], [True, False], 0.0, "horizon"),
    ],
)
def test_wrong_input_is_refused(times, seen, horizon, message):
    with pytest.raises(InputError, match=message):
        watched(times, seen, horizon)
