"""Requests on their way to an answer each, whoever gives it first: the decider, the safe policy, or a plain word.

They were asked together, one alone or a page of them. What the decider gives comes for all at once; alarms go off for
those that share a promise. Each has one ticket (see `ticket`), so that only one answer of it reaches log and client.
"""

import asyncio
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Protocol

from bandit_nba.errors import NbaError, StoreBusyError, StoreError
from bandit_nba.online.alarms import Alarms, Bell
from bandit_nba.online.answering import Answer
from bandit_nba.online.messages import DecisionRequest
from bandit_nba.online.ticket import Ticket
from bandit_nba.store.group_commit import GroupCommit, Order

Pending = tuple[DecisionRequest, Ticket]
Answered = Answer | Exception
"""What became of a request: its answer, or why there is none."""

GRACE_S = 10.0
"""How long a commit under way at the deadline is waited for: only its end can tell whether the answer is kept."""


@dataclass(frozen=True, slots=True)
class Promise:
    """What a channel promises. ordinary_s: what the decider has before the safe policy starts, and then has safe_s.

    may_say_nothing: whether "no action" may be answered where nothing can be kept.
    """

    ordinary_s: float
    safe_s: float
    may_say_nothing: bool


class Means(Protocol):
    """Who decides, and what else is needed on the way."""

    counts: Counter[str]
    alarms: Alarms
    decider: GroupCommit[Pending, Answer]
    safe: GroupCommit[Pending, Answer]
    not_durable: Callable[[DecisionRequest], Answer]


class _Group:
    """Those of the requests that share a promise, by place. safe: the safe policy's order, while it is at work."""

    __slots__ = ("bell", "places", "promise", "safe")

    def __init__(self, promise: Promise, places: Sequence[int]) -> None:
        self.promise = promise
        self.places = places
        self.safe: Order[Pending, Answer] | None = None
        self.bell: Bell | None = None


class UnderWay:
    """future: done once all are answered, or cancelled where the client has gone. finish: gives it the answers."""

    __slots__ = ("_answers", "_finish", "_future", "_groups", "_left", "_means", "_order", "_pending", "_taken")

    def __init__(
        self,
        means: Means,
        pending: Sequence[Pending],
        future: "asyncio.Future[Any]",
        finish: Callable[[Sequence[Answered]], None],
    ) -> None:
        self._means = means
        self._pending = pending
        self._future = future
        self._finish = finish
        self._answers: list[Answered | None] = [None] * len(pending)
        self._left = len(pending)
        self._groups: list[_Group] = []
        self._taken: set[Ticket] = set()
        self._order: Order[Pending, Answer]

    def begin(self, by_promise: Mapping[Promise, Sequence[int]], *, longer_s: float = 0.0) -> None:
        """Ask the decider. by_promise: places in ascending order. longer_s: what is granted beyond the deadline.

        Raises
        ------
        StoreError
            Where not even one of them could be handed over.
        """
        self._order = self._means.decider.hand_over(self._pending, told=self._decided, wanted=self._wanted)
        for promise, places in by_promise.items():
            group = _Group(promise, places)
            self._groups.append(group)
            self._set_alarm(group, promise.ordinary_s + longer_s, self._fall_back)
        self._future.add_done_callback(self._done)
        for place in range(len(self._order.items), len(self._pending)):
            self._settle(place, StoreBusyError("queue is full", hint="try again after a moment"))

    def _wanted(self) -> bool:
        return not self._future.done()

    def _set_alarm(self, group: _Group, after_s: float, ring: Callable[[_Group], None]) -> None:
        group.bell = self._means.alarms.set(group, after_s, partial(self._ring, ring, group))

    def _ring(self, ring: Callable[[_Group], None], group: _Group) -> None:
        if not self._future.done():  # else the last answer came in this very turn of the loop
            ring(group)

    def _decided(self, _results: object) -> None:
        if self._future.done():
            return
        for group in self._groups:
            self._take_over(group)
        self._finish_if_all_are_answered()

    def _take_over(self, group: _Group) -> None:
        """What the decider has answered so far counts; where the store failed, the safe policy may still save it."""
        results, answers = self._order.results, self._answers
        for place in group.places:
            if place >= len(results):
                return
            if answers[place] is None:
                result = results[place]
                if not isinstance(result, StoreError):
                    self._settle(place, result)
                elif group.safe is None:
                    self._fail(group, place, result)

    def _fall_back(self, group: _Group) -> None:
        self._take_over(group)
        if late := self._unanswered(group):
            self._set_alarm(group, group.promise.safe_s, self._give_up)
            try:
                group.safe = self._means.safe.hand_over(
                    [self._pending[place] for place in late],
                    told=partial(self._fell_back, group, late),
                    wanted=self._wanted,
                )
            except StoreError:
                return  # its queue is full: wait for the decider
        self._finish_if_all_are_answered()

    def _fell_back(self, group: _Group, late: Sequence[int], results: Sequence[Answered]) -> None:
        if self._future.done():
            return
        self._take_over(group)
        for place, result in zip(late, results, strict=False):  # without those that had no room in its queue
            if self._answers[place] is None and not isinstance(result, StoreError):
                self._means.counts["late"] += isinstance(result, Answer)
                self._settle(place, result)
        group.safe = None
        self._take_over(group)
        self._finish_if_all_are_answered()

    def _give_up(self, group: _Group) -> None:
        self._take_over(group)
        for place in self._unanswered(group):
            if not self._take(place):  # a commit is under way
                continue
            if group.promise.may_say_nothing:
                self._say_nothing(place)
            else:
                self._means.counts["overdue"] += 1
                hint = "the same request may be sent again"
                self._settle(place, StoreBusyError("no answer could be kept in time", hint=hint))
        if self._unanswered(group):
            self._set_alarm(group, GRACE_S, self._commit_takes_too_long)
        self._finish_if_all_are_answered()

    def _commit_takes_too_long(self, group: _Group) -> None:
        self._take_over(group)
        for place in self._unanswered(group):
            self._settle(place, StoreBusyError("a commit takes too long"))
        self._finish_if_all_are_answered()

    def _unanswered(self, group: _Group) -> list[int]:
        return [place for place in group.places if self._answers[place] is None]

    def _fail(self, group: _Group, place: int, error: StoreError) -> None:
        """Neither could log an answer."""
        if group.promise.may_say_nothing and self._take(place):
            self._say_nothing(place)
        else:
            self._settle(place, error)

    def _take(self, place: int) -> bool:
        """The right to say that nothing is kept; items of a page with the same id have one ticket for all."""
        ticket = self._pending[place][1]
        if ticket not in self._taken and not ticket.take():
            return False
        self._taken.add(ticket)
        return True

    def _say_nothing(self, place: int) -> None:
        try:
            answer = self._means.not_durable(self._pending[place][0])
        except NbaError as error:
            self._settle(place, error)
        else:
            self._means.counts["not_durable"] += 1
            self._settle(place, answer)

    def _settle(self, place: int, answered: Answered) -> None:
        self._answers[place] = answered
        self._left -= 1

    def _finish_if_all_are_answered(self) -> None:
        if not self._left:
            self._finish([answer for answer in self._answers if answer is not None])

    def _done(self, future: "asyncio.Future[Any]") -> None:
        """All are answered; or the client has gone, and then nothing more is written: nobody would ever see it."""
        for group in self._groups:
            if group.bell is not None:
                self._means.alarms.take_off(group, group.bell)
        if future.cancelled():
            for _, ticket in self._pending:
                ticket.take()
        self._groups = []  # an order knows whom to tell: otherwise each request leaves a cycle to the collector
        del self._order
