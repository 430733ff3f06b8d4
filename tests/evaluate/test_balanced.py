"""Balanced weights: exact by enumeration over a mixture of loggers, and lighter than each logger's own."""

import itertools

import numpy as np
import pytest

from bandit_nba.errors import InputError
from bandit_nba.evaluate import estimate
from bandit_nba.evaluate.balanced import balanced_weights

LOGGERS = np.array([[0.8, 0.2, 0.0], [0.1, 0.3, 0.6]])  # logger, arm: the first never plays arm 2
POLICY = np.array([0.2, 0.3, 0.5])
SUCCESS = np.array([0.3, 0.6, 0.9])


def test_unbiased_by_full_enumeration_where_one_logger_lacks_support():
    # one decision by each logger: n_1 = n_2 = 1, all 3 x 3 pairs of arms, expected rewards
    mean = 0.0
    for first, second in itertools.product(range(3), repeat=2):
        arms = np.array([first, second])
        chance = LOGGERS[0, first] * LOGGERS[1, second]
        if chance == 0:
            continue
        weights = balanced_weights(POLICY[arms], LOGGERS[:, arms].T, [0, 1])
        mean += chance * float((weights * SUCCESS[arms]).mean())

    assert mean == pytest.approx(float(POLICY @ SUCCESS), abs=1e-12)


def test_weights_are_lighter_than_those_of_the_own_logger():
    rng = np.random.default_rng(0)
    made_by = rng.integers(0, 2, 4000)
    arms = np.array([rng.choice(3, p=LOGGERS[k]) for k in made_by])
    rewards = (rng.random(4000) < SUCCESS[arms]).astype(float)

    balanced = balanced_weights(POLICY[arms], LOGGERS[:, arms].T, made_by)
    own = POLICY[arms] / LOGGERS[made_by, arms]

    assert estimate(balanced, rewards, estimator="ips").ess > estimate(own, rewards, estimator="ips").ess
    # the own logger's weights miss arm 2 for the first logger: biased, and the mean weight tells
    assert abs(estimate(balanced, rewards, estimator="ips").value - POLICY @ SUCCESS) < 0.03
    assert any("mean weight" in text for text in estimate(own, rewards, estimator="ips").warnings)


def test_one_logger_gives_the_usual_weights():
    np.testing.assert_allclose(balanced_weights([0.5, 0.2], [[0.25], [0.4]], [0, 0]), [2.0, 0.5])


@pytest.mark.parametrize(
    ("policy", "loggers", "logger", "message"),
    [
        ([0.5, 0.5], [[0.5, 0.5]], [0, 0], "one row per decision"),
        ([0.5], [[0.5, 0.5]], [2], r"logger\[0\]"),
        ([0.5], [[0.5, 0.5]], [0.0], "one logger per decision"),
        ([1.5], [[0.5, 0.5]], [0], r"policy\[0\]"),
        ([0.5], [[0.5, -0.5]], [0], r"loggers\[0\]"),
        ([0.5], [[0.0, 0.5]], [0], "never chooses this arm"),
    ],
)
def test_wrong_input_is_refused(policy, loggers, logger, message):
    with pytest.raises(InputError, match=message):
        balanced_weights(policy, loggers, logger)
