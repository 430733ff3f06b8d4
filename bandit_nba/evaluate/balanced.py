"""Balanced IPS for logs of several policies (Agarwal et al. 2017, arXiv 1703.06180; Open Bandit Pipeline).

w = pi / sum_k rho_k pi_k with rho_k = n_k / n: every decision is weighed against the mixture of all loggers, so that no
weight exceeds 1/rho_k times the usual one of any logger k, and arms that one logger avoided are covered by another.
"""

import numpy as np
from numpy.typing import ArrayLike

from bandit_nba.errors import InputError
from bandit_nba.evaluate.sample import FloatArray, finite_vector


def balanced_weights(policy: ArrayLike, loggers: ArrayLike, logger: ArrayLike) -> FloatArray:
    """Weights for `estimate(..., estimator="ips")` or any other estimator.

    Parameters
    ----------
    policy
        The judged policy's probability of the logged arm, shape (n,).
    loggers
        *Every* logging policy's probability of the logged arm on every row, shape (n, L): each must be a frozen policy
        that can be replayed; a learner that changed between rows is not one logger.
    logger
        Which of them (0 .. L-1) made each decision, shape (n,); gives the shares rho.

    Raises
    ------
    InputError
        A probability is not in [0, 1], or a decision has probability 0 under the logger that made it.
    """
    pi = finite_vector(policy, "policy")
    mu = np.asarray(loggers, dtype=np.float64)
    made_by = np.asarray(logger)
    if mu.ndim != 2 or len(mu) != len(pi):
        raise InputError("not one row per decision", where="loggers", got=mu.shape, allowed=f"({len(pi)}, loggers)")
    if made_by.shape != pi.shape or not np.issubdtype(made_by.dtype, np.integer):
        raise InputError("not one logger per decision", where="logger", got=made_by.shape, allowed="integers, (n,)")
    if (made_by < 0).any() or (made_by >= mu.shape[1]).any():
        row = int(np.argmax((made_by < 0) | (made_by >= mu.shape[1])))
        raise InputError(
            "no such logger", where=f"logger[{row}]", got=int(made_by[row]), allowed=f"0..{mu.shape[1] - 1}"
        )
    for name, values in (("policy", pi[:, None]), ("loggers", mu)):
        wrong = ~((values >= 0) & (values <= 1)).all(axis=1)
        if wrong.any():
            row = int(np.argmax(wrong))
            raise InputError("not a probability", where=f"{name}[{row}]", got=values[row].tolist(), allowed="0 to 1")
    own = mu[np.arange(len(pi)), made_by]
    if (own == 0).any():
        row = int(np.argmax(own == 0))
        raise InputError("its own logger never chooses this arm", where=f"loggers[{row}]", got=0.0, allowed="above 0")
    shares = np.bincount(made_by, minlength=mu.shape[1]) / len(pi)
    weights: FloatArray = pi / (mu @ shares)
    return weights
