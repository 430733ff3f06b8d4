"""What customers of a journey ask at a step, as the library's engine takes it; for worlds that do not say it."""

from typing import Any

import numpy as np

from bandit_nba.decide.batch import Requests
from bandit_nba.decide.columns import Coded


def requests_of(world: Any, state: Any) -> Requests:
    """The world's own `requests(state)` where it has one; else of its channel, facts and calendar."""
    own = getattr(world, "requests", None)
    if own is not None:
        found: Requests = own(state)
        return found
    numbers = state.customer.tolist()
    n = len(numbers)
    return Requests(
        ids=[f"{state.t}-{i}" for i in numbers],
        customers=[f"c{i}" for i in numbers],
        channels=Coded(codes=np.asarray(world.channel(state)), values=tuple(world.channels)),
        decided_at=np.full(n, world.start_s + state.t * world.step_s),
        facts=world.facts(state),
        readable=np.ones(n, dtype=np.bool_),
    )
