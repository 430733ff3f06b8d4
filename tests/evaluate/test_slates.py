"""Slates: exact by enumeration where their assumption holds, biased where it does not."""

import itertools

import numpy as np
import pytest

from bandit_nba.errors import InputError
from bandit_nba.evaluate.slates import estimate_slates

LOGGING = np.array([[0.3, 0.7], [0.6, 0.4], [0.5, 0.5]])  # slot, arm
POLICY = np.array([[0.9, 0.1], [0.2, 0.8], [0.4, 0.6]])
WORTH = np.array([[0.1, 0.4], [0.3, 0.2], [0.0, 0.5]])
SLOTS = range(3)


def expectation(reward, estimator, **model):
    """Mean estimate over all slates of a product logging policy, and the truth."""
    mean = value = 0.0
    for arms in itertools.product((0, 1), repeat=3):
        p = np.array([LOGGING[k, a] for k, a in enumerate(arms)])
        pi = np.array([POLICY[k, a] for k, a in enumerate(arms)])
        r = reward(arms)
        q = {key: np.array([table(arms)] * 2) for key, table in model.items()}
        found = estimate_slates(np.array([pi / p] * 2), np.array([r] * 2), estimator=estimator, **q)
        mean += float(p.prod()) * found.value
        value += float(pi.prod()) * float(np.sum(r))
    return mean, value


def additive(arms):
    return sum(WORTH[k, a] for k, a in enumerate(arms))


def joint(arms):
    return float(arms == (1, 1, 1))


def per_slot(arms):
    return np.array([WORTH[k, a] for k, a in enumerate(arms)])


def cascading(arms):
    """A slot earns only if no slot above it showed arm 1."""
    return np.array([WORTH[k, a] * (1 not in arms[:k]) for k, a in enumerate(arms)])


def test_pseudo_inverse_is_unbiased_for_additive_rewards_only():
    mean, value = expectation(additive, "pseudo_inverse")
    wrong, other = expectation(joint, "pseudo_inverse")

    assert mean == pytest.approx(value, abs=1e-12)
    assert abs(wrong - other) > 0.05


def test_whole_slate_ips_is_unbiased_for_any_reward():
    mean, value = expectation(joint, "ips")

    assert mean == pytest.approx(value, abs=1e-12)


def test_independent_is_unbiased_for_rewards_of_the_own_arm_only():
    mean, value = expectation(per_slot, "independent")
    wrong, other = expectation(cascading, "independent")

    assert mean == pytest.approx(value, abs=1e-12)
    assert abs(wrong - other) > 0.01


def test_cascade_is_unbiased_for_cascading_rewards():
    mean, value = expectation(cascading, "cascade")

    assert mean == pytest.approx(value, abs=1e-12)


def test_cascade_dr_is_unbiased_with_any_model():
    model = np.array([[0.7, 0.1], [0.2, 0.9], [0.5, 0.3]])
    mean, value = expectation(
        cascading,
        "cascade_dr",
        q_logged=lambda arms: np.array([model[k, a] for k, a in enumerate(arms)]),
        q_policy=lambda arms: np.array([float(POLICY[k] @ model[k]) for k in SLOTS]) + 0 * np.array(arms),
    )

    assert mean == pytest.approx(value, abs=1e-12)


def test_pseudo_inverse_by_hand():
    # w = 1 - 2 + 2 + .5 = 1.5 and 1 - 2 + 0 + .5 = -.5: negative weights are right; (1.5 * 1 - .5 * 2) / 2
    found = estimate_slates([[2.0, 0.5], [0.0, 0.5]], [1.0, 2.0])

    assert found.value == pytest.approx(0.25, abs=1e-12)


def test_few_effective_slates_are_told():
    found = estimate_slates(np.ones((50, 2)), np.ones(50))

    assert any("only 50 slates" in text for text in found.warnings)


@pytest.mark.parametrize("interval", ["student_t", "bootstrap"])
def test_other_intervals_and_customers(interval):
    rng = np.random.default_rng(0)
    weights, rewards = rng.uniform(0, 2, (600, 2)), rng.random(600)

    alone = estimate_slates(weights, rewards, interval=interval)
    grouped = estimate_slates(
        np.repeat(weights, 3, axis=0), np.repeat(rewards, 3), interval=interval, groups=np.repeat(np.arange(600), 3)
    )

    assert grouped.half_width == pytest.approx(alone.half_width, rel=0.01)


@pytest.mark.parametrize(
    ("weights", "rewards", "options", "message"),
    [
        ([1.0, 1.0], [1.0, 1.0], {}, "one number per slot"),
        ([[1.0, -1.0], [1.0, 1.0]], [1.0, 1.0], {}, "negative"),
        ([[1.0, np.nan], [1.0, 1.0]], [1.0, 1.0], {}, r"weights\[0\]"),
        ([[1.0, 1.0]], [[1.0, 1.0]], {}, "one reward per slate"),
        ([[1.0, 1.0]], [1.0], {"estimator": "cascade"}, "one number per slot"),
        ([[1.0, 1.0]], [[1.0, 1.0]], {"estimator": "cascade_dr"}, "expected rewards"),
        ([[1.0, 1.0]], [1.0], {"estimator": "snips"}, "no such estimator"),
        ([[1.0, 1.0]], [1.0], {"interval": "hoeffding"}, "no such interval"),
    ],
)
def test_wrong_input_is_refused(weights, rewards, options, message):
    with pytest.raises(InputError, match=message):
        estimate_slates(weights, rewards, **options)
