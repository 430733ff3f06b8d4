"""Cross-fitted reward models: blind to the customer they predict, and good enough to help."""

import numpy as np
import pytest

from bandit_nba.errors import InputError, ModelError
from bandit_nba.evaluate import estimate
from bandit_nba.evaluate.cross_fit import assign_folds, cross_fit, mrdr_weights

ARMS = 3


def world(n, seed=0, noise=0.05):
    """Linear expected rewards in [0, 1] with a context x arm interaction, uniform log."""
    rng = np.random.default_rng(seed)
    x = rng.random((n, 2))
    q = np.column_stack([0.2 + 0.6 * x[:, 0], 0.8 - 0.6 * x[:, 0], 0.5 * x[:, 1] + 0.2])
    arms = rng.integers(0, ARMS, n)
    rewards = np.clip(q[np.arange(n), arms] + rng.normal(0, noise, n), 0, 1)
    return x, arms, rewards, q


class Memory:
    """A model that remembers: it predicts the reward of a row that it saw, and 0 otherwise."""

    def fit(self, features, arms, rewards, _):
        self.seen = {(*row, arm): r for row, arm, r in zip(features.tolist(), arms, rewards, strict=True)}
        return self

    def predict(self, features, arms):
        return np.array([self.seen.get((*row, arm), 0.0) for row, arm in zip(features.tolist(), arms, strict=True)])


@pytest.mark.parametrize("model", ["ridge", "gradient_boosting"])
def test_models_find_the_interaction(model):
    x, arms, rewards, q = world(1500)

    found = cross_fit(x, arms, rewards, n_arms=ARMS, model=model, rng=np.random.default_rng(0))

    assert found.by_arm.shape == (1500, ARMS)
    assert np.abs(found.by_arm - q).mean() < 0.04
    np.testing.assert_array_equal(found.q_logged, found.by_arm[np.arange(1500), arms])


def test_the_logistic_model_is_calibrated():
    x, arms, _, q = world(6000)
    rewards = (np.random.default_rng(1).random(6000) < q[np.arange(6000), arms]).astype(float)

    found = cross_fit(x, arms, rewards, n_arms=ARMS, model="logistic", rng=np.random.default_rng(0))

    assert np.abs(found.by_arm - q).mean() < 0.05
    assert found.q_logged.mean() == pytest.approx(rewards.mean(), abs=0.02)


def test_no_row_is_predicted_by_a_model_that_saw_its_customer():
    # every customer's rows are equal, so a model that saw one of them remembers the other
    x, arms, rewards, _ = world(60)
    twice = np.repeat(x, 2, axis=0), np.repeat(arms, 2), np.repeat(rewards, 2) + 0.0

    blind = cross_fit(
        *twice, n_arms=ARMS, model=Memory, groups=np.repeat(np.arange(60), 2), rng=np.random.default_rng(0)
    )
    peeking = cross_fit(*twice, n_arms=ARMS, model=Memory, rng=np.random.default_rng(0))

    assert blind.q_logged.max() == 0.0
    assert peeking.q_logged.mean() > 0.3


def test_folds_hold_whole_customers_evenly_and_repeat():
    groups = np.random.default_rng(0).integers(0, 37, 500)

    folds = assign_folds(500, 5, groups=groups, rng=np.random.default_rng(1))
    again = assign_folds(500, 5, groups=groups, rng=np.random.default_rng(1))

    np.testing.assert_array_equal(folds, again)
    per_customer = [np.unique(folds[groups == g]) for g in np.unique(groups)]
    assert all(len(used) == 1 for used in per_customer)
    sizes = np.bincount([used[0] for used in per_customer])
    assert sizes.max() - sizes.min() <= 1


def test_doubly_robust_with_it_is_narrower_than_ips_and_covers():
    # truth of "always the better of arms 0 and 1": mean of max
    x, arms, rewards, q = world(3000)
    policy = np.eye(ARMS)[np.where(x[:, 0] > 0.5, 0, 1)]
    truth = float((policy * q).sum(axis=1).mean())
    found = cross_fit(x, arms, rewards, n_arms=ARMS, rng=np.random.default_rng(0))
    weights = policy[np.arange(3000), arms] * ARMS

    dr = estimate(weights, rewards, q_logged=found.q_logged, q_policy=found.under(policy), estimator="dr", alpha=0.001)
    ips = estimate(weights, rewards, estimator="ips", alpha=0.001)

    assert dr.low < truth < dr.high
    assert dr.half_width < ips.half_width / 3


def test_expected_reward_under_a_policy_by_hand():
    x, arms, rewards, _ = world(50)
    found = cross_fit(x, arms, rewards, n_arms=ARMS, rng=np.random.default_rng(0))
    policy = np.tile([0.5, 0.25, 0.25], (50, 1))

    expected = 0.5 * found.by_arm[:, 0] + 0.25 * found.by_arm[:, 1] + 0.25 * found.by_arm[:, 2]
    np.testing.assert_allclose(found.under(policy), expected)


def test_predictions_stay_in_the_range_of_the_rewards():
    x, arms, rewards, _ = world(300)

    found = cross_fit(x, arms, 30 * rewards, n_arms=ARMS, reward_range=(5.0, 20.0), rng=np.random.default_rng(0))

    assert found.by_arm.min() >= 5.0
    assert found.by_arm.max() <= 20.0


@pytest.mark.parametrize("model", ["ridge", "logistic", "gradient_boosting"])
def test_constant_rewards_and_arms_never_logged(model):
    x, _, _, _ = world(100)
    arms = np.zeros(100, dtype=int)

    found = cross_fit(x, arms, np.ones(100), n_arms=ARMS, model=model, rng=np.random.default_rng(0))

    np.testing.assert_allclose(found.by_arm, 1.0, atol=1e-6)


def test_mrdr_weights_by_hand_and_in_use():
    np.testing.assert_allclose(mrdr_weights([0.5, 1.0, 0.0], [0.5, 0.2, 0.3]), [1.0, 20.0, 0.0])
    x, arms, rewards, _ = world(600)
    weights = mrdr_weights(np.where(arms == 0, 1.0, 0.0), np.full(600, 1 / 3))

    found = cross_fit(x, arms, rewards, n_arms=ARMS, sample_weights=weights, rng=np.random.default_rng(0))

    # only arm 0 was learned from: its predictions are good, the others are the pooled model's
    assert np.abs(found.by_arm[:, 0] - (0.2 + 0.6 * x[:, 0])).mean() < 0.02
    np.testing.assert_allclose(found.by_arm[:, 1], found.by_arm[:, 2])


class Broken:
    def fit(self, *_):
        return self

    def predict(self, features, _):
        return np.full(len(features), np.nan)


def test_a_model_that_predicts_nonsense_is_refused():
    x, arms, rewards, _ = world(20)
    with pytest.raises(ModelError, match="not finite"):
        cross_fit(x, arms, rewards, n_arms=ARMS, model=Broken, rng=np.random.default_rng(0))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"model": "forest"}, "no such reward model"),
        ({"model": "logistic"}, "rewards of 0 and 1"),
        ({"folds": 1}, "folds"),
        ({"folds": 21}, "folds"),
        ({"groups": np.zeros(20)}, "folds"),
        ({"arms": np.full(20, 3)}, r"arms\[0\]"),
        ({"arms": np.zeros(20)}, "integers"),
        ({"features": np.full((20, 2), np.nan)}, r"features\[0\]"),
        ({"sample_weights": np.full(20, -1.0)}, r"sample_weights\[0\]"),
        ({"rewards": np.r_[np.nan, np.zeros(19)]}, r"rewards\[0\]"),
    ],
)
def test_wrong_input_is_refused(changes, message):
    x, arms, rewards, _ = world(20)
    data = {"features": x, "arms": arms, "rewards": rewards, "n_arms": ARMS, **changes}
    with pytest.raises(InputError, match=message):
        cross_fit(**data, rng=np.random.default_rng(0))


def test_a_policy_that_is_no_distribution_is_refused():
    x, arms, rewards, _ = world(20)
    found = cross_fit(x, arms, rewards, n_arms=ARMS, rng=np.random.default_rng(0))

    with pytest.raises(InputError, match=r"policy\[0\]"):
        found.under(np.full((20, ARMS), 0.5))
    with pytest.raises(InputError, match="one probability per arm"):
        found.under(np.full((20, 2), 0.5))
