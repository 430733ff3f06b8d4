"""The contacts of customers seen lately, so that a customer who comes again costs one look at a version.

Exact, not nearly: what was read is used again only under the same version of the customer's contact state, which
whoever adds a contact raises in the same transaction (see `store.log.contacts`), and a decision made from it is written
only if the version still stands. Rules leave out by themselves what has become too old. Rules that ask for answers too
are not served from here: an answer may be collected by a replica whose catalogue does not ask for any yet.
"""

import threading
from collections.abc import Mapping, Sequence

import msgspec

from bandit_nba.decide.eligibility.history import Contact
from bandit_nba.store.driver.bulk import Session
from bandit_nba.store.log import contacts as contact_store
from bandit_nba.store.log.contacts import Needs

MOST_CUSTOMERS = 10_000
KEPT_S = 60.0
"""Then contacts are read anew in any case: bounds what is kept of a customer who was erased, and how many a lively
customer gathers."""


class _Seen(msgspec.Struct, frozen=True, gc=False):
    version: int
    contacts: tuple[Contact, ...]
    read_at: float


class RecentContacts:
    """For one catalogue's rules; safe to share between threads."""

    def __init__(self, needs: Needs) -> None:
        self._needs = needs
        self._seen: dict[str, _Seen] = {}
        self._lock = threading.Lock()

    def look(self, connection: Session, versions: Mapping[str, int], *, now_s: float) -> dict[str, Sequence[Contact]]:
        """The contacts of those who have any; versions: everybody's, read in the connection's snapshot."""
        if self._needs.answers:
            return dict(contact_store.contacts(connection, list(versions), self._needs, now_s=now_s))
        seen = self._seen
        known: dict[str, Sequence[Contact]] = {}
        unknown = []
        for customer, version in versions.items():
            one = seen.get(customer)
            if one is not None and one.version == version and 0.0 <= now_s - one.read_at < KEPT_S:
                known[customer] = one.contacts
            else:
                unknown.append(customer)
        if unknown:
            found = contact_store.contacts(connection, unknown, self._needs, now_s=now_s)
            self._keep({c: _Seen(versions[c], tuple(found.get(c, ())), now_s) for c in unknown})
            known.update(found)
        return known

    def add(self, made: Mapping[str, Sequence[Contact]], read: Mapping[str, int]) -> None:
        """Contacts that were committed: each of these customers' version has been raised by one from that of `read`."""
        fresh = {}
        for customer, contacts in made.items():
            one = self._seen.get(customer)
            if one is not None and one.version == read.get(customer):
                fresh[customer] = _Seen(one.version + 1, (*one.contacts, *contacts), one.read_at)
        self._keep(fresh)

    def _keep(self, fresh: Mapping[str, _Seen]) -> None:
        with self._lock:
            if len(self._seen) + len(fresh) > MOST_CUSTOMERS:
                self._seen = {}  # a new dictionary: another thread may still read the old one
            self._seen.update(fresh)
