"""The randomised PIT by hand, and that it is uniform exactly where choices follow the distribution."""

import numpy as np
import pytest
from scipy import stats

from bandit_nba.decide.audit.pit import BINS, MIN_ROWS, histogram, randomised_pit, uniformity
from bandit_nba.decide.audit.run import ALARM
from bandit_nba.decide.choice.sample import draw
from bandit_nba.decide.columns import Floats
from tests.decide import decide_world as world


def test_by_hand() -> None:
    """p = (.5, .2, .3): ascending .2, .3, .5; with v = .5 the PITs are .75, .1, .35."""
    p = np.array([[0.5, 0.2, 0.3]] * 3)

    got = randomised_pit(p, np.array([0, 1, 2]), np.full(3, 0.5))

    np.testing.assert_allclose(got, [0.75, 0.1, 0.35])


def test_ties_stand_in_catalogue_order_and_impossible_arms_take_no_room() -> None:
    p = np.array([[0.5, 0.0, 0.5]] * 2)

    got = randomised_pit(p, np.array([0, 2]), np.zeros(2))

    np.testing.assert_allclose(got, [0.0, 0.5])


def test_full_enumeration_is_uniform() -> None:
    """Every arm with a grid of v, weighted by its probability, fills the 20 bins evenly: no sampling, no error rate."""
    p = np.array([0.05, 0.15, 0.2, 0.6])
    grid = (np.arange(4000) + 0.5) / 4000
    pit = [randomised_pit(np.broadcast_to(p, (4000, 4)), np.full(4000, k), grid) for k in range(4)]

    filled = sum(p[k] * histogram(pit[k]) for k in range(4))

    np.testing.assert_allclose(filled / 4000, 1 / BINS, atol=2e-4)


def test_the_ends_fall_into_the_outer_bins() -> None:
    counts = histogram(np.array([0.0, 1.0, 1 - 2**-53, 0.05]))

    assert (counts[0], counts[1], counts[-1]) == (1, 1, 2)


def test_too_few_rows_have_no_p_value() -> None:
    few, enough = np.zeros(BINS, dtype=np.int64), np.full(BINS, 5)
    few[0] = MIN_ROWS - 1

    assert uniformity(few) is None
    assert uniformity(enough) == 1.0


@pytest.fixture(scope="module")
def probability() -> Floats:
    return world.engine().decide(world.requests(20_000), world.ExactModel()).probability


@pytest.mark.slow
class TestErrorRates:
    """200 audits each of the choices of 20,000 SquareCB decisions with floor .05, over ragged eligible sets of 20 arms.

    Fixed seeds 0 to 199: a true sampler's p-values are uniform (Kolmogorov-Smirnov at 1e-4) and none raises the alarm
    (expected: .02 of 200); samplers from p^1.1 and p^.9 are always found.
    """

    def test_true_choices_raise_no_alarm(self, probability: Floats) -> None:
        p_values = _p_values(probability, probability)

        assert stats.kstest(p_values, "uniform").pvalue > 1e-4
        assert min(p_values) > ALARM

    @pytest.mark.parametrize("power", [1.1, 0.9])
    def test_bolder_or_more_timid_choices_always_do(self, probability: Floats, power: float) -> None:
        other = probability**power

        assert max(_p_values(probability, other / other.sum(axis=1, keepdims=True))) < ALARM


def _p_values(logged: Floats, drawn_from: Floats) -> list[float]:
    found = []
    for seed in range(200):
        rng = np.random.default_rng(seed)
        chosen = draw(drawn_from, rng.random(len(logged)))
        p_value = uniformity(histogram(randomised_pit(logged, chosen, rng.random(len(logged)))))
        assert p_value is not None
        found.append(p_value)
    return found
