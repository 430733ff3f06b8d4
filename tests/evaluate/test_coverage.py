"""How often intervals hold the truth, in a world whose truth is known exactly.

Every test states its number of seeds; the number of misses must lie within binomial bounds that a true rate of 5 %
leaves with chance 1e-3 (asymptotic intervals), or below the upper one (intervals that promise at least 95 %).
"""

from math import sqrt

import numpy as np
import pytest
from scipy import stats

from bandit_nba.evaluate import estimate, estimate_difference
from bandit_nba.evaluate.intervals.confidence_sequence import lower_sequence
from bandit_nba.evaluate.intervals.robust_sequence import lower_robust_sequence

CONTEXTS, ARMS = 12, 5
ASYMPTOTIC = [
    ("ips", "gaussian"),
    ("snips", "gaussian"),
    ("dr", "gaussian"),
    ("sndr", "student_t"),
    ("cressie_read", "gaussian"),
    ("el", "gaussian"),
    ("cressie_read", "cressie_read"),
    ("el", "el"),
]
GUARANTEED = ["hoeffding", "empirical_bernstein", "confidence_sequence", "robust_sequence"]


class World:
    """Contexts with response rates around `rate`, a logging policy with a floor, and a policy to judge."""

    def __init__(self, rate, seed=7):
        rng = np.random.default_rng(seed)
        self.success = np.clip(rate * rng.gamma(4.0, 0.25, (CONTEXTS, ARMS)), 0, 1)
        self.logging = 0.7 * rng.dirichlet(np.ones(ARMS), CONTEXTS) + 0.3 / ARMS
        self.policy = rng.dirichlet(np.ones(ARMS), CONTEXTS)
        self.truth = float((self.policy * self.success).mean(axis=0).sum())
        self.logged_truth = float((self.logging * self.success).mean(axis=0).sum())
        self.weight_range = (0.0, float((self.policy / self.logging).max()))
        self.model = self.success * rng.uniform(0.5, 1.5, self.success.shape)  # a model that is off by up to half

    def log(self, n, seed):
        rng = np.random.default_rng([seed, n])
        x = rng.integers(0, CONTEXTS, n)
        a = (self.logging.cumsum(axis=1)[x] > rng.random((n, 1))).argmax(axis=1)
        r = (rng.random(n) < self.success[x, a]).astype(float)
        q_policy = (self.policy * self.model).sum(axis=1)[x]
        return self.policy[x, a] / self.logging[x, a], r, {"q_logged": self.model[x, a], "q_policy": q_policy}


@pytest.fixture
def say(capsys):
    """Print past pytest's capture, so that `make test-all` shows what was measured."""

    def out(text):
        with capsys.disabled():
            print(f"\n{text}", end="")

    return out


def misses(world, n, seeds, estimator, interval):
    count = 0
    for seed in range(seeds):
        weights, rewards, q = world.log(n, seed)
        found = estimate(weights, rewards, **q, estimator=estimator, interval=interval, weight_range=world.weight_range)
        count += not found.low <= world.truth <= found.high
    return count


def assert_five_percent(count, seeds):
    least, most = stats.binom.ppf([5e-4, 1 - 5e-4], seeds, 0.05)
    assert least <= count <= most, f"{count} misses of {seeds}, expected {least:.0f} to {most:.0f}"


def assert_at_most_five_percent(count, seeds):
    most = stats.binom.ppf(1 - 1e-3, seeds, 0.05)
    assert count <= most, f"{count} misses of {seeds}, expected at most {most:.0f}"


@pytest.mark.parametrize(("estimator", "interval"), ASYMPTOTIC)
def test_asymptotic_intervals_miss_five_percent(estimator, interval):
    # 200 seeds, about 200 successes each
    assert_five_percent(misses(World(0.2), 1000, 200, estimator, interval), 200)


def test_the_bootstrap_misses_five_percent():
    assert_five_percent(misses(World(0.2), 600, 100, "snips", "bootstrap"), 100)


@pytest.mark.parametrize("interval", GUARANTEED)
def test_guaranteed_intervals_miss_at_most_five_percent(interval):
    assert_at_most_five_percent(misses(World(0.2), 1000, 100, "ips", interval), 100)


def customers_log(seed, customers=150, visits=8):
    """Customers who respond alike at every visit; the policy always plays the first of two arms; truth .3."""
    rng = np.random.default_rng(seed)
    taste = np.repeat(rng.beta(0.3, 0.7, customers), visits)
    n = customers * visits
    arm = rng.random(n) < 0.5
    rewards = (rng.random(n) < taste).astype(float)
    return np.where(arm, 2.0, 0.0), rewards, np.repeat(np.arange(customers), visits)


@pytest.mark.parametrize("interval", ["gaussian", "student_t", "cressie_read", "el"])
def test_repeated_customers_are_covered_only_by_cluster_robust_intervals(interval):
    # 150 seeds; ignoring the customers misses more than a fifth
    robust = naive = 0
    for seed in range(150):
        weights, rewards, groups = customers_log(seed)
        options = {"interval": interval, "weight_range": (0.0, 2.0)}
        found = estimate(weights, rewards, groups=groups, **options)
        robust += not found.low <= 0.3 <= found.high
        found = estimate(weights, rewards, **options)
        naive += not found.low <= 0.3 <= found.high

    assert_five_percent(robust, 150)
    assert naive > 30


def test_the_difference_from_the_logging_policy_misses_five_percent():
    world, count = World(0.2), 0
    for seed in range(200):
        weights, rewards, _ = world.log(1000, seed)
        found = estimate_difference(weights, np.ones(1000), rewards, estimator="snips")
        count += not found.low <= world.truth - world.logged_truth <= found.high

    assert_five_percent(count, 200)


@pytest.mark.slow
@pytest.mark.parametrize("rate", [0.01, 0.05, 0.2])
@pytest.mark.parametrize(("estimator", "interval"), [*ASYMPTOTIC, ("snips", "bootstrap"), ("dr", "bootstrap")])
def test_asymptotic_intervals_over_500_seeds(rate, estimator, interval, say):
    count = misses(World(rate), round(200 / rate), 500, estimator, interval)
    say(
        f"coverage {1 - count / 500:.3f}: {estimator}, {interval}, response rate {rate:.0%}, {round(200 / rate):,} rows"
    )

    assert_five_percent(count, 500)


@pytest.mark.slow
@pytest.mark.parametrize("rate", [0.01, 0.05, 0.2])
@pytest.mark.parametrize("interval", [*GUARANTEED, "clopper_pearson"])
def test_guaranteed_intervals_over_500_seeds(rate, interval, say):
    count = misses(World(rate), round(200 / rate), 500, "ips", interval)
    say(f"coverage {1 - count / 500:.3f}: {interval}, response rate {rate:.0%}, {round(200 / rate):,} rows")

    assert_at_most_five_percent(count, 500)


@pytest.mark.slow
@pytest.mark.parametrize("lower", [lower_sequence, lower_robust_sequence])
@pytest.mark.parametrize("rate", [0.01, 0.05, 0.2])
def test_sequences_are_time_uniform_over_500_seeds(rate, lower, say):
    # looked at 200 times between the first and the 5,000th decision, both ends
    world, times = World(rate), np.unique(np.geomspace(1, 5000, 200).astype(int))
    count = 0
    for seed in range(500):
        weights, rewards, _ = world.log(5000, seed)
        low = lower(weights * rewards, times, 0.025)
        high = 1 - lower(weights * (1 - rewards), times, 0.025)
        # the bounded mean is that of the contexts: the truth, drawn anew for every decision
        count += bool(((low > world.truth) | (high < world.truth)).any())
    say(f"time-uniform miscoverage {count / 500:.3f}: {lower.__name__}, response rate {rate:.0%}")

    assert count <= 25 + 3.1 * sqrt(500 * 0.05 * 0.95)
