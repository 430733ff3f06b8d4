"""Journey estimators against worlds that are played: what they cover and refuse, and whose propensities count."""

import numpy as np
import pytest
from scipy.stats import binom

import simulators
from bandit_nba.evaluate.journeys import JourneyEstimator, step_ess
from experiments.journey_ope.fitted import expected
from experiments.journey_ope.log import Journeys, Ranking, draw, logged, truth
from experiments.journey_ope.play import judge, step_weights


def made(*, seed: int, n: int = 10_000, steps: int = 5, loggers: tuple[float, ...] = (0.2, 1.0)) -> Journeys:
    world = simulators.make("fatigue-trap", seed=seed)
    zero = np.zeros(len(world.catalogue.arms))
    components = [Ranking(zero, share) for share in loggers]
    shares = np.full(len(loggers), 1.0 / len(loggers))
    return logged(world, components, shares, Ranking(zero, 0.8), n=n, steps=steps, money=False)


def test_arms_are_drawn_with_their_probabilities() -> None:
    probabilities = np.array([[0.0, 0.25, 0.0, 0.75]]).repeat(4, axis=0)

    assert draw(probabilities, np.array([0.0, 0.2499, 0.25, 0.9999])).tolist() == [1, 1, 3, 3]


def test_weights_of_whole_journeys_average_to_one_and_marginal_ones_do_not() -> None:
    """E[w] = 1 at each step under the mixture and under the own component; 4.5 standard errors, 7 in a million each."""
    journeys = made(seed=1)

    def z(propensities: str) -> np.ndarray:
        products = np.cumprod(step_weights(journeys, propensities), axis=1)
        return (products.mean(axis=0) - 1.0) / (products.std(axis=0) / np.sqrt(len(products)))

    assert (np.abs(z("mixture")) < 4.5).all()
    assert (np.abs(z("own")) < 4.5).all()
    assert np.abs(z("marginal"))[1:].max() > 4.5
    assert step_ess(np.cumprod(step_weights(journeys, "mixture"), axis=1))[-1] > 200


def test_a_fitted_value_of_the_last_step_is_a_regression_of_its_reward() -> None:
    """V of horizon h at step t is zero from step h on, and means agree with what the logged arm earned."""
    journeys = made(seed=2, n=2_000, steps=3)
    q_logged, q_policy = expected(journeys)

    assert not q_policy[:, 2, :2].any()
    assert not q_logged[:, 1, 0].any()
    assert q_logged[:, 2, 2].mean() == pytest.approx(journeys.rewards[:, 2].mean(), abs=0.02)
    assert np.isfinite(q_policy).all()


def test_what_the_log_cannot_carry_is_refused_with_its_reason() -> None:
    journeys = made(seed=3, n=300)
    found = judge(journeys, step_weights(journeys, "mixture"), "wpdis", horizon=5, true=0.0)

    assert [one.metric for one in found] == ["refused"]
    assert "effective journeys" in found[0].label
    assert "shorten the horizon" in found[0].label


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_journey_estimators_cover_the_truth_up_to_five_steps() -> None:
    """20 worlds, 10,000 journeys of two loggers each, ESS above 200; truth by 100,000 played customers.

    A sound 95 % interval misses the bound, in any of the fifteen counts, in less than 1 of 10,000 such tests.
    """
    worlds = 20
    estimators: tuple[JourneyEstimator, ...] = ("pdis", "wpdis", "dr")
    covered = np.zeros((len(estimators), 5))
    for seed in range(8_000, 8_000 + worlds):
        world = simulators.make("fatigue-trap", seed=seed)
        journeys = made(seed=seed)
        value, _ = truth(world, Ranking(np.zeros(5), 0.8), n=100_000, steps=5, money=False)
        weights, model = step_weights(journeys, "mixture"), expected(journeys)
        for i, estimator in enumerate(estimators):
            for horizon in range(1, 6):
                true = float(value[horizon - 1])
                given = model if estimator == "dr" else None
                found = judge(journeys, weights, estimator, horizon=horizon, true=true, model=given)
                covered[i, horizon - 1] += next(one.value for one in found if one.metric == "covered")

    assert covered.min() >= binom.ppf(1e-4 / 15, worlds, 0.95)
