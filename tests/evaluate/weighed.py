"""Weights and rewards of a made-up log, for tests of intervals."""

import numpy as np


def random_log(seed=0, n=2000, rate=0.1):
    """Weights of mean 1 (0.1 to 2.7) and rewards of 0 or 1, (N,) each."""
    rng = np.random.default_rng(seed)
    weights = rng.choice([0.5, 1.5], n) * rng.choice([0.2, 1.8], n)
    return weights, (rng.random(n) < rate).astype(float)
