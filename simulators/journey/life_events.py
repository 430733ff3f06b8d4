"""Life events: one marked Poisson process per customer; marks are the kinds of events.

Within a step of w weeks some event comes with chance 1 - exp(-Lambda w), Lambda the sum of the kinds' rates, and the
first is of kind e with chance Lambda_e / Lambda. One uniform gives both: below 1 - exp(-Lambda w) there is an event,
and its place below that says which. A second event within one step is not told apart from the first.
"""

import numpy as np

from bandit_nba.decide.columns import Floats, Ints


def per_step(rates: Floats, *, weeks: float) -> Floats:
    """Cumulative chances that the first event of a step is of kind 1 .. e, float64 (..., E), from rates a week."""
    total = rates.sum(axis=-1, keepdims=True)
    some = -np.expm1(-total * weeks)
    share = np.divide(rates, total, out=np.zeros_like(rates), where=total > 0.0)
    chances: Floats = np.cumsum(share, axis=-1) * some
    return chances


def drawn(cumulative: Floats, rows: Ints, u: Floats) -> Ints:
    """The kind of each customer's event, 1 .. E, 0 for none, int64 (n,); `rows` point into `cumulative` (P, E)."""
    kind = np.zeros(len(u), dtype=np.int64)
    some = (u < cumulative[rows, -1]).nonzero()[0]
    if len(some):
        kind[some] = 1 + (u[some, None] >= cumulative[rows[some]]).sum(axis=1)
    return kind
