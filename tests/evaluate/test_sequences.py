"""Confidence sequences: a golden number, validity at all times at once, and how tight they are."""

import numpy as np
import pytest

from bandit_nba.evaluate import estimate
from bandit_nba.evaluate.intervals.confidence_sequence import guesses, lower_sequence
from bandit_nba.evaluate.intervals.robust_sequence import lower_robust_sequence
from tests.evaluate.weighed import random_log


def test_published_confidence_sequence():
    rewards = np.tile([0.5, 0.6, 0.7, 0.8], 1000)

    actual = estimate(rewards, rewards, estimator="ips", interval="confidence_sequence", alpha=0.05)

    assert actual.low == pytest.approx(0.4263303, abs=5e-8)
    assert actual.high == pytest.approx(0.7875380, abs=5e-8)


def test_the_guess_is_predictable_and_never_above_one():
    terms = np.array([5.0, 0.0, 0.0, 0.0, 0.0, 0.0, 3.0])

    actual = guesses(terms)

    # (0 + .5)/1; (5 + .5)/2 capped; 5.5/3 capped; 5.5/4, 5.5/5 capped; 5.5/6; 5.5/7
    np.testing.assert_allclose(actual, [0.5, 1.0, 1.0, 1.0, 1.0, 5.5 / 6, 5.5 / 7])


def _misses(lower, terms, truth, alpha):
    """Whether the lower sequence ever exceeds the truth, over many times."""
    times = np.unique(np.geomspace(1, terms.shape[1], 60).astype(int))
    return sum(bool((lower(row, times, alpha) > truth).any()) for row in terms)


@pytest.mark.parametrize("lower", [lower_sequence, lower_robust_sequence])
@pytest.mark.parametrize("heavy", [2.0, 50.0])
def test_time_uniform_miscoverage(lower, heavy):
    # x = heavy with chance .1 / heavy: weighted rewards of mean .1; alpha .1 over all times at once.
    # 200 sequences of 1,000: more than 34 misses have chance < 1e-3 at a true rate of .1
    rng = np.random.default_rng(11)
    terms = np.where(rng.random((200, 1000)) < 0.1 / heavy, heavy, 0.0)

    assert _misses(lower, terms, 0.1, alpha=0.1) <= 34


def test_a_sequence_without_the_cap_is_not_valid():
    # the same formula with guesses above 1 (increments below -1): why the cap is in the definition
    rng = np.random.default_rng(12)
    rewards = (rng.random(20_000) < 0.5).astype(float)

    capped = guesses(3 * rewards)

    assert capped.max() == 1.0
    assert (3 * rewards - capped).min() >= -1.0


def test_sequences_shrink_as_decisions_come():
    weights, rewards = random_log(n=20_000)
    times = np.array([100, 1000, 20_000])

    for lower in (lower_sequence, lower_robust_sequence):
        ends = lower(weights * rewards, times, 0.025)
        assert (np.diff(ends) > 0).all()
        assert ends[-1] < 0.1 < ends[-1] + 0.02


def test_the_robust_sequence_is_tighter_under_heavy_weights():
    rng = np.random.default_rng(13)
    weights = np.where(rng.random(5000) < 0.01, 100.0, 0.0)
    rewards = (rng.random(5000) < 0.5).astype(float)

    plain = estimate(weights, rewards, estimator="ips", interval="confidence_sequence")
    robust = estimate(weights, rewards, estimator="ips", interval="robust_sequence")

    assert robust.half_width < plain.half_width


def test_sequences_bound_doubly_robust_contributions_by_their_range():
    weights, rewards = random_log(n=5000)
    q = np.full(5000, 0.1)
    options = {"q_logged": q, "q_policy": q, "estimator": "dr", "weight_range": (0.0, 2.7)}

    for name in ("confidence_sequence", "robust_sequence", "hoeffding", "empirical_bernstein"):
        actual = estimate(weights, rewards, interval=name, **options)
        assert actual.low <= actual.value <= actual.high


@pytest.mark.parametrize("interval", ["confidence_sequence", "robust_sequence"])
def test_sequences_say_that_they_are_not_widened_for_customers(interval):
    weights, rewards = random_log()

    actual = estimate(weights, rewards, interval=interval, groups=np.arange(len(weights)) // 2)
    alone = estimate(weights, rewards, interval=interval, groups=np.arange(len(weights)))

    assert any("not widened for repeated customers" in text for text in actual.warnings)
    assert alone.warnings == ()
