"""Durable outcomes: each is kept once, whether it names a decision, a customer, or both."""

import datetime
import hashlib
import random
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import msgspec
import sqlalchemy as sa

from bandit_nba.customers.pseudonym import pseudonym
from bandit_nba.errors import IdConflictError, InputError, NbaError
from bandit_nba.learn.fates import Named, fate, fate_of_customers
from bandit_nba.online.catalogue_feed import CatalogueFeed
from bandit_nba.online.making import needs_of
from bandit_nba.online.messages import Outcome, Receipt
from bandit_nba.settings import nearest
from bandit_nba.store.database import Database
from bandit_nba.store.learner.learning import stamp
from bandit_nba.store.log import contacts as contact_store
from bandit_nba.store.log import outcome_counts
from bandit_nba.store.log import outcomes as outcome_store
from bandit_nba.workspace import Workspace

EARLIEST_S = 946_684_800.0  # 2000-01-01: earlier means a clock that was never set
AHEAD_S = 86_400.0
ATTEMPTS = 10
"""How often a batch is written: each time another replica kept one of its ids at the same moment, which ends."""

_CANONICAL = msgspec.json.Encoder()


@dataclass(frozen=True, slots=True)
class Collected:
    """The receipt of one outcome; `error` says why it was not kept."""

    outcome_id: str
    receipt: Receipt
    error: NbaError | None = None


class Collector:
    """Keeps outcomes for one workspace. One thread at a time.

    catalogues: whose contact rules are told of answers; by default the workspace's own catalogue. `counts` tells what
    went on since the start, by receipt; `orphan`: new outcomes whose decision is not known (yet). The fates of outcomes
    in learning (`learn.fates`) are counted in the store, with the outcomes themselves.
    """

    def __init__(
        self,
        workspace: Workspace,
        database: Database,
        *,
        clock: Callable[[], float] = time.time,
        catalogues: CatalogueFeed | None = None,
    ) -> None:
        self._catalogues = catalogues
        self._own_needs = needs_of(workspace)
        self.counts: Counter[str] = Counter()
        self._types = frozenset(workspace.rewards.outcomes)
        self._rewards = workspace.rewards
        self._shard = random.SystemRandom().randrange(outcome_counts.SHARDS)
        self._key = workspace.pseudonym_key
        self._database = database
        self._clock = clock

    def collect_batch(self, outcomes: Sequence[Outcome]) -> list[Collected]:
        """What became of each of `outcomes`, in their order; those kept are on disk when this returns.

        Raises
        ------
        StoreError
            If nothing could be stored; all may be sent again.
        """
        out = [Collected(outcome.outcome_id, "invalid") for outcome in outcomes]
        rows: dict[int, outcome_store.Outcome] = {}
        for i, outcome in enumerate(outcomes):
            try:
                rows[i] = self._row(outcome)
            except NbaError as error:
                out[i] = Collected(outcome.outcome_id, "invalid", error)
        if rows:
            for (i, row), receipt in zip(rows.items(), self._keep(list(rows.values())), strict=True):
                out[i] = Collected(row.id, receipt, _conflict() if receipt == "conflict" else None)
        self.counts.update(collected.receipt for collected in out)
        return out

    def _keep(self, rows: Sequence[outcome_store.Outcome]) -> list[outcome_store.Receipt]:
        """Their receipts; written again where another replica has kept one of the ids since it was looked for."""
        for _ in range(ATTEMPTS - 1):
            try:
                return self._written(rows)
            except sa.exc.IntegrityError:
                continue  # PostgreSQL alone: what the other has committed is known to the next look
        return self._written(rows)

    def _written(self, rows: Sequence[outcome_store.Outcome]) -> list[outcome_store.Receipt]:
        with self._database.write() as connection:
            now_s = stamp(connection, self._clock)
            before = outcome_store.latest(
                connection, {row.decision for row in rows if row.decision and row.occurred_at}
            )
            receipts = outcome_store.insert(connection, rows, now_s=now_s)
            new = [row for row, receipt in zip(rows, receipts, strict=True) if receipt == "created"]
            named = outcome_store.named(connection, {row.decision for row in new if row.decision is not None})
            counts = Counter[str](receipt for receipt in receipts if receipt != "created")
            counts += self._fates(new, named, before, now_s=now_s)
            outcome_counts.add(connection, counts, shard=self._shard)
            self._tell(connection, new, {decision: found.customer for decision, found in named.items()})
        self.counts["orphan"] += counts["orphan"]
        return receipts

    def _fates(
        self,
        rows: Sequence[outcome_store.Outcome],
        named: Mapping[str, Named],
        before: Mapping[str, float],
        *,
        now_s: float,
    ) -> Counter[str]:
        """How many have which fate, and beside it: reordered, about another customer than the decision's."""
        counts: Counter[str] = Counter()
        latest = dict(before)
        for row in rows:
            if row.decision is None:
                counts[fate_of_customers(self._rewards, row.type)] += 1
                continue
            found = named.get(row.decision)
            counts[fate(self._rewards, row.type, row.slot or "", received_at=now_s, named=found)] += 1
            counts["other_customer"] += bool(found and row.customer and row.customer != found.customer)
            if row.occurred_at is not None:
                last = latest.get(row.decision, row.occurred_at)
                counts["reordered"] += row.occurred_at < last
                latest[row.decision] = max(last, row.occurred_at)
        return counts

    def _tell(
        self, connection: sa.Connection, rows: Sequence[outcome_store.Outcome], owners: Mapping[str, str]
    ) -> None:
        """Let decisions that are being made see these answers, where contact rules ask for answers at all."""
        needs = self._catalogues.current().needs if self._catalogues else self._own_needs
        if needs is None or not needs.answers:
            return
        answers = [row for row in rows if row.type not in needs.impressions]
        customers = {owners.get(row.decision, "") if row.decision else row.customer or "" for row in answers}
        contact_store.raise_versions(connection, customers)

    def _row(self, outcome: Outcome) -> outcome_store.Outcome:
        """The outcome as it is stored: the customer behind a pseudonym, in the row and in the payload's hash."""
        if outcome.type not in self._types:
            raise InputError(
                "unknown outcome type", where="type", got=outcome.type, hint=nearest(outcome.type, self._types)
            )
        if outcome.decision_id is None and outcome.customer_id is None:
            raise InputError("names neither a decision nor a customer", allowed="decisionId, customerId, or both")
        occurred_at = occurred_at_s(outcome.occurred_at, now_s=self._clock())
        customer = None if outcome.customer_id is None else pseudonym(self._key, outcome.customer_id)
        if outcome.slot is not None and outcome.decision_id is None:
            raise InputError(
                "names a slot of no decision", where="slot", got=outcome.slot, hint="name the decision, too"
            )
        said: tuple[object, ...] = (outcome.type, outcome.decision_id, customer, outcome.amount, occurred_at)
        payload = _CANONICAL.encode(said if outcome.slot is None else (*said, outcome.slot))
        return outcome_store.Outcome(
            id=outcome.outcome_id,
            type=outcome.type,
            payload_sha256=hashlib.sha256(payload).digest(),
            decision=outcome.decision_id,
            customer=customer,
            amount=outcome.amount,
            occurred_at=occurred_at,
            slot=outcome.slot,
        )


def occurred_at_s(occurred_at: datetime.datetime | None, *, now_s: float) -> float | None:
    """A client's word for when something happened, in seconds since the epoch; raises `InputError` for nonsense."""
    at_s = None if occurred_at is None else occurred_at.timestamp()
    if at_s is not None and not EARLIEST_S <= at_s <= now_s + AHEAD_S:
        raise InputError(
            "is no time at which this can have happened",
            where="occurredAt",
            got=str(occurred_at),
            allowed="from the year 2000 until now; a clock may be a day ahead",
        )
    return at_s


def _conflict() -> IdConflictError:
    return IdConflictError(
        "this id is known with another payload", where="outcomeId", hint="a new outcome needs a new id"
    )
