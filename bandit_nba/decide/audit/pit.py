"""Were choices really drawn with the logged probabilities? The randomised probability integral transform.

For a choice from a discrete distribution, PIT = F(below it) + V p(chosen), with V an independent uniform, is uniform on
[0, 1) if and only if the choice follows the distribution (Czado, Gneiting & Held 2009, with their u replaced by V).
Arms are sorted by probability, so that choices too bold or too timid pile up at one end.
"""

import numpy as np
import numpy.typing as npt
from scipy import stats

from bandit_nba.decide.columns import Floats, Ints

BINS = 20
MIN_ROWS = 5 * BINS  # the chi-square approximation wants five expected rows per bin


def randomised_pit(probability: Floats, chosen: Ints, v: Floats) -> Floats:
    """PIT of each choice, float64 (N,) in [0, 1]; arms in ascending order of probability, ties in catalogue order.

    probability: (N, K), rows sum to 1. chosen: (N,). v: (N,) in [0, 1), independent of the choices.
    """
    own = np.take_along_axis(probability, chosen[:, None], axis=1)
    before = probability < own
    before |= (probability == own) & (np.arange(probability.shape[1]) < chosen[:, None])
    below = np.where(before, probability, 0.0).sum(axis=1)
    pit: Floats = np.clip(below + v * own[:, 0], 0.0, 1.0)
    return pit


def histogram(pit: Floats) -> Ints:
    """How many values fall into each of the `BINS` equal bins, int64 (BINS,)."""
    return np.bincount(np.minimum((pit * BINS).astype(np.int64), BINS - 1), minlength=BINS)


def uniformity(counts: npt.NDArray[np.int64]) -> float | None:
    """Chi-square p-value of equally filled bins; None below `MIN_ROWS` rows."""
    return float(stats.chisquare(counts).pvalue) if counts.sum() >= MIN_ROWS else None
