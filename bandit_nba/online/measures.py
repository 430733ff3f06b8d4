"""What one replica counts while it works: how long each stage takes, how sure its choices are, what was removed.

Cheap enough for every batch: a few numpy sums, no labels that grow with customers, actions or ids.
"""

import threading
import time
from bisect import bisect_left
from collections import Counter, deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np

from bandit_nba.decide.batch import Decisions

Stage = Literal["read", "make", "write"]
STAGES: tuple[Stage, ...] = ("read", "make", "write")

SECONDS = (0.0002, 0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0)
LATELY = 64
TOGETHER = 256  # decisions that are counted at once
SIZES = (1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0, 512.0)


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
    """The counts of one replica since its start; safe to share between threads."""

    def __init__(self) -> None:
        self.stages = {stage: Histogram(SECONDS) for stage in STAGES}
        self.batch_sizes = Histogram(SIZES)
        self.lately: deque[tuple[Stage, float, float]] = deque(maxlen=LATELY)
        """The last stages, with begin and end; whoever has a batch decided may clear them before."""
        self._choices = Choices()
        self._waiting: list[Decisions] = []
        self._rows_waiting = 0
        self._lock = threading.Lock()

    def took(self, stage: Stage, begun: float) -> None:
        """Count a stage that began at `begun`, by `time.perf_counter`, and ends now."""
        ended = time.perf_counter()
        self.stages[stage].observe(ended - begun)
        self.lately.append((stage, begun, ended))

    def made(self, decisions: Decisions) -> None:
        """Count decisions.

        Small batches wait for more of them, so that a lone decision does not pay for a dozen operations on arrays.
        """
        with self._lock:
            self._waiting.append(decisions)
            self._rows_waiting += len(decisions)
            if self._rows_waiting >= TOGETHER:
                self._count()

    def choices(self) -> "Choices":
        """What was made until now."""
        with self._lock:
            self._count()
            return self._choices

    def _count(self) -> None:
        waiting, self._waiting, self._rows_waiting = self._waiting, [], 0
        alike: dict[tuple[int, int], list[Decisions]] = {}
        for one in waiting:
            alike.setdefault((id(one.eligibility.removals), len(one.arms)), []).append(one)
        for some in alike.values():
            self._choices = self._choices.and_those(some)


@dataclass(frozen=True)
class Choices:
    """Sums over decisions: the entropy of what each was drawn from (in nats), its effective number of arms e^H, and the
    propensity; removed: the cells that each stage removed.
    """

    decisions: int = 0
    entropy_sum: float = 0.0
    arms_sum: float = 0.0
    propensity_sum: float = 0.0
    removed: Counter[str] = field(default_factory=Counter)

    def and_those(self, made: Sequence[Decisions]) -> "Choices":
        """With decisions among the same arms and with the same list of removals."""
        p = np.concatenate([one.probability for one in made])
        entropy = -np.sum(p * np.log(p, out=np.zeros_like(p), where=p > 0.0), axis=1)
        removals = made[0].eligibility.removals
        cells = np.concatenate([one.eligibility.removed for one in made])
        found = np.bincount(cells.ravel(), minlength=len(removals) + 1)[1:].tolist()
        removed = self.removed.copy()
        for removal, count in zip(removals, found, strict=True):
            if count:
                removed[removal.stage] += count
        return Choices(
            decisions=self.decisions + len(p),
            entropy_sum=self.entropy_sum + float(entropy.sum()),
            arms_sum=self.arms_sum + float(np.exp(entropy).sum()),
            propensity_sum=self.propensity_sum + float(sum(one.propensity.sum() for one in made)),
            removed=removed,
        )
