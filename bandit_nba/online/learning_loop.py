"""The learner at work: it goes on until it is told to stop, whatever goes wrong meanwhile."""

import logging
import os
import socket
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from typing import Self

from bandit_nba.errors import NbaError
from bandit_nba.learn.learner import Learner, LearnReport
from bandit_nba.online import definitions
from bandit_nba.online.repeat import Repeat
from bandit_nba.store.archive.restore import Archive
from bandit_nba.store.database import Database
from bandit_nba.store.learner.learning import LearningStore
from bandit_nba.store.steady import steady
from bandit_nba.workspace import Workspace

log = logging.getLogger("nba.learner")

LONGEST_IDLE_S = 0.25
LEASE_S = 15.0
"""After so long without a sign of life another learner takes over; it bounds how long learning rests after a kill."""


@dataclass(frozen=True)
class LearningStatus:
    """What the loop has done since it started; `error` is what its last step failed with, "" if it did not."""

    alive: bool
    holds_lease: bool
    examples: int
    published: int
    set_aside: int
    to_relearn: int
    lag_s: float
    failures: int
    error: str


class LearningLoop:
    """Steps one learner in a thread: without pause while there is more to learn, with longer ones after errors."""

    def __init__(self, learner: Learner, *, publish_every_s: float) -> None:
        self._learner = learner
        self._repeat = Repeat(self.step, every_s=min(LONGEST_IDLE_S, publish_every_s / 2), name="nba-learner")
        self._last = LearnReport(held=False)
        self._examples = 0
        self._published = 0
        self._set_aside = 0

    @classmethod
    def open(
        cls,
        workspace: Workspace,
        database: Database,
        *,
        clock: Callable[[], float] = time.time,
        lease_s: float = LEASE_S,
    ) -> Self:
        """The loop of one workspace, with a name of its own among those that want to learn.

        Facts are those of the catalogue in force: the file may be half way through an edit.
        """
        clock = steady(clock)
        workspace = definitions.register(workspace, database, clock=clock)
        holder = f"{socket.gethostname()[:24]}-{os.getpid()}-{uuid.uuid4().hex[:8]}"
        learner = Learner(
            LearningStore(
                database,
                clock=clock,
                holder=holder,
                lease_s=lease_s,
                archive=Archive(workspace.archive_folder),
            ),
            policy=workspace.policy,
            rewards=workspace.rewards,
            schema=workspace.catalogue.facts,
            clock=clock,
            publish_every_s=workspace.service.publish_every_s,
        )
        return cls(learner, publish_every_s=workspace.service.publish_every_s)

    def start(self) -> None:
        """Begin to learn in the background."""
        self._repeat.start()

    def stop(self, *, within_s: float = 10.0) -> bool:
        """End after the step at hand and publish what it learned; True if all of it is published."""
        if not self._repeat.stop(within_s=within_s):
            return False
        try:
            self._note(self._learner.finish())
        except NbaError as error:
            log.error("the last model was not published; it will be learned again: %s", error)
            return False
        return True

    def step(self) -> None:
        """Learn all that has matured, batch after batch."""
        while self._note(self._learner.step()).examples and not self._repeat.stopping:
            pass

    def status(self) -> LearningStatus:
        """What has been done so far."""
        return LearningStatus(
            alive=self._repeat.alive,
            holds_lease=self._last.held,
            examples=self._examples,
            published=self._published,
            set_aside=self._set_aside,
            to_relearn=self._last.to_relearn,
            lag_s=self._last.lag_s,
            failures=self._repeat.failures,
            error="" if self._repeat.error is None else str(self._repeat.error),
        )

    def _note(self, report: LearnReport) -> LearnReport:
        self._last = report
        self._examples += report.examples
        self._set_aside += len(report.set_aside)
        if report.published is not None:
            self._published += 1
            log.info("published model %s", report.published)
        if report.set_aside:
            log.warning("decisions that cannot be learned were set aside: %s", ", ".join(report.set_aside[:20]))
        return report
