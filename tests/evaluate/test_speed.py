"""A million decisions in well below a second each, without memory that grows with the rounds of the bootstrap."""

import time
import tracemalloc

import numpy as np
import pytest

from bandit_nba.evaluate import estimate

N = 1_000_000


@pytest.fixture(scope="module")
def log():
    rng = np.random.default_rng(0)
    weights = rng.exponential(size=N)
    rewards = (rng.random(N) < 0.05).astype(float)
    return weights, rewards, {"q_logged": rng.random(N) * 0.1, "q_policy": rng.random(N) * 0.1}


# seconds allowed: about ten times what one free core needs, since tests share it
BUDGETS = [
    ("snips", "gaussian", 1.0),
    ("dr", "gaussian", 1.0),
    ("cressie_read", "cressie_read", 1.0),
    ("snips", "bootstrap", 4.0),
    ("snips", "confidence_sequence", 2.0),
    ("snips", "robust_sequence", 5.0),
    ("el", "el", 20.0),
]


@pytest.mark.slow
@pytest.mark.parametrize(("estimator", "interval", "budget_s"), BUDGETS)
def test_a_million_decisions(log, estimator, interval, budget_s):
    weights, rewards, q = log
    start = time.perf_counter()

    estimate(weights, rewards, **q, estimator=estimator, interval=interval)

    took = time.perf_counter() - start
    print(f"{took:.3f} s: {estimator}, {interval}, {N:,} decisions")
    assert took < budget_s


@pytest.mark.slow
@pytest.mark.parametrize("interval", ["bootstrap", "robust_sequence", "el"])
def test_memory_is_a_few_vectors(log, interval):
    weights, rewards, _ = log
    tracemalloc.start()
    estimate(weights, rewards, interval=interval)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    vectors = peak / (8 * N)
    print(f"{vectors:.1f} vectors at the peak: {interval}")
    assert vectors < 20


def test_bootstrap_of_ten_thousand_customers_is_chunked():
    rng = np.random.default_rng(0)
    weights, rewards = rng.exponential(size=10_000), rng.random(10_000)
    tracemalloc.start()
    estimate(weights, rewards, interval="bootstrap")
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert peak < 20e6  # 1,000 rounds at once would be 80 MB
