"""Delays: within the wait, with the mean that the mixture has by hand."""

import numpy as np
import pytest

from bandit_nba.errors import SettingsError
from simulators.delays import Delays


def test_the_mean_is_that_of_the_mixture() -> None:
    """By hand: .5 x 10 s x (.6 / 5 + .4 / 2.2) = 1.5091 s. Seed 1; off by five standard errors: 6e-7."""
    delays = Delays(horizon_s=10.0)
    sample = delays.sample(np.random.default_rng(1), 100_000)

    assert delays.mean_s == pytest.approx(1.509091, abs=1e-6)
    assert sample.mean() == pytest.approx(delays.mean_s, abs=5 * sample.std() / np.sqrt(len(sample)))
    assert sample.min() >= 0.0
    assert sample.max() < 5.0


def test_most_answer_early() -> None:
    sample = Delays(horizon_s=1.0).sample(np.random.default_rng(2), 50_000)

    assert np.median(sample) < 0.5 * sample.max()


@pytest.mark.parametrize(
    "options",
    [
        {"horizon_s": 0.0},
        {"horizon_s": np.inf},
        {"horizon_s": 1.0, "latest": 1.0},
        {"horizon_s": 1.0, "quick_share": 1.5},
    ],
)
def test_settings_out_of_range_are_refused(options: dict[str, float]) -> None:
    with pytest.raises(SettingsError, match="out of range"):
        Delays(**options)
