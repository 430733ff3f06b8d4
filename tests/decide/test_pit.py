"""The randomised PIT by hand, and that it is uniform exactly where choices follow the distribution."""

import numpy as np

from bandit_nba.decide.pit import BINS, MIN_ROWS, histogram, randomised_pit, uniformity


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
