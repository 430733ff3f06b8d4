"""What policies really earn in a world whose q(x, a) is known exactly.

All functions take rows: `q` and `mask` are (N, K) arrays of the judged decisions, gathered by
`world.q[customer_index]` and the logged eligible sets.
"""

import numpy as np

from bandit_nba.decide.columns import Bools, Floats, Ints


def value(q: Floats, probability: Floats) -> float:
    """Mean over rows of sum_a pi(a|x) q(x, a): the truth that estimators are held against."""
    return float(np.einsum("nk,nk->n", probability, q).mean())


def oracle(q: Floats, mask: Bools) -> Ints:
    """The best eligible arm of each row, int64 (N,); the first of equals."""
    best: Ints = np.where(mask, q, -np.inf).argmax(axis=1)
    return best


def best_fixed(q: Floats, mask: Bools) -> int:
    """The one arm that earns most when it is always taken, and "no action" where it is not eligible."""
    return int(np.where(mask, q, q[:, :1]).mean(axis=0).argmax())


def deterministic(arm_index: Ints, mask: Bools) -> Floats:
    """Probability 1 on each row's arm, or on "no action" (column 0) where that arm is not eligible; float64 (N, K)."""
    rows = np.arange(len(mask))
    probability = np.zeros(mask.shape)
    probability[rows, np.where(mask[rows, arm_index], arm_index, 0)] = 1.0
    return probability


def uniform(mask: Bools) -> Floats:
    """Equal probability on each row's eligible arms, float64 (N, K)."""
    probability: Floats = mask / mask.sum(axis=1, keepdims=True)
    return probability
