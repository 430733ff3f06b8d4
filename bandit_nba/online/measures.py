"""What one replica counts while it works: how long each stage takes, how sure its choices are, what was removed.

Cheap enough for every batch: a few numpy sums, no labels that grow with customers, actions or ids.
"""

import threading
import time
from bisect import bisect_left
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Literal

import numpy as np

from bandit_nba.decide.batch import Decisions

Stage = Literal["read", "make", "write"]
STAGES: tuple[Stage, ...] = ("read", "make", "write")

SECONDS = (0.0002, 0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0)
SIZES = (1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0)


@dataclass
class Histogram:
    """Counts by upper bound. counts: (bounds + 1,), the last for what lies above all bounds."""

    bounds: Sequence[float]
    counts: list[int] = field(default_factory=list)
    total: float = 0.0

    def __post_init__(self) -> None:
        self.counts = [0] * (len(self.bounds) + 1)
        self._lock = threading.Lock()

    def observe(self, value: float) -> None:
        """Count `value`."""
        with self._lock:
            self.counts[bisect_left(self.bounds, value)] += 1
            self.total += value

    def cumulative(self) -> list[tuple[str, int]]:
        """The bounds as text, "+Inf" last, and how many values lie at or below each."""
        with self._lock:
            counts = list(self.counts)
        names = [*(f"{bound:g}" for bound in self.bounds), "+Inf"]
        return list(zip(names, np.cumsum(counts).tolist(), strict=True))


class Measures:
    """The counts of one replica since its start."""

    def __init__(self) -> None:
        self.stages = {stage: Histogram(SECONDS) for stage in STAGES}
        self.batch_sizes = Histogram(SIZES)
        self.removed: Counter[str] = Counter()
        self.entropy_sum = 0.0
        self.arms_sum = 0.0
        self.propensity_sum = 0.0
        self.decisions = 0

    @contextmanager
    def stage(self, stage: Stage) -> Iterator[None]:
        """Time the block."""
        begun = time.perf_counter()
        try:
            yield
        finally:
            self.stages[stage].observe(time.perf_counter() - begun)

    def made(self, decisions: Decisions) -> None:
        """Count decisions: the entropy of what each was drawn from (in nats), its effective number of arms e^H, and
        the cells that each stage removed.
        """
        p = decisions.probability
        entropy = -np.sum(p * np.log(p, out=np.zeros_like(p), where=p > 0.0), axis=1)
        self.entropy_sum += float(entropy.sum())
        self.arms_sum += float(np.exp(entropy).sum())
        self.propensity_sum += float(decisions.propensity.sum())
        self.decisions += len(decisions)
        removed = decisions.eligibility.removed
        found = np.bincount(removed.ravel(), minlength=len(decisions.eligibility.removals) + 1)[1:].tolist()
        for removal, count in zip(decisions.eligibility.removals, found, strict=True):
            if count:
                self.removed[removal.stage] += count
