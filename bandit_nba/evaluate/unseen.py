"""The variance that rewards under heavy weights would add, where the log has hardly any of them.

Sixty journeys of weight 85, none of them rewarded by chance: the sandwich variance sees no spread there, and the
interval is far too narrow just where the estimate is too low. The light journeys show how rewards spread; if heavy
ones spread alike, the variance is larger. The larger of the two, of one that trusts what was seen and of one that
pools it, is the usual advice where few rows have leverage (Angrist and Pischke 2009, section 8.1).
"""

import numpy as np

from bandit_nba.evaluate.sample import FloatArray


def unseen_variance(weights: FloatArray, residuals: FloatArray, scales: FloatArray) -> float:
    """What to add to the variance of sum_t c_t sum_i w_it d_it: sum_t c_t^2 max(0, m_t sum_i w^2 - sum_i w^2 d^2).

    m_t = sum w d^2 / sum w is the residuals' spread under the judged policy. weights, residuals: (n, T); scales: (T,).
    """
    squares = weights**2
    total = weights.sum(axis=0)
    spread = residuals**2
    mean = np.divide((weights * spread).sum(axis=0), total, out=np.zeros_like(total), where=total > 0)
    lacking = np.maximum(mean * squares.sum(axis=0) - (squares * spread).sum(axis=0), 0.0)
    return float((scales**2 * lacking).sum())
