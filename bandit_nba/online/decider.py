"""Durable decisions: whatever is waiting is decided as one batch, written in one transaction, and answered after it.

The same id with the same payload gets the stored answer, byte for byte, also when both came in the same batch or to
two replicas at once; with another payload it is refused.

Read, decide, write
-------------------
Profiles and contacts are read in one snapshot, decisions are made outside of any transaction, and a short write
transaction logs them. Inside it nothing else can be written, and it begins with three comparisons: does the decision
mature after all that a learner may have read, is the catalogue that it was made by still in force, and is the contact
version of its customer the one that was read? Where one of them fails, the decision is made again as a whole from fresh
state, whatever arm had been chosen, and only the last distribution is logged. Drawing again only where the chosen arm
breaks a cap would bias the log: an arm would be logged with the chance of a draw that it had survived.

A customer's version grows with every contact, so that of two decisions at the same time the second to be written knows
of the first. So a cap holds over all channels, threads and replicas, and a retired action is not chosen any more once
`nba catalogue apply` has returned.
"""

import logging
import time
import uuid
from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import sqlalchemy as sa

from bandit_nba.decide.eligibility.history import Contact
from bandit_nba.decide.engine import Engine
from bandit_nba.decide.record import DecisionRecord
from bandit_nba.decide.scoring import Scorer
from bandit_nba.errors import IdConflictError, NbaError, StoreBusyError
from bandit_nba.online.answering import Answer
from bandit_nba.online.asked import Asked
from bandit_nba.online.catalogue_feed import CatalogueFeed
from bandit_nba.online.making import Known, Making, contacts_of
from bandit_nba.online.measures import Measures
from bandit_nba.online.messages import DecisionRequest
from bandit_nba.online.ticket import Ticket
from bandit_nba.store.asking import hold
from bandit_nba.store.database import Database
from bandit_nba.store.driver import failure
from bandit_nba.store.log import contacts as contact_store
from bandit_nba.store.log import decisions as decision_store
from bandit_nba.store.log.decisions import Stored
from bandit_nba.store.steady import steady
from bandit_nba.workspace import Workspace

log = logging.getLogger("nba.decider")

Clock = Callable[[], float]

ATTEMPTS = 10
"""How often a decision is made before its client is told to ask again. Each time some other decision was written, so
that all of them together always get on."""


class Models(Protocol):
    """Where the decider takes its model from, afresh for each batch."""

    def current(self) -> Scorer:
        """The model that serves now."""


@dataclass
class Batch:
    """A batch on its way, by id. todo: to be made. made: by `versions` of their customers, and not yet written.

    settled: what counts for an id, and is stored by now. here: what this decider has written of it. lost: made in vain,
    since somebody else holds the ticket.
    """

    todo: dict[str, Asked]
    asked: dict[str, Asked] = field(default_factory=dict)
    made: dict[str, DecisionRecord] = field(default_factory=dict)
    versions: dict[str, int] = field(default_factory=dict)
    settled: dict[str, Stored] = field(default_factory=dict)
    here: dict[str, DecisionRecord] = field(default_factory=dict)
    tickets: Mapping[str, Ticket] = field(default_factory=dict)
    lost: set[str] = field(default_factory=set)

    def take(self, records: Sequence[DecisionRecord]) -> list[DecisionRecord]:
        """Those that may be written: nobody else answers them. The others are lost."""
        mine = [r for r in records if (ticket := self.tickets.get(r.id)) is None or ticket.take()]
        if len(mine) < len(records):
            lost = {r.id for r in records}.difference(r.id for r in mine)
            self.lost |= lost
            for decision in lost:
                del self.made[decision]
        return mine

    def give_back(self, records: Sequence[DecisionRecord]) -> None:
        """These could not be written."""
        for record in records:
            if record.id in self.tickets:
                self.tickets[record.id].give_back()

    def keep(self, records: Sequence[DecisionRecord]) -> None:
        """These are written."""
        for record in records:
            self.here[record.id] = self.made.pop(record.id)
            self.settled[record.id] = Stored(record.payload_sha256, record.answer)

    def make_again(self, ids: Collection[str]) -> None:
        """These have to be made again, in the order in which they were asked."""
        again = {decision: self.asked[decision] for decision in self.asked if decision in ids}
        for decision in again:
            del self.made[decision]
        self.todo |= again


class Decider:
    """Decides for one workspace and keeps what it decided. One thread at a time.

    clock: seconds since the epoch. new_id: names decisions that come without a name. catalogues: the catalogue in
    force; by default followed by this decider alone. `counts` tells what went on since the start: fallback and
    unreadable rows, replays, conflicts, and how many were made again.
    """

    def __init__(
        self,
        workspace: Workspace,
        database: Database,
        models: Models,
        *,
        clock: Clock = time.time,
        new_id: Callable[[], str] = lambda: uuid.uuid4().hex,
        catalogues: CatalogueFeed | None = None,
        measures: Measures | None = None,
    ) -> None:
        self.counts: Counter[str] = Counter()
        self._measures = measures or Measures()
        self._database = database
        self._models = models
        self._clock = steady(clock)
        self._catalogues = catalogues or CatalogueFeed(workspace, database, clock=self._clock, new_id=new_id)

    @property
    def engine(self) -> Engine:
        """What decides now."""
        return self._catalogues.current().engine

    def decide_batch(
        self, requests: Sequence[DecisionRequest], tickets: Sequence[Ticket] | None = None
    ) -> list[Answer | NbaError]:
        """Answers in the order of `requests`; a refused request holds its error in its place.

        tickets: beside `requests`; what somebody else holds the ticket of is not written.

        Raises
        ------
        StoreError
            If nothing could be stored: nobody has been answered then, and all may ask again.
        sqlalchemy.exc.IntegrityError
            If some decision breaks a constraint, so that the store refuses the whole batch.
        """
        accept = self._catalogues.current().accept
        accepted: list[Asked | NbaError] = []
        first: dict[str, Asked] = {}
        for request in requests:
            try:
                one = accept(request)
            except NbaError as error:
                accepted.append(error)
            else:
                accepted.append(one)
                first.setdefault(one.id, one)
        batch = self._settle(list(first.values()), _by_id(accepted, tickets) if tickets else {})
        out: list[Answer | NbaError] = []
        for asked in accepted:
            if isinstance(asked, Asked):
                new = asked.id in batch.here and asked is first[asked.id]
                out.append(self._answer(asked, batch.settled.get(asked.id), replayed=not new))
            else:
                out.append(asked)
        return out

    def _answer(self, asked: Asked, settled: Stored | None, *, replayed: bool) -> Answer | NbaError:
        """What was settled for this id, for everybody who asked the same."""
        if settled is None:
            self.counts["busy"] += 1
            return StoreBusyError(
                "others decide for this customer all the time",
                where="customerId",
                hint="the same request may be sent again",
            )
        if settled.payload_sha256 == asked.payload_sha256:
            if replayed:
                self.counts["replayed"] += 1
            return Answer(settled.answer, replayed=replayed)
        self.counts["conflict"] += 1
        return IdConflictError(
            "this id was asked with another payload",
            where="decisionId",
            hint="a new question needs a new id; the same question is answered again as it was",
        )

    def _settle(self, asked: Sequence[Asked], tickets: Mapping[str, Ticket]) -> Batch:
        """Make what is asked and write it, and again what others have overtaken; what is left then is not settled.

        Known ids are not looked for beforehand: nearly all are new, and whether one is known for sure only the write
        can tell. A batch with known ones is refused by it whole, and written again without them.
        """
        batch = Batch(todo={a.id: a for a in asked}, tickets=tickets)
        for attempt in range(ATTEMPTS):
            if not batch.todo and not batch.made:
                break
            if batch.todo:
                if attempt:
                    self.counts["made_again"] += len(batch.todo)
                self._make(batch)
            begun = time.perf_counter()
            self._write(batch)
            self._measures.took("write", begun)
        self._measures.batch_sizes.observe(len(batch.asked))
        if batch.lost:
            with self._database.read_straight() as connection:
                batch.settled |= decision_store.answers(connection, batch.lost)
        for record in batch.here.values():
            self.counts[record.kind] += 1
        return batch

    def _make(self, batch: Batch) -> None:
        making, todo = self._catalogues.current(), list(batch.todo.values())
        begun = time.perf_counter()
        known = self._look(making, todo)
        self._measures.took("read", begun)
        begun = time.perf_counter()
        batch.made |= {record.id: record for record in making.make(todo, known, self._models.current())}
        self._measures.took("make", begun)
        batch.versions |= known.versions
        batch.asked |= batch.todo
        batch.todo = {}

    def _look(self, making: Making, asked: Sequence[Asked]) -> Known:
        if not any(a.customer for a in asked):
            return Known()
        try:
            with self._database.read_straight() as connection:
                return making.look(connection, asked)
        except Exception as error:  # noqa: BLE001 (whatever it is: consent that was not read is not given)
            log.error("customers cannot be read; only safe arms are offered: %s", type(error).__name__)
            return Known.nothing()

    def _write(self, batch: Batch) -> None:
        """Log what was made in one short transaction; or, where an id is known already, none of it."""
        made = list(batch.made.values())
        fresh: list[DecisionRecord] = []
        committing = False
        try:
            with self._database.write_straight() as connection:
                held = hold(connection, batch.versions)
                horizon, in_force = held.horizon, held.catalogue
                stale = _changed(batch.versions, held.versions)
                current = [
                    r
                    for r in made
                    if r.matures_at >= horizon and r.customer not in stale and in_force in (None, r.catalogue_version)
                ]
                fresh = batch.take(current)
                decision_store.insert(connection, fresh)
                recent = self._catalogues.current().recent
                contacts = {} if recent is None else _contacts(fresh)
                contact_store.raise_versions(connection, contacts)
                committing = True
        except sa.exc.IntegrityError:
            batch.give_back(fresh)
            if not self._take(batch, list(batch.made.values())):
                raise
            return
        except BaseException as error:
            if not (committing and failure.in_doubt(error)):
                batch.give_back(fresh)  # else nobody may say that nothing was kept
            raise
        if recent is not None:
            recent.add(contacts, batch.versions)
        batch.keep(fresh)
        if len(current) == len(made):  # nearly always
            return
        batch.make_again(batch.made)
        if any(record.matures_at < horizon for record in made):
            self._clock.not_before(horizon)
        if any(in_force not in (None, record.catalogue_version) for record in made):
            self._catalogues.follow()

    def _take(self, batch: Batch, made: Sequence[DecisionRecord]) -> bool:
        """Settle the ids that are known already; False if there are none.

        What was made beside them for their customers has counted them twice, and is made again.
        """
        with self._database.read_straight() as connection:
            taken = decision_store.answers(connection, [record.id for record in made])
        batch.settled |= taken
        customers = {batch.made.pop(decision).customer for decision in taken}
        if batch.versions:
            batch.make_again([r.id for r in batch.made.values() if r.customer and r.customer in customers])
        return bool(taken)


def _changed(read: Mapping[str, int], now: Mapping[str, int]) -> frozenset[str]:
    """The customers whose contact state has changed since it was read."""
    if read == now:  # nearly always
        return frozenset()
    return frozenset(customer for customer, version in read.items() if now[customer] != version)


def _by_id(accepted: Sequence[Asked | NbaError], tickets: Sequence[Ticket]) -> dict[str, Ticket]:
    """The ticket of each id: that of the first who asked for it."""
    found: dict[str, Ticket] = {}
    for asked, ticket in zip(accepted, tickets, strict=True):
        if isinstance(asked, Asked):
            found.setdefault(asked.id, ticket)
    return found


def _contacts(records: Sequence[DecisionRecord]) -> dict[str, list[Contact]]:
    """The contacts that these decisions make, by customer; "" is nobody."""
    made: dict[str, list[Contact]] = {}
    for record in records:
        if record.customer and (contacts := contacts_of(record)):
            made.setdefault(record.customer, []).extend(contacts)
    return made
