"""Which stages a request went through, and when: for those who want to know it of a single request, as traces do."""

import contextvars
from typing import NamedTuple


class Timed(NamedTuple):
    """A stage that a batch of `size` decisions went through; it began and ended so on the clock of `perf_counter`."""

    stage: str
    begun_s: float
    ended_s: float
    size: int


watched: contextvars.ContextVar[list[Timed] | None] = contextvars.ContextVar("watched", default=None)
"""Where the stages of what is asked in this context are to be told; None where nobody wants to know."""
