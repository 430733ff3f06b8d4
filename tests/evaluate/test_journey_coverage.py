"""Of the verdicts that are given, 95 % intervals of journeys hold the truth: on processes whose value is exact.

States and arms are few, so the truth is a forward recursion. Every replicate is another process, another log and
another policy, near to the log's and far from it; rewards are frequent, rare or money with a long tail.
"""

from dataclasses import dataclass

import numpy as np
import pytest
from scipy.stats import binom

from bandit_nba.errors import RefusedError
from bandit_nba.evaluate.journeys import estimate_journeys

STATES = 5
LONGEST = 5


@dataclass(frozen=True)
class Case:
    """level: mean reward. logged, judged: shares that the two policies spread evenly over the arms.

    agree: how alike their rankings are, in standard deviations of the noise between them; 0: not at all.
    """

    level: float
    logged: float
    judged: float
    agree: float = 1.0
    arms: int = 5
    n: int = 5_000
    tail: float = 0.0


CASES = {
    "near": Case(0.3, 0.8, 0.6),
    "far": Case(0.3, 0.5, 0.1),
    "far, alike": Case(0.1, 0.3, 0.05, agree=2.0),
    "far, nothing in common": Case(0.3, 0.4, 0.2, agree=0.0),
    "rare rewards": Case(0.02, 0.6, 0.3, n=10_000),
    "money": Case(0.2, 0.6, 0.3, tail=1.0, n=10_000),
    "many arms": Case(0.2, 0.6, 0.2, arms=12),
}


@dataclass(frozen=True)
class Process:
    """moves: (S, K, S). chance: of a reward, (S, K). first: (S,). log, policy: (S, K)."""

    moves: np.ndarray
    chance: np.ndarray
    first: np.ndarray
    log: np.ndarray
    policy: np.ndarray


def process(case: Case, rng: np.random.Generator) -> Process:
    shape = (STATES, case.arms)
    score = rng.normal(size=shape)
    other = score + rng.normal(size=shape) / case.agree if case.agree else rng.normal(size=shape)

    def spread(scores: np.ndarray, share: float) -> np.ndarray:
        found = np.full(shape, share / case.arms)
        found[np.arange(STATES), scores.argmax(axis=1)] += 1.0 - share
        return found

    return Process(
        moves=rng.dirichlet(np.full(STATES, 0.5), size=shape),
        chance=np.clip(case.level * rng.lognormal(0.0, 0.5, size=shape), 0.0, 0.95),
        first=rng.dirichlet(np.ones(STATES)),
        log=spread(score, case.logged),
        policy=spread(other, case.judged),
    )


def values(made: Process, steps: int) -> np.ndarray:
    """The policy's value over the first 1 .. steps steps, exactly."""
    here, found = made.first, []
    for _ in range(steps):
        found.append(float((here[:, None] * made.policy * made.chance).sum()))
        here = np.einsum("s,sk,skn->n", here, made.policy, made.moves)
    return np.cumsum(found)


def log_of(made: Process, case: Case, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """States, arms and rewards, (n, LONGEST) each."""
    n = case.n
    state = rng.choice(STATES, n, p=made.first)
    states, arms, rewards = (np.zeros((n, LONGEST), dtype=kind) for kind in (int, int, float))
    for t in range(LONGEST):
        arm = drawn(made.log[state], rng)
        reward = (rng.random(n) < made.chance[state, arm]).astype(float)
        if case.tail:
            reward *= rng.lognormal(-(case.tail**2) / 2, case.tail, n)
        states[:, t], arms[:, t], rewards[:, t] = state, arm, reward
        state = drawn(made.moves[state, arm], rng)
    return states, arms, rewards


def drawn(probabilities: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    cumulative = probabilities.cumsum(axis=1)
    return (rng.random(len(cumulative))[:, None] * cumulative[:, -1:] > cumulative[:, :-1]).sum(axis=1)


def model_of(made: Process, horizon: int, rng: np.random.Generator) -> list[np.ndarray]:
    """Q of each step, wrong by 30 %, as a fitted one is."""
    value, found = np.zeros(STATES), []
    for _ in range(horizon):
        q = made.chance + made.moves @ value
        value = (made.policy * q).sum(axis=1)
        found.append(q * np.exp(0.3 * rng.normal(size=q.shape)))
    return found[::-1]


def test_the_exact_value_is_that_of_played_journeys() -> None:
    """The policy as its own log: mean rewards within 4.5 standard errors at each horizon; 7 in a million each."""
    rng = np.random.default_rng(1)
    case = Case(0.3, 0.8, 0.6, n=40_000)
    made = process(case, rng)
    own = Process(made.moves, made.chance, made.first, made.policy, made.policy)
    sums = log_of(own, case, rng)[2].cumsum(axis=1)
    errors = sums.std(axis=0) / np.sqrt(case.n)

    assert (np.abs(sums.mean(axis=0) - values(made, LONGEST)) < 4.5 * errors).all()


@pytest.mark.slow
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("name", CASES)
def test_verdicts_on_journeys_hold_the_truth(name: str) -> None:
    """300 processes each; three estimators, five horizons: covered at least the quantile 1e-5 of Binomial(given, .95).

    A sound 95 % interval fails one of the 105 counts once in 1,000 such tests.
    """
    covered, given = np.zeros((3, LONGEST)), np.zeros((3, LONGEST))
    for seed in range(300):
        rng = np.random.default_rng([list(CASES).index(name), seed])
        made = process(CASES[name], rng)
        true = values(made, LONGEST)
        states, arms, rewards = log_of(made, CASES[name], rng)
        weights = (made.policy / made.log)[states, arms]
        for h in range(1, LONGEST + 1):
            q = model_of(made, h, rng)
            logged = np.column_stack([q[t][states[:, t], arms[:, t]] for t in range(h)])
            policy = np.column_stack([(made.policy * q[t]).sum(axis=1)[states[:, t]] for t in range(h)])
            for i, estimator in enumerate(("pdis", "wpdis", "dr")):
                try:
                    found = estimate_journeys(
                        weights[:, :h].ravel(),
                        rewards[:, :h].ravel(),
                        journeys=np.repeat(np.arange(len(weights)), h),
                        steps=np.tile(np.arange(h), len(weights)),
                        horizon=h,
                        estimator=estimator,
                        q_logged=logged.ravel(),
                        q_policy=policy.ravel(),
                    )
                except RefusedError:
                    continue
                given[i, h - 1] += 1
                covered[i, h - 1] += found.estimate.low <= true[h - 1] <= found.estimate.high

    print(name, "given", given[1].tolist(), "covered", (covered / np.maximum(given, 1)).round(3).tolist())
    assert given[:, 0].min() > 150
    assert (covered >= binom.ppf(1e-5, given, 0.95)).all()
