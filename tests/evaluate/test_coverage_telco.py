"""How often every interval holds the truth in the Telco world: 7,043 real customers, 16 arms, rules, known responses.

Customers come at random and repeat; their responses follow the world's q, scaled so that the judged policy earns
exactly 1 %, 5 % or 20 %. The truth is the mean over all customers of sum_a pi(a|x) q(x, a): no sampling in it. Logs
hold about 250 responses of the judged policy, more than 100 by weight.

500 seeds (COVERAGE_SEEDS changes that). Asymptotic intervals must miss within binomial bounds that a true rate of 5 %
leaves with chance 1e-3; those that promise at least 95 % must stay below the upper one. Seeds are fixed: never flaky.
"""

import os
import time

import numpy as np
import pytest
from scipy import stats
from scipy.optimize import brentq

from bandit_nba.evaluate import estimate
from simulators import truth
from simulators.delays import Delays
from simulators.telco import TelcoWorld

SEEDS = int(os.environ.get("COVERAGE_SEEDS", "500"))
RESPONSES = 250
ASYMPTOTIC = [
    ("ips", "gaussian"),
    ("snips", "gaussian"),
    ("dr", "gaussian"),
    ("snips", "student_t"),
    ("snips", "bootstrap"),
    ("cressie_read", "cressie_read"),
    ("el", "el"),
]
GUARANTEED = [
    ("ips", "hoeffding"),
    ("ips", "empirical_bernstein"),
    ("snips", "clopper_pearson"),  # a heuristic that promises nothing; here it does hold
    ("ips", "confidence_sequence"),
    ("ips", "robust_sequence"),
]
# Slow answers (mean delay .4 of the wait), and a log of two waits: at its end half of the decisions are immature.
DELAYS = Delays(horizon_s=3600.0, quick_share=0.2, latest=0.99)
PERIOD_S = 2 * DELAYS.horizon_s


class Scenario:
    """The world at one response rate, a logging policy with a floor, and a policy to judge."""

    def __init__(self, world, rate):
        rng = np.random.default_rng(11)
        shape = world.q.shape
        taste = np.where(world.eligible, np.log(world.q + 1e-3) + rng.normal(0, 1.0, shape), -np.inf)
        even = truth.uniform(world.eligible)
        self.logging = 0.7 * softmax(0.5 * taste) + 0.3 * even
        self.policy = 0.8 * softmax(1.5 * taste) + 0.2 * even
        scale = brentq(lambda c: truth.value(np.minimum(c * world.q, 1.0), self.policy) - rate, 1e-3, 50.0)
        self.q = np.minimum(scale * world.q, 1.0)
        self.truth = truth.value(self.q, self.policy)
        self.weights = np.divide(self.policy, self.logging, where=world.eligible, out=np.zeros(shape))
        self.weight_range = (0.0, float(self.weights.max()))
        self.model = self.q * rng.uniform(0.5, 1.5, shape)  # off by up to half, and blind to every log
        self.q_policy = (self.policy * self.model).sum(axis=1)
        self.cumulative = self.logging.cumsum(axis=1)
        self.rate = rate

    def decisions(self, seed, n):
        """Customers, arms and responses of n decisions, in the order in which they were made."""
        rng = np.random.default_rng([0xC0FE, seed, n])
        customer = rng.integers(0, len(self.q), n)
        drawn = rng.random((n, 1)) * self.cumulative[customer, -1:]
        arm = (self.cumulative[customer] > drawn).argmax(axis=1)
        return customer, arm, rng.random(n) < self.q[customer, arm], rng

    def vectors(self, customer, arm, reward):
        return {
            "weights": self.weights[customer, arm],
            "rewards": reward.astype(float),
            "groups": customer,
            "q_logged": self.model[customer, arm],
            "q_policy": self.q_policy[customer],
        }


def softmax(scores):
    grown = np.exp(scores - scores.max(axis=1, keepdims=True))
    return grown / grown.sum(axis=1, keepdims=True)


@pytest.fixture(scope="module")
def world():
    return TelcoWorld(seed=301)


class Tally:
    """Misses and mean widths of every interval."""

    def __init__(self, scenario):
        self.scenario = scenario
        self.misses = dict.fromkeys(ASYMPTOTIC + GUARANTEED, 0)
        self.widths = dict.fromkeys(self.misses, 0.0)

    def add(self, vectors):
        for estimator, interval in self.misses:
            model = estimator == "dr"
            found = estimate(
                **{name: v for name, v in vectors.items() if model or not name.startswith("q_")},
                estimator=estimator,
                interval=interval,
                weight_range=self.scenario.weight_range,
            )
            self.misses[estimator, interval] += not found.low <= self.scenario.truth <= found.high
            self.widths[estimator, interval] += (found.high - found.low) / 2 / self.scenario.truth / SEEDS

    def table(self, title):
        lines = [f"\n{title}", f"{'estimator':14}{'interval':22}{'coverage':>8}{'half width':>12}"]
        lines += [
            f"{estimator:14}{interval:22}{1 - count / SEEDS:8.3f}{self.widths[estimator, interval]:12.1%}"
            for (estimator, interval), count in self.misses.items()
        ]
        return "\n".join(lines)

    def wrong(self):
        """The intervals that miss too often, or the asymptotic ones that miss too rarely."""
        least, most = stats.binom.ppf([5e-4, 1 - 5e-4], SEEDS, 0.05)
        count = self.misses
        few = [pair for pair in ASYMPTOTIC if count[pair] < least]
        return few + [pair for pair in count if count[pair] > most]


@pytest.mark.slow
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("rate", [0.01, 0.05, 0.2])
def test_every_interval_covers_the_truth_of_the_telco_world(world, rate, capsys):
    scenario, started = Scenario(world, rate), time.perf_counter()
    n = round(RESPONSES / rate)
    tally, by_weight = Tally(scenario), []
    for seed in range(SEEDS):
        customer, arm, reward, _ = scenario.decisions(seed, n)
        vectors = scenario.vectors(customer, arm, reward)
        weighted = vectors["weights"] * vectors["rewards"]
        by_weight.append(weighted.sum() ** 2 / (weighted @ weighted))
        tally.add(vectors)
    title = (
        f"Telco world, response rate {rate:.0%}, {n:,} decisions worth {np.mean(by_weight):.0f} weighted responses, "
        f"{SEEDS} seeds ({time.perf_counter() - started:.0f} s)"
    )
    with capsys.disabled():
        print(tally.table(title))

    assert np.mean(by_weight) > 100
    assert scenario.truth == pytest.approx(rate, abs=1e-9)
    assert tally.wrong() == []


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_every_interval_covers_under_delayed_rewards_when_only_matured_decisions_are_judged(world, capsys):
    """Decisions over two waits, the first half matured at the end. Late responses read as zeros must not cover."""
    scenario, started = Scenario(world, 0.05), time.perf_counter()
    n = 2 * round(RESPONSES / 0.05)
    decided_at = np.arange(n) * PERIOD_S / n
    tally, naive, immature = Tally(scenario), 0, 0.0
    for seed in range(SEEDS):
        customer, arm, responds, rng = scenario.decisions(seed, n)
        received = responds & (decided_at + DELAYS.sample(rng, n) <= PERIOD_S)
        matured = decided_at + DELAYS.horizon_s <= PERIOD_S
        immature += float((~matured).mean()) / SEEDS
        tally.add(scenario.vectors(customer[matured], arm[matured], received[matured]))
        all_rows = scenario.vectors(customer, arm, received)
        found = estimate(all_rows["weights"], all_rows["rewards"], groups=customer)
        naive += not found.low <= scenario.truth <= found.high
    title = (
        f"Telco world, delayed rewards, response rate 5%, {n // 2:,} matured of {n:,} decisions ({immature:.0%} "
        f"immature), {SEEDS} seeds ({time.perf_counter() - started:.0f} s)"
    )
    with capsys.disabled():
        print(tally.table(title))
        print(f"{'snips':14}{'gaussian':22}{1 - naive / SEEDS:8.3f}  with immature decisions as they stand")

    assert tally.wrong() == []
    assert naive > 0.5 * SEEDS


@pytest.mark.slow
def test_the_scenario_is_what_it_says(world):
    scenario = Scenario(world, 0.05)
    customer, arm, reward, _ = scenario.decisions(0, 50_000)

    assert scenario.logging.sum(axis=1) == pytest.approx(1.0)
    assert scenario.policy.sum(axis=1) == pytest.approx(1.0)
    assert world.eligible[customer, arm].all()
    # IPS of the policy is unbiased: 50,000 decisions, within five standard errors (seed 0; error rate 6e-7)
    weighted = scenario.weights[customer, arm] * reward
    assert abs(weighted.mean() - 0.05) < 5 * weighted.std() / np.sqrt(50_000)
