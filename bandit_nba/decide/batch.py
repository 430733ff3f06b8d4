"""What flows through the pipeline: requests column by column in, decisions row by arm out.

One request is a batch of one; nothing here knows where requests come from.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Literal, Protocol

import numpy as np
import numpy.typing as npt

from bandit_nba.catalogue import Arm, Catalogue
from bandit_nba.decide.columns import Bools, Coded, Facts, Floats, Ints
from bandit_nba.decide.wanted import Slot, Wanted, WantedKind


@dataclass(frozen=True)
class Requests:
    """N requests for a decision.

    ids: decision ids, distinct. customers: pseudonymous keys, "" for anonymous. channels: one per row.
    decided_at: seconds since the epoch, UTC, the server's clock. readable: False where the profile could not be read.
    contacts: what contact rules are asked of; without it they take out nothing. wanted: what each row wants; None where
    that is one action of all for every row.
    """

    ids: Sequence[str]
    customers: Sequence[str]
    channels: Coded
    decided_at: Floats
    facts: Facts
    readable: Bools
    contacts: "Contacts | None" = None
    wanted: Sequence[Wanted | None] | None = None

    def __len__(self) -> int:
        return len(self.ids)

    def take(self, start: int, stop: int) -> "Requests":
        """Rows start..stop as views."""
        return Requests(
            ids=self.ids[start:stop],
            customers=self.customers[start:stop],
            channels=Coded(codes=self.channels.codes[start:stop], values=self.channels.values),
            decided_at=self.decided_at[start:stop],
            facts=self.facts.take(start, stop),
            readable=self.readable[start:stop],
            contacts=None if self.contacts is None else self.contacts.take(start, stop),
            wanted=None if self.wanted is None else self.wanted[start:stop],
        )


class Contacts(Protocol):
    """What of customers' past contacts bears on a batch: the contacts themselves, or what they took out then."""

    def take(self, start: int, stop: int) -> "Contacts":
        """The part of rows start..stop."""

    def removals(self, catalogue: Catalogue, requests: Requests) -> "tuple[npt.NDArray[np.int16], tuple[Removal, ...]]":
        """Codes int16 (N, K), 0 where an arm stays, else 1 + index into the removals beside them."""


Stage = Literal[  # in the order of asking
    "validity",
    "channel",
    "profile",
    "consent",
    "eligibility",
    "applicability",
    "suitability",
    "ownership",
    "contact",
    "request",
    "fallback",
]


@dataclass(frozen=True)
class Removal:
    """Why an arm was taken out: the stage, the level and rule that did it, in words."""

    stage: Stage
    reason: str


@dataclass(frozen=True)
class Eligibility:
    """Which of K arms each of N rows may have.

    removed: int16 (N, K), 0 where the arm stays, else 1 + index into `removals` of the first stage that removed it.
    failures: rules that failed at run time, by name, with counts; a failed rule excludes.
    """

    removed: npt.NDArray[np.int16]
    removals: tuple[Removal, ...]
    failures: Mapping[str, int] = field(default_factory=dict)

    @cached_property
    def mask(self) -> Bools:
        """Bool (N, K): True where the arm is eligible; made once, not to be written to. Column 0 is always True."""
        return np.equal(self.removed, 0)


Kind = Literal["normal", "fallback", "unreadable"]
Assignment = Literal["none", "decision", "customer"]


@dataclass(frozen=True)
class Credit:
    """Which component of a mixture each of N decisions is credited to; see `mixture`.

    names: of all components. component: int64 (N,), index into `names`. share: float64 (N,), the chance with which it
    was drawn, among decisions or among customers. probability: float64 (N, K), the component's own distribution, floor
    included. by_customer: bool (N,), whether it was drawn once for the customer. experiment: names the assignment.
    """

    names: tuple[str, ...]
    component: Ints
    share: Floats
    probability: Floats
    by_customer: Bools
    experiment: str

    def assignment(self, i: int) -> Assignment:
        """How row i came to its component; "none" where there was only one."""
        if self.share[i] >= 1.0:
            return "none"
        return "customer" if self.by_customer[i] else "decision"


@dataclass(frozen=True)
class Shadow:
    """What another policy would have done in N decisions, had it acted: distribution (N, K) and a draw from it."""

    name: str
    probability: Floats
    chosen: Ints


@dataclass(frozen=True)
class Slate:
    """J places of one row, filled one after the other from K arms; see `slate`.

    asked: how many places were wanted. eligible: bool (K,), arms that may stand in some place. expected_reward,
    priority: float64 (K,), NaN elsewhere. chosen: int64 (J,), -1 where nothing was left for a place. probability:
    float64 (J, K), what each place was drawn from, given the places before it; zeros where nothing was left.
    """

    kind: WantedKind
    asked: int
    slots: tuple[Slot, ...]
    eligible: Bools
    expected_reward: Floats
    priority: Floats
    chosen: Ints
    probability: Floats

    @property
    def conditionals(self) -> Floats:
        """Each place's probability given the places before it, float64 (J,); 1 where nothing was left."""
        taken = self.probability[np.arange(len(self.chosen)), self.chosen]
        return np.where(self.chosen < 0, 1.0, taken)

    @property
    def propensity(self) -> float:
        """The probability of this very slate: the product of the conditionals."""
        return float(np.prod(self.conditionals))


@dataclass(frozen=True)
class Decisions:
    """N decisions over K arms. In arrays (N, K) cells of arms that are not eligible hold probability 0 and score NaN.

    probability: what the final choice was drawn from; rows sum to 1. propensity: its value at `chosen`.
    fallback: whether the safe policy made them, because model or rules failed; see `fallback`.
    credit: None unless a mixture made them. shadow: None unless another policy was watched; see `mixture`.
    slates: by row, where more than one place was wanted; the first place is the decision itself.
    """

    requests: Requests
    arms: tuple[Arm, ...]
    eligibility: Eligibility
    expected_reward: Floats
    priority: Floats
    probability: Floats
    chosen: Ints
    propensity: Floats
    fallback: bool = False
    credit: Credit | None = None
    shadow: Shadow | None = None
    slates: Mapping[int, Slate] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.requests)

    @property
    def support(self) -> Bools:
        """Bool (N,): True where every eligible arm could have been chosen."""
        found: Bools = (np.greater(self.probability, 0.0) == self.eligibility.mask).all(axis=1)
        return found

    @property
    def kinds(self) -> list[Kind]:
        """Per row "normal", or why learning and evaluation leave it out: "fallback", "unreadable"."""
        if self.fallback:
            return ["fallback"] * len(self)
        return ["normal" if readable else "unreadable" for readable in self.requests.readable.tolist()]
