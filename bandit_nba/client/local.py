"""Decisions in this process, without HTTP: the same engine, log and learner's models as the service's replicas have.

Open the workspace that a service (or a learner of its own) works on: both share the store, so that contact rules,
idempotency and learning hold over all of them. Models are looked for in the background and swapped between two
decisions. A decision is as durable as the service's: it is on disk before `decide` returns.
"""

import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeVar

import msgspec

from bandit_nba.client import calls
from bandit_nba.client.calls import Facts
from bandit_nba.client.checked import checked
from bandit_nba.errors import NbaError
from bandit_nba.online.collector import Collected
from bandit_nba.online.messages import DecisionAnswer, DecisionRequest, Outcome
from bandit_nba.online.replica import Replica
from bandit_nba.workspace import open_workspace

T = TypeVar("T", bound=msgspec.Struct)

_ANSWER = msgspec.json.Decoder(DecisionAnswer)


class LocalClient:
    """Decides for the workspace in `directory`; safe to share between threads, which take turns.

    clock: seconds since the epoch.
    """

    def __init__(self, directory: str | Path, *, clock: Callable[[], float] = time.time) -> None:
        self._replica = Replica.open(open_workspace(directory), clock=clock)
        self._turn = threading.Lock()

    def close(self) -> None:
        """Close the store."""
        self._replica.close()

    def __enter__(self) -> Self:
        """Itself."""
        return self

    def __exit__(
        self, _kind: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        """Close the store."""
        self.close()

    def decide(
        self,
        channel: str,
        *,
        customer_id: str | None = None,
        facts: Facts | None = None,
        decision_id: str | None = None,
        **more: Any,
    ) -> DecisionAnswer:
        """The next best action; see `Client.decide`.

        Raises
        ------
        NbaError
            If the request is refused, or nothing can be stored.
        """
        request = calls.decision_request(channel, customer_id=customer_id, facts=facts, decision_id=decision_id, **more)
        (answer,) = self.decide_batch([request])
        if isinstance(answer, NbaError):
            raise answer
        return answer

    def decide_batch(self, requests: Sequence[DecisionRequest]) -> list[DecisionAnswer | NbaError]:
        """Any number of decisions in one pass and one commit; a refused one holds its error in its place."""
        asked = [_checked(request) for request in requests]
        with self._turn:
            made = iter(self._replica.decider.decide_batch([one for one in asked if not isinstance(one, NbaError)]))
        answers = [one if isinstance(one, NbaError) else next(made) for one in asked]
        return [answer if isinstance(answer, NbaError) else _ANSWER.decode(answer.body) for answer in answers]

    def tell_batch(self, outcomes: Sequence[Outcome]) -> list[Collected]:
        """Tell outcomes; one that was refused holds its error."""
        told = [_checked(outcome) for outcome in outcomes]
        with self._turn:
            kept = iter(self._replica.collector.collect_batch([one for one in told if not isinstance(one, NbaError)]))
        return [
            Collected(outcome.outcome_id, "invalid", one) if isinstance(one, NbaError) else next(kept)
            for outcome, one in zip(outcomes, told, strict=True)
        ]

    @property
    def model_version(self) -> str:
        """The model that decides now; "none" before the first."""
        return self._replica.feed.current().version


def _checked(message: T) -> T | NbaError:
    """`message` within the API's limits, or why it is not."""
    try:
        return checked(message)
    except NbaError as error:
        return error
