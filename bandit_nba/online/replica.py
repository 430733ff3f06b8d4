"""One serving process of a workspace: its store, its model, its queues. Everything the HTTP service calls."""

import asyncio
import os
import socket
import time
import uuid
from collections import Counter
from collections.abc import Callable, Collection, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import ParamSpec, Self, TypeVar

import sqlalchemy as sa

from bandit_nba.decide.explain.labels import Language
from bandit_nba.decide.record import DecisionRecord
from bandit_nba.errors import NbaError, RefusedError, StoreBusyError, UnknownIdError
from bandit_nba.learn.guard import Demands
from bandit_nba.online import definitions
from bandit_nba.online import status as state
from bandit_nba.online.answering import Answer, moment
from bandit_nba.online.catalogue_feed import CatalogueFeed
from bandit_nba.online.collector import Collected, Collector
from bandit_nba.online.decider import Decider
from bandit_nba.online.explaining import Explaining, ExplanationAnswer
from bandit_nba.online.gate import Gate
from bandit_nba.online.late import LateDecider
from bandit_nba.online.measures import Measures
from bandit_nba.online.messages import (
    CustomerProfile,
    DecisionRequest,
    Outcome,
    OverrideAnswer,
    OverrideRequest,
    PickAnswer,
    PickRequest,
)
from bandit_nba.online.model_feed import ModelFeed, Registry, StoredModels
from bandit_nba.online.overriding import Overriding
from bandit_nba.online.picking import Picking
from bandit_nba.online.profiles import ProfileBook
from bandit_nba.online.punctual import Punctual
from bandit_nba.online.under_way import Answered, Pending
from bandit_nba.online.watching import Timed
from bandit_nba.store.archive.restore import Archive
from bandit_nba.store.database import Database
from bandit_nba.store.group_commit import GroupCommit
from bandit_nba.store.learner.learning import stamp
from bandit_nba.store.log import contacts as contact_store
from bandit_nba.store.log import decisions as decision_store
from bandit_nba.store.steady import steady
from bandit_nba.store.tables import meta
from bandit_nba.workspace import Workspace

P = ParamSpec("P")
R = TypeVar("R")
Clock = Callable[[], float]
DRAIN_S = 10.0
STATUS_EVERY_S = 1.0
SIDE_THREADS = 4
SIDE_WAITING = 200  # calls beside decisions and outcomes: bounds memory, and how long the last of them waits
PAGES_A_COMMIT = 32  # of up to 1,000 outcomes each: bounds how long one transaction holds the store
PROBE_CHARACTERS = 250_000
PAGES_WAITING = 64  # of more than one outcome: bounds memory


class Replica:
    """Decides, collects and tells for one workspace.

    Decisions and outcomes go through a queue each, whose thread takes whatever waits as one batch; all else runs in a
    few side threads. No method blocks the event loop.
    """

    def __init__(self, workspace: Workspace, database: Database, registry: Registry, *, clock: Clock) -> None:
        clock = steady(clock)
        self.id = uuid.uuid4().hex[:8]
        self.database = database
        self.gate = Gate(database, clock=clock)
        self.feed = ModelFeed(registry, poll_every_s=workspace.service.poll_every_s, clock=clock)
        self.measures = Measures()
        self.catalogues = CatalogueFeed(
            workspace, database, clock=clock, distrust=self.feed.distrust, observe=self.measures.made
        )
        self.decider = Decider(
            workspace, database, self.feed, clock=clock, catalogues=self.catalogues, measures=self.measures
        )
        self.late = LateDecider(workspace, database, self.feed, clock=clock, catalogues=self.catalogues)
        self.collector = Collector(workspace, database, clock=clock, catalogues=self.catalogues)
        self.profiles = ProfileBook(workspace, database, clock=clock, catalogues=self.catalogues)
        self._archive = Archive(workspace.archive_folder)
        self.explaining = Explaining(database, workspace.salts, workspace.labels, archive=self._archive)
        self.overriding = Overriding(workspace.pseudonym_key, database, clock=clock)
        self.picking = Picking(database, clock=clock)
        self._clock = clock
        self._started_s = clock()
        self._status: tuple[float, state.Status] | None = None
        queued, batch = workspace.service.max_queued, workspace.service.max_batch
        self._decisions: GroupCommit[Pending, Answer] = GroupCommit(
            _unpacked(self.decider, self.measures), max_queued=queued, max_batch=batch, name="nba-decisions"
        )
        self._late: GroupCommit[Pending, Answer] = GroupCommit(
            _unpacked(self.late), max_queued=queued, max_batch=batch, name="nba-late"
        )
        self.punctual = Punctual(
            self._decisions, self._late, workspace.service.channels, not_durable=self.late.not_durable
        )
        self._outcomes: GroupCommit[Sequence[Outcome], list[Collected]] = GroupCommit(
            self._collect_pages, max_queued=queued, max_batch=min(batch, PAGES_A_COMMIT), name="nba-outcomes"
        )
        self._side = ThreadPoolExecutor(SIDE_THREADS, thread_name_prefix="nba-side")
        self._watch = ThreadPoolExecutor(1, thread_name_prefix="nba-watch")
        self._aside_now = 0
        self._closing = False

    @classmethod
    def open(cls, workspace: Workspace, *, clock: Clock = time.time) -> Self:
        """Open the workspace's store, leave the definitions there, load the newest model, and start.

        Raises
        ------
        NbaError
            If the store cannot be opened or the workspace does not fit together.
        """
        database = Database.open(workspace.database_url)
        try:
            workspace = definitions.register(workspace, database, clock=clock)
            demands = Demands.of(workspace.policy, workspace.catalogue)
            who = f"replica on {socket.gethostname()[:64]}, process {os.getpid()}"
            replica = cls(workspace, database, StoredModels(database, demands, who=who, clock=clock), clock=clock)
            replica.gate.follow()  # nobody may come in before it is known whom to ask for a key
        except BaseException:
            database.close()
            raise
        replica.gate.start()
        replica.feed.start()
        replica.catalogues.start()
        return replica

    def close(self, *, drain_s: float = DRAIN_S) -> bool:
        """Answer what waits, then close; True if nothing was left. From the start it is no longer ready."""
        self._closing = True
        self.gate.stop()
        self.feed.stop()
        self.catalogues.stop()
        drained = [queue.close(drain_s=drain_s) for queue in (self._decisions, self._late, self._outcomes)]
        for threads in (self._side, self._watch):
            threads.shutdown(wait=True, cancel_futures=True)
        self.database.close()
        return all(drained)

    @property
    def alive(self) -> bool:
        """Whether the background threads are at work."""
        return self.feed.alive and self.catalogues.alive and self.gate.alive

    @property
    def workspace(self) -> Workspace:
        """The workspace with the catalogue in force."""
        return self.catalogues.current().workspace

    def now_s(self) -> float:
        """Seconds since the epoch by the clock that decides."""
        return self._clock()

    def decide(self, request: DecisionRequest) -> "asyncio.Future[Answer]":
        """The answer, once it is on disk, within its channel's deadline; see `punctual`.

        Raises `StoreBusyError` at once if the queue is full.
        """
        return self.punctual.ask(request)

    async def decide_page(self, requests: Sequence[DecisionRequest]) -> list[Answered]:
        """What becomes of each request, once all of it is on disk; each item as it would be alone."""
        return await self.punctual.ask_page(requests)

    def collect(self, outcomes: Sequence[Outcome]) -> "asyncio.Future[list[Collected]]":
        """What became of each outcome, once those kept are on disk. Raises `StoreBusyError` if the queue is full."""
        if len(outcomes) > 1 and self._outcomes.waiting >= PAGES_WAITING:
            raise StoreBusyError("too many pages of outcomes wait", hint="try again after a moment")
        return self._outcomes.submit_async(outcomes)

    def _collect_pages(self, pages: list[Sequence[Outcome]]) -> list[list[Collected] | Exception]:
        """All pages in one transaction, the results page by page."""
        collected = iter(self.collector.collect_batch([outcome for page in pages for outcome in page]))
        return [[next(collected) for _ in page] for page in pages]

    async def put_profiles(self, profiles: Sequence[CustomerProfile]) -> list[NbaError | None]:
        """Keep profiles; errors by place."""
        return await self.aside(self.profiles.put_batch, profiles)

    async def activate(self, decision: str) -> DecisionRecord:
        """Let a decision count from now on; the decision as it is stored then.

        Raises
        ------
        UnknownIdError
            If there is no such decision.
        RefusedError
            If its time to be activated has run out.
        """
        return await self.aside(self._activate, decision)

    async def override(self, decision: str, request: OverrideRequest) -> tuple[OverrideAnswer, bool]:
        """Keep what an employee chose instead, and whether that was known; raises as `Overriding.override`."""
        return await self.aside(self.overriding.override, decision, request)

    async def overridden(self, record: DecisionRecord) -> OverrideAnswer | None:
        """What an employee did in place of a decision, None if it stands."""
        return await self.aside(self.overriding.of, record)

    async def pick(self, decision: str, request: PickRequest) -> tuple[PickAnswer, bool]:
        """Keep what somebody took of a ranking; True beside it where it was known. Raises as `Picking.pick` does."""
        return await self.aside(self.picking.pick, decision, request)

    async def explanation(self, decision: str, language: Language) -> ExplanationAnswer:
        """Why a decision came out as it did; raises as `Explaining.explain`."""
        return await self.aside(self.explaining.explain, decision, language)

    async def decision(self, decision: str) -> DecisionRecord:
        """A decision as it is stored. Raises `UnknownIdError`."""
        return await self.aside(self._decision, decision)

    async def channel_of(self, decision: str) -> str | None:
        """The channel that a decision was made for, None where there is no such decision."""
        return (await self.channels_of([decision])).get(decision)

    async def channels_of(self, decisions: Collection[str]) -> dict[str, str]:
        """The channels of those of `decisions` that are known."""
        return await self.aside(self._channels_of, decisions)

    async def status(self) -> state.Status:
        """What goes on; at most a second old."""
        return await self._watched(self._current_status)

    def here(self) -> state.ReplicaStatus:
        """This replica's own part of the status; reads no store."""
        serving = self.feed.serving
        return state.ReplicaStatus(
            id=self.id,
            started_at=moment(self._started_s),
            model_version=serving.scorer.version,
            model_examples_learned=serving.scorer.examples_learned,
            model_since=moment(serving.since_s),
            model_swaps=self.feed.swaps,
            models_refused=dict(self.feed.refused),
            models_put_away=dict(self.feed.distrusted),
            registry_failures=self.feed.failures,
            decisions_waiting=self._decisions.waiting,
            outcomes_waiting=self._outcomes.waiting,
            counts={
                "models_refused": self.feed.refusals,
                **{f"decisions_{name}": n for name, n in self._decision_counts().items()},
                **{f"outcomes_{name}": n for name, n in self.collector.counts.items()},
            },
        )

    async def check(self) -> None:
        """Raise `StoreError` unless decisions can be stored now, and soon after."""
        if self._closing:
            raise StoreBusyError("is closing", hint="another replica, or the next start, takes the request")
        await self._watched(self._check)

    async def aside(self, function: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
        """In a side thread; raises `StoreBusyError` at once where too much waits for one."""
        if self._aside_now >= SIDE_WAITING:
            raise StoreBusyError("too many calls wait", got=self._aside_now, hint="try again after a moment")
        self._aside_now += 1
        try:
            return await asyncio.get_running_loop().run_in_executor(self._side, partial(function, *args, **kwargs))
        finally:
            self._aside_now -= 1

    async def _watched(self, function: Callable[[], R]) -> R:
        """In a thread of its own: whoever watches is not kept waiting by those who use the service."""
        return await asyncio.get_running_loop().run_in_executor(self._watch, function)

    def _activate(self, decision: str) -> DecisionRecord:
        with self.database.write() as connection:
            found = decision_store.activate(connection, decision, now_s=stamp(connection, self._clock))
            if found == "activated":
                contact_store.raise_versions_of(connection, [decision])
        stored = self._decision(decision)
        if found == "expired":
            raise RefusedError(
                "the time to activate this decision has run out",
                where="activateBy",
                got=None if stored.activate_by is None else moment(stored.activate_by).isoformat(),
                hint="ask for a new decision",
            )
        return stored

    def _channels_of(self, decisions: Collection[str]) -> dict[str, str]:
        with self.database.read() as connection:
            return decision_store.channels(connection, decisions)

    def _decision(self, decision: str) -> DecisionRecord:
        with self.database.read() as connection:
            stored = decision_store.get(connection, decision)
        if stored is None:
            raise UnknownIdError("no such decision", where="decisionId", got=decision)
        return self._archive.records([stored])[0]

    def _check(self) -> None:
        """Commit a change that changes nothing: proof that file, lock and disk would take a decision now.

        After decisions could not be stored that is no proof: a full disk takes what needs no room. Then as much room as
        a hundred decisions need is taken and given back.
        """
        with self.database.write() as connection:
            connection.execute(sa.update(meta).values(value=meta.c.value))
        if self._decisions.failure is None and self._outcomes.failure is None:
            return
        probe = f"probe-{self.id}"
        with self.database.write() as connection:
            connection.execute(sa.insert(meta).values(name=probe, value="x" * PROBE_CHARACTERS))
        with self.database.write() as connection:
            connection.execute(sa.delete(meta).where(meta.c.name == probe))

    def _current_status(self) -> state.Status:
        now_s = self._clock()
        if self._status is None or now_s - self._status[0] > STATUS_EVERY_S:
            self._status = (now_s, self._new_status(now_s))
        return self._status[1]

    def _new_status(self, now_s: float) -> state.Status:
        found = state.look(self.database, now_s=now_s)
        return state.Status(
            learning=state.is_learning(found, now_s=now_s),
            words=state.in_words(found, now_s=now_s),
            decisions=state.decisions_status(found.counts),
            outcomes=found.outcomes,
            outcome_fates=dict(found.outcome_fates),
            customers=found.customers,
            model=state.model_status(found, now_s=now_s),
            catalogue_version=self.workspace.catalogue.version,
            policy_version=self.workspace.policy.version,
            feature_version=self.workspace.policy.features.version,
            reward_version=self.workspace.rewards.version,
            replica=self.here(),
        )

    def _decision_counts(self) -> Counter[str]:
        """What both deciders kept, and how many of their answers came late or not at all."""
        return self.decider.counts + self.late.counts + self.punctual.counts


def _unpacked(
    decider: Decider, measures: Measures | None = None
) -> Callable[[list[Pending]], Sequence[Answer | Exception]]:
    """The decider as a queue calls it. measures: its own, of which those in the batch are told who want to know."""

    def decide(pending: list[Pending]) -> Sequence[Answer | Exception]:
        requests, tickets = [request for request, _ in pending], [ticket for _, ticket in pending]
        if measures is None:
            return decider.decide_batch(requests, tickets)
        measures.lately.clear()
        answers = decider.decide_batch(requests, tickets)
        for watched in {
            id(ticket.watched): ticket.watched for ticket in tickets if ticket.watched is not None
        }.values():
            watched += [Timed(*stage, len(pending)) for stage in measures.lately]
        return answers

    return decide
