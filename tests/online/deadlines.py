"""A shop whose channels have deadlines, and what tests hold up until the answers are there."""

import sqlite3
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import numpy as np
import pytest

from bandit_nba.decide.columns import Floats
from bandit_nba.decide.scoring import FeatureRows, Scorer
from bandit_nba.errors import InputError
from bandit_nba.online import punctual
from bandit_nba.online.messages import DecisionRequest
from bandit_nba.online.model_feed import Serving
from bandit_nba.online.replica import Replica
from bandit_nba.online.ticket import Ticket
from bandit_nba.workspace import init_workspace, open_workspace

DEADLINE_S = 1.5
SLACK_S = 0.5  # beside what the machine takes away; what is waited for takes for ever
FOR_EVER_S = 30.0


class Held:
    """A model that is held up until it is let go, or for so many seconds; it lets go of the interpreter meanwhile.

    from_batch: those before it are scored at once. entered, done: somebody is in it, and somebody was through.
    """

    version = "none"
    examples_learned = 0

    def __init__(self, for_s: float = FOR_EVER_S, *, from_batch: int = 0) -> None:
        self.for_s, self._left = for_s, from_batch
        self.entered, self.done, self._go = threading.Event(), threading.Event(), threading.Event()

    def score(self, contexts: FeatureRows, arms: FeatureRows) -> Floats:
        if self._left:
            self._left -= 1
        else:
            self.wait()
        return np.zeros((len(contexts), len(arms)))

    def wait(self) -> None:
        """Be held up; also for what is no model."""
        self.entered.set()
        self._go.wait(self.for_s)
        self.done.set()

    def let_go(self) -> None:
        """All who are in it, and all who come."""
        self._go.set()


def shop_with_deadlines(path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """web refuses what cannot be kept, email does nothing then; both have `DEADLINE_S`, "slow" has `FOR_EVER_S`.

    The decider and the safe policy have half of that each: a tenth of a second is short for a disk that tests share.
    """
    monkeypatch.setattr(punctual, "RESERVE_S", DEADLINE_S)
    init_workspace(path)
    settings = path / "service.toml"
    text = settings.read_text()
    for name, extra in (("web", ""), ("email", 'unwritable = "no_action"\n')):
        text = text.replace(f"[channels.{name}]\n", f'[channels.{name}]\ndeadline = "PT{DEADLINE_S}S"\n{extra}')
    settings.write_text(f'{text}\n[channels.slow]\ndeadline = "PT{FOR_EVER_S:g}S"\n')
    return path


@contextmanager
def opened(directory: Path, model: Scorer | None = None, *, batch: int = 512, queue: int = 2_000) -> Iterator[Replica]:
    """Its replica, with that model; at the end whatever is held up is let go."""
    path = directory / "service.toml"
    text = path.read_text().replace("max_batch = 512", f"max_batch = {batch}")
    path.write_text(text.replace("max_queued = 2000", f"max_queued = {queue}"))
    replica = Replica.open(open_workspace(directory))
    if model is not None:
        replica.feed.stop()
        replica.feed._serving = Serving(model, 0.0)
    try:
        yield replica
    finally:
        if isinstance(model, Held):
            model.let_go()
        replica.close(drain_s=5.0)


@contextmanager
def locked(directory: Path) -> Iterator[None]:
    """Another process holds SQLite's write lock."""
    with closing(sqlite3.connect(directory / "data" / "nba.db", timeout=5.0)) as other:
        other.execute("BEGIN IMMEDIATE")
        yield
        other.rollback()


def through(replica: Replica) -> None:
    """Wait until both deciders are through with all that they were asked: of what comes now nothing is kept."""
    for queue in (replica._decisions, replica._late):
        nowhere = DecisionRequest(decision_id="nowhere", channel="there is no such channel")
        assert isinstance(queue.submit((nowhere, Ticket())).exception(FOR_EVER_S), InputError)
