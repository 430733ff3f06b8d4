"""What a contact changes: four types of customers and one formula.

    p(no contact)  = o
    p(arm a)       = o + gain_type (1 - o) exp(-k F) g(x, a) - harm_type o
    g(x, a)        = sigmoid(logit(x, a))

o is the organic chance of the customer's type in this step. Persuadables have a low o and the full gain; sure things a
high o and little to gain; lost causes neither; do-not-disturbs lose part of their o when they are contacted. One
uniform u decides in all worlds alike: the customer responds where u < p, so that a better arm never loses a response.
"""

from typing import Final, get_args

import numpy as np

from bandit_nba.decide.columns import Floats, Ints
from simulators.journey.settings import Uplift, UpliftType

TYPES: Final[tuple[UpliftType, ...]] = get_args(UpliftType)


def by_type(uplift: Uplift) -> tuple[Floats, Floats, Floats]:
    """Organic chance, gain and harm as arrays over `TYPES`."""
    organic, gain, harm = (
        np.array([table.get(name, 0.0) for name in TYPES]) for table in (uplift.organic, uplift.gain, uplift.harm)
    )
    return organic, gain, harm


def kept_and_room(organic: Floats, gain: Floats, harm: Floats) -> tuple[Floats, Floats]:
    """What of p does not depend on the appeal, o (1 - harm), and what the appeal fills, gain (1 - o).

    organic: (types, S). gain, harm: (types, K), 0 for no action. Both results float64 (types, S, K).
    """
    o = organic[:, :, None]
    return o * (1.0 - harm[:, None, :]), gain[:, None, :] * (1.0 - o)


def sigmoid(logits: Floats) -> Floats:
    """1 / (1 + exp(-x)); logits are within +-700 here."""
    found: Floats = np.reciprocal(np.exp(-logits) + 1.0)
    return found


def draw_types(shares: Floats, u: Floats) -> Ints:
    """A type for each row of shares (n, 4), int64 (n,), by inverse CDF at u (n,)."""
    cumulative = np.cumsum(shares, axis=1)
    cumulative /= cumulative[:, -1:]
    kind: Ints = np.minimum((u[:, None] >= cumulative).sum(axis=1), len(TYPES) - 1).astype(np.int64)
    return kind
