"""What the learner reads from the decision log and commits to it; `store.learner.learning` implements it."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from bandit_nba.catalogue import Catalogue
from bandit_nba.learn.join import Outcomes, Windows
from bandit_nba.learn.manifest import StoredModel

Position = tuple[float, str]
"""(matures_at, id): the order in which decisions are learned."""

START: Position = (float("-inf"), "")


@dataclass(frozen=True)
class Claim:
    """The right to learn. `fence` grows when it changes hands; what matured before `horizon` is complete for good.

    released: decisions that left quarantine and wait to be learned in their place (see `learn.learner`).
    """

    fence: int
    horizon: float
    released: Sequence[str] = ()


@dataclass(frozen=True)
class Poison:
    """A decision that cannot be learned. reason: the kind of error; why: the error's own words."""

    decision: str
    reason: str
    why: str


@dataclass(frozen=True)
class LoggedBatch:
    """N decisions in learning order, with what may count for them.

    facts: JSON objects as logged, None where they were erased. catalogues: the version each was decided under. inline:
    JSON of the actions that a request brought, None where the catalogue's were meant; empty where that is all of them.
    windows: ids, customers, and [decided_at, matures_at]. outcomes: all that may count, and perhaps others.
    """

    channels: Sequence[str]
    arms: Sequence[str]
    catalogues: Sequence[str]
    facts: Sequence[bytes | None]
    windows: Windows
    outcomes: Outcomes
    inline: Sequence[bytes | None] = ()

    def __len__(self) -> int:
        return len(self.windows.ids)

    def pick(self, rows: Sequence[int]) -> "LoggedBatch":
        """Some of the decisions, in the order given, with all outcomes."""
        if len(rows) == len(self):
            return self
        windows = self.windows
        return LoggedBatch(
            channels=[self.channels[i] for i in rows],
            arms=[self.arms[i] for i in rows],
            catalogues=[self.catalogues[i] for i in rows],
            facts=[self.facts[i] for i in rows],
            windows=Windows(
                ids=[windows.ids[i] for i in rows],
                customers=[windows.customers[i] for i in rows],
                opens_at=windows.opens_at[rows],
                closes_at=windows.closes_at[rows],
                first_slots=[windows.first_slots[i] for i in rows] if windows.first_slots else (),
            ),
            outcomes=self.outcomes,
            inline=[self.inline[i] for i in rows] if self.inline else (),
        )

    def with_facts(self) -> "LoggedBatch":
        """Without the decisions whose facts were erased: they teach nothing."""
        return self.pick([i for i, facts in enumerate(self.facts) if facts is not None])

    @property
    def last(self) -> Position:
        """Where the next batch goes on; not for an empty batch."""
        return float(self.windows.closes_at[-1]), self.windows.ids[-1]


@dataclass(frozen=True)
class Checkpoint:
    """What one transaction makes durable: a model, the decisions that it learned beyond its parent, and the rest.

    model: None where nothing was learned. quarantined: decisions whose rows cannot be learned. released: decisions
    out of quarantine that a new lineage learned in their place. never: decisions that cannot be learned any more,
    because their facts were erased.
    """

    model: StoredModel | None = None
    learned: Sequence[str] = ()
    quarantined: Sequence[Poison] = ()
    released: Sequence[str] = ()
    never: Sequence[str] = ()

    def __bool__(self) -> bool:
        return self.model is not None or bool(self.quarantined or self.never)


class Waiting(Protocol):
    """Ids of decisions in learning order, taken from the front; `len` says how many are left."""

    def __len__(self) -> int:
        """How many are left."""

    def take(self, most: int) -> Sequence[str]:
        """The next ids, at most so many."""


class LearningLog(Protocol):
    """The decision log as one learner sees it. Any method may raise `StoreError`."""

    def claim(self) -> Claim | None:
        """Take or keep the right to learn; None while another learner has it."""

    def release(self) -> None:
        """Let another learner begin at once."""

    def newest(self) -> StoredModel | None:
        """The model to go on from, None before the first."""

    def catalogue(self, version: str) -> Catalogue:
        """A catalogue that decisions were made under."""

    def matured(self, claim: Claim, *, after: Position, limit: int) -> LoggedBatch:
        """The next decisions after a position that matured before the claim's horizon and no model has learned."""

    def learned(self) -> Waiting:
        """All decisions that the newest model has learned, in learning order; memory must not grow with them."""

    def batch(self, ids: Sequence[str]) -> LoggedBatch:
        """These decisions in learning order, without those that are gone."""

    def commit(self, claim: Claim, checkpoint: Checkpoint) -> bool:
        """Make a checkpoint durable, whole; False, and nothing written, if another learner took over."""
