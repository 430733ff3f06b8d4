"""Every request is answered in its channel's time: by the decider, else by the safe policy, else by a plain word.

    asked ---------- decider at work ----------> answer
      |   shortly before the deadline: the safe policy starts in a thread of its own
      |                 |--> its answer, logged with its true probability
      |   at the deadline, if nothing could be logged: 503, or "no action" that says it is not durable
      v

Where the queue is so long already that its answer would come too late, a request is refused at once: the client can go
elsewhere, and what waits is answered in time instead of everything too late.

A page of requests goes this way as one, with one order to the decider and one alarm for each promise in it; but ticket
and answer are each item's own, so that it is answered as it would be alone (see `under_way`).
"""

import asyncio
import uuid
from collections import Counter
from collections.abc import Callable, Mapping, Sequence

import msgspec

from bandit_nba.errors import StoreBusyError, StoreError
from bandit_nba.online.alarms import Alarms
from bandit_nba.online.answering import Answer
from bandit_nba.online.messages import DecisionRequest
from bandit_nba.online.ticket import Ticket
from bandit_nba.online.under_way import Answered, Pending, Promise, UnderWay
from bandit_nba.online.watching import watched
from bandit_nba.store.group_commit import GroupCommit
from bandit_nba.workspace.service import Channel

RESERVE_S = 0.1
"""What the safe policy gets of the channel's time, at most half of it: a thread switch and a commit need some ms."""
CROWDED = 0.5
"""A request waits in the queue for at most this share of its time: the rest is for its own batch, for the way here and
back, and for what the estimate is out by."""
PAGE_ITEM_S = 0.005
"""What each item of a page adds to its channel's deadline: who sends a page does not wait at a screen."""


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
        self._promises = {name: _promise(channel) for name, channel in channels.items()}

    def ask(self, request: DecisionRequest) -> "asyncio.Future[Answer]":
        """The answer, within the channel's deadline.

        Raises
        ------
        StoreBusyError
            At once, where the queue is full or too long for the channel's deadline.
        """
        promise = self._promises.get(request.channel, _UNDECLARED)
        if self._is_too_long(promise):
            raise self._shed()
        answer: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        way = UnderWay(self, (_pending(request),), answer, lambda answers: _resolve(answer, answers[0]))
        way.begin({promise: (0,)})
        return answer

    async def ask_page(self, requests: Sequence[DecisionRequest]) -> list[Answered]:
        """What becomes of each request, in their order, each as it would be alone; what `ask` raises stands there."""
        longer_s = PAGE_ITEM_S * len(requests)
        answers: list[Answered | None] = [None] * len(requests)
        pending: list[Pending] = []
        by_promise: dict[Promise, list[int]] = {}
        tickets: dict[tuple[str, str], Ticket] = {}
        for place, request in enumerate(requests):
            promise = self._promises.get(request.channel, _UNDECLARED)
            if self._is_too_long(promise, longer_s=longer_s, behind=len(pending)):
                answers[place] = self._shed()
            else:
                by_promise.setdefault(promise, []).append(len(pending))
                pending.append(_once(_pending(request), tickets))
        found = iter(await self._all(pending, by_promise, longer_s=longer_s))
        return [next(found) if answer is None else answer for answer in answers]

    async def _all(
        self, pending: Sequence[Pending], by_promise: Mapping[Promise, Sequence[int]], *, longer_s: float
    ) -> Sequence[Answered]:
        if not pending:
            return []
        answers: asyncio.Future[Sequence[Answered]] = asyncio.get_running_loop().create_future()
        way = UnderWay(self, pending, answers, answers.set_result)
        try:
            way.begin(by_promise, longer_s=longer_s)
        except StoreError as error:
            return [error] * len(pending)
        return await answers

    def _is_too_long(self, promise: Promise, *, longer_s: float = 0.0, behind: int = 0) -> bool:
        """Whether a request that has so many others of its page before it would wait too long in the queue."""
        return self.decider.wait_s(behind=behind) > CROWDED * (promise.ordinary_s + longer_s)

    def _shed(self) -> StoreBusyError:
        self.counts["shed"] += 1
        return StoreBusyError("too many wait already", hint="the same request may be sent again")


def _promise(channel: Channel) -> Promise:
    safe_s = min(channel.deadline_s / 2, RESERVE_S)
    return Promise(channel.deadline_s - safe_s, safe_s, channel.unwritable == "no_action")


_UNDECLARED = _promise(Channel())
"""Of requests for a channel that there is not: the decider refuses them, in no more time than others have."""


def _pending(request: DecisionRequest) -> Pending:
    if request.decision_id is None:  # whoever answers, the answer must bear the same id
        request = msgspec.structs.replace(request, decision_id=uuid.uuid4().hex)
    return request, Ticket(watched.get())


def _once(pending: Pending, tickets: dict[tuple[str, str], Ticket]) -> Pending:
    """The same with the ticket of an item before it that has its id: nobody may say of one that nothing is kept, and
    keep the other."""
    request, ticket = pending
    return request, tickets.setdefault((request.decision_id or "", request.channel), ticket)


def _resolve(future: "asyncio.Future[Answer]", answered: Answered) -> None:
    if isinstance(answered, Answer):
        future.set_result(answered)
    else:
        future.set_exception(answered)
