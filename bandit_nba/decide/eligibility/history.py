"""What is known of customers' past contacts beside the requests of a batch: the contacts, or what they took out then.

A contact is a decision for anything but "no action"; "no action" never stands here. A request without a customer has
no contacts.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from types import MappingProxyType

import msgspec
import numpy as np
import numpy.typing as npt

from bandit_nba.catalogue import Catalogue
from bandit_nba.decide.batch import Removal, Requests
from bandit_nba.decide.columns import Coded, Floats, Ints
from bandit_nba.decide.eligibility.contact import contact_removals, may_remove

NO_ANSWERS: Mapping[str, float] = MappingProxyType({})


class Contact(msgspec.Struct, frozen=True, gc=False):
    """One past contact. Times in seconds since the epoch.

    counts_until: inf; or, while a deferred decision waits for its activation, until when it may come: not activated by
    then, it gives its count back. answers: by outcome type when the first was received; "ignored": when it matures, as
    long as none was.
    """

    action: str
    channel: str
    decided_at: float
    counts_until: float = np.inf
    answers: Mapping[str, float] = NO_ANSWERS


@dataclass(frozen=True)
class History:
    """The contacts of N requests' customers: those of row i are indptr[i]:indptr[i + 1] of H in all, in any order.

    actions, channels: coded (H,). decided_at, counts_until: float64 (H,). answers: by outcome type, "ignored" included,
    float64 (H,), NaN where none came; a type that is left out came nowhere. outbound: the channels on which we go to
    the customer; on all others the customer comes to us. wait_s: the longest wait for outcomes, in seconds.
    """

    indptr: Ints
    actions: Coded
    channels: Coded
    decided_at: Floats
    counts_until: Floats
    answers: Mapping[str, Floats]
    outbound: Collection[str] = frozenset()
    wait_s: float = 0.0

    def take(self, start: int, stop: int) -> "History":
        """The contacts of rows start..stop, as views."""
        lo, hi = int(self.indptr[start]), int(self.indptr[stop])
        return History(
            indptr=self.indptr[start : stop + 1] - lo,
            actions=Coded(codes=self.actions.codes[lo:hi], values=self.actions.values),
            channels=Coded(codes=self.channels.codes[lo:hi], values=self.channels.values),
            decided_at=self.decided_at[lo:hi],
            counts_until=self.counts_until[lo:hi],
            answers={name: times[lo:hi] for name, times in self.answers.items()},
            outbound=self.outbound,
            wait_s=self.wait_s,
        )

    def removals(self, catalogue: Catalogue, requests: Requests) -> tuple[npt.NDArray[np.int16], tuple[Removal, ...]]:
        """What the catalogue's contact rules take out; see `contact_removals`."""
        return contact_removals(catalogue, self, requests)

    @classmethod
    def of(
        cls, rows: Sequence[Sequence[Contact]], *, outbound: Collection[str] = frozenset(), wait_s: float = 0.0
    ) -> "History":
        """Columns from each row's contacts."""
        contacts = [contact for row in rows for contact in row]
        indptr = np.zeros(len(rows) + 1, dtype=np.int64)
        np.cumsum([len(row) for row in rows], out=indptr[1:])
        answers = [contact.answers for contact in contacts]
        types = set().union(*answers)
        return cls(
            indptr=indptr,
            actions=_coded([contact.action for contact in contacts]),
            channels=_coded([contact.channel for contact in contacts]),
            decided_at=np.array([contact.decided_at for contact in contacts], dtype=np.float64),
            counts_until=np.array([contact.counts_until for contact in contacts], dtype=np.float64),
            answers={name: np.array([one.get(name, np.nan) for one in answers]) for name in types},
            outbound=outbound,
            wait_s=wait_s,
        )


@dataclass(frozen=True)
class PastContacts:
    """Each row's contacts as they were read; columns are made only where some rule may take an arm out.

    outbound, wait_s: as in `History`.
    """

    rows: Sequence[Sequence[Contact]]
    outbound: Collection[str] = frozenset()
    wait_s: float = 0.0

    @cached_property
    def columns(self) -> History:
        """The same as arrays."""
        return History.of(self.rows, outbound=self.outbound, wait_s=self.wait_s)

    def take(self, start: int, stop: int) -> "PastContacts":
        """The part of rows start..stop."""
        return PastContacts(self.rows[start:stop], outbound=self.outbound, wait_s=self.wait_s)

    def removals(self, catalogue: Catalogue, requests: Requests) -> tuple[npt.NDArray[np.int16], tuple[Removal, ...]]:
        """What the catalogue's contact rules take out; see `contact_removals`."""
        if not may_remove(catalogue, max(map(len, self.rows), default=0)):
            return np.zeros((len(requests), len(catalogue.arms)), dtype=np.int16), ()
        return contact_removals(catalogue, self.columns, requests)


@dataclass(frozen=True)
class GivenRemovals:
    """What contact rules took out when N decisions were made: per row the reason by arm.

    The log keeps it, while the contacts of that moment cannot be told from it for ever: answers come, facts are erased.
    """

    reasons: Sequence[Mapping[str, str]]

    def take(self, start: int, stop: int) -> "GivenRemovals":
        """The part of rows start..stop."""
        return GivenRemovals(self.reasons[start:stop])

    def removals(self, catalogue: Catalogue, requests: Requests) -> tuple[npt.NDArray[np.int16], tuple[Removal, ...]]:
        """The given ones; an arm that the catalogue does not have is left out."""
        column = {arm.id: k for k, arm in enumerate(catalogue.arms)}
        codes = np.zeros((len(requests), len(column)), dtype=np.int16)
        numbers: dict[Removal, int] = {}
        for i, row in enumerate(self.reasons):
            for arm, reason in row.items():
                if column.get(arm, 0):
                    codes[i, column[arm]] = numbers.setdefault(Removal("contact", reason), len(numbers) + 1)
        return codes, tuple(numbers)


def _coded(names: Sequence[str]) -> Coded:
    numbers: dict[str, int] = {}
    codes = np.array([numbers.setdefault(name, len(numbers)) for name in names], dtype=np.int64)
    return Coded(codes=codes, values=tuple(numbers))
