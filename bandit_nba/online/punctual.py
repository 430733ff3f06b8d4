"""Every request is answered in its channel's time: by the decider, else by the safe policy, else by a plain word.

    asked ---------- decider at work ----------> answer
      |   shortly before the deadline: the safe policy starts in a thread of its own
      |                 |--> its answer, logged with its true probability
      |   at the deadline, if nothing could be logged: 503, or "no action" that says it is not durable
      v

Where the queue is so long already that its answer would come too late, a request is refused at once: the client can go
elsewhere, and what waits is answered in time instead of everything too late.

A request has one ticket (see `ticket`), so that only one of them reaches log and client.
"""

import asyncio
import uuid
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import msgspec

from bandit_nba.errors import NbaError, StoreBusyError, StoreError
from bandit_nba.online.alarms import Alarms
from bandit_nba.online.answering import Answer
from bandit_nba.online.messages import DecisionRequest
from bandit_nba.online.ticket import Ticket
from bandit_nba.store.group_commit import GroupCommit
from bandit_nba.workspace.service import Channel

Pending = tuple[DecisionRequest, Ticket]

RESERVE_S = 0.1
"""What the safe policy gets of the channel's time, at most half of it: a thread switch and a commit need some ms."""
CROWDED = 0.5
"""A request waits in the queue for at most this share of its time: the rest is for its own batch, for the way here and
back, and for what the estimate is out by."""
GRACE_S = 10.0
"""How long a commit under way at the deadline is waited for: only its end can tell whether the answer is kept."""


@dataclass(frozen=True, slots=True)
class _Promise:
    """What a channel promises. ordinary_s: what the decider has before the safe policy starts, and then has safe_s."""

    ordinary_s: float
    safe_s: float
    may_say_nothing: bool

    @classmethod
    def of(cls, channel: Channel) -> "_Promise":
        safe_s = min(channel.deadline_s / 2, RESERVE_S)
        return cls(channel.deadline_s - safe_s, safe_s, channel.unwritable == "no_action")


class Punctual:
    """Asks the decider, and the safe policy where that takes too long. Belongs to one event loop at a time.

    not_durable: makes "no action" without keeping it. `counts`: late (answered by the safe policy), not_durable, and
    overdue (refused at the deadline), shed (refused at once, since the queue is too long).
    """

    def __init__(
        self,
        decider: GroupCommit[Pending, Answer],
        safe: GroupCommit[Pending, Answer],
        channels: Mapping[str, Channel],
        *,
        not_durable: Callable[[DecisionRequest], Answer],
    ) -> None:
        self.counts: Counter[str] = Counter()
        self.alarms = Alarms()
        self.decider = decider
        self.safe = safe
        self.not_durable = not_durable
        self._promises = {name: _Promise.of(channel) for name, channel in channels.items()}

    def ask(self, request: DecisionRequest, *, longer_s: float = 0.0) -> "asyncio.Future[Answer]":
        """The answer, within the channel's deadline.

        longer_s: what is granted beyond the deadline, to an item of a page.

        Raises
        ------
        StoreBusyError
            At once, where the queue is full or too long for the channel's deadline.
        """
        if request.decision_id is None:  # both answers must bear the same id
            request = msgspec.structs.replace(request, decision_id=uuid.uuid4().hex)
        promise = self._promises.get(request.channel)
        if promise is None:  # the decider refuses it
            return self.decider.submit_async((request, Ticket()))
        if self.decider.wait_s > CROWDED * (promise.ordinary_s + longer_s):
            self.counts["shed"] += 1
            raise StoreBusyError("too many wait already", hint="the same request may be sent again")
        return _Asked(self, request, promise, longer_s).answer


class _Asked:
    """One request on its way."""

    def __init__(self, punctual: Punctual, request: DecisionRequest, promise: _Promise, longer_s: float) -> None:
        self._punctual = punctual
        self._pending = request, Ticket()
        self._promise = promise
        self.answer: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        self._work = [punctual.decider.submit_async(self._pending)]
        self._bell = punctual.alarms.set(self, promise.ordinary_s + longer_s, self._fall_back)
        self._work[0].add_done_callback(self._decided)
        self.answer.add_done_callback(self._done)

    def _decided(self, decided: "asyncio.Future[Answer]") -> None:
        error = None if decided.cancelled() else decided.exception()
        if self.answer.done() or decided.cancelled():
            return
        if error is None:
            self.answer.set_result(decided.result())
        elif not isinstance(error, StoreError):
            self.answer.set_exception(error)
        elif not self._safe_at_work():
            self._fail(error)

    def _fall_back(self) -> None:
        self._bell = self._punctual.alarms.set(self, self._promise.safe_s, self._give_up)
        try:
            self._work.append(self._punctual.safe.submit_async(self._pending))
        except StoreError:
            return  # its queue is full: wait for the decider
        self._work[1].add_done_callback(self._fell_back)

    def _fell_back(self, made: "asyncio.Future[Answer]") -> None:
        error = None if made.cancelled() else made.exception()
        if self.answer.done() or made.cancelled():
            return
        if error is None:
            self._punctual.counts["late"] += 1
            self.answer.set_result(made.result())
        elif self._work[0].done():  # the decider has failed before
            self._fail(error)

    def _safe_at_work(self) -> bool:
        return len(self._work) > 1 and not self._work[1].done()

    def _fail(self, error: BaseException) -> None:
        """Neither could log an answer."""
        if self._promise.may_say_nothing and self._pending[1].take():
            self._say_nothing()
        else:
            self._refuse(error)

    def _give_up(self) -> None:
        if not self._pending[1].take():  # a commit is under way
            self._bell = self._punctual.alarms.set(self, GRACE_S, self._commit_too_long)
        elif self._promise.may_say_nothing:
            self._say_nothing()
        else:
            self._punctual.counts["overdue"] += 1
            self._refuse(StoreBusyError("no answer could be kept in time", hint="the same request may be sent again"))

    def _commit_too_long(self) -> None:
        self._refuse(StoreBusyError("a commit takes too long"))

    def _say_nothing(self) -> None:
        try:
            answer = self._punctual.not_durable(self._pending[0])
        except NbaError as error:
            self._refuse(error)
        else:
            self._punctual.counts["not_durable"] += 1
            self.answer.set_result(answer)

    def _refuse(self, error: BaseException) -> None:
        if not self.answer.done():
            self.answer.set_exception(error)

    def _done(self, answer: "asyncio.Future[Answer]") -> None:
        """Answered, or the client has gone, and then nothing more is written: nobody would ever see it."""
        self._punctual.alarms.take_off(self, self._bell)
        if answer.cancelled():
            self._pending[1].take()
        for work in self._work:
            work.cancel()
