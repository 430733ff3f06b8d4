"""The model that serves: looked for in the background, verified, and swapped in between two batches.

Which model that is to be says the registry (see `store.registry.serving`): the newest, or one that somebody chose.
Every replica asks at least every `MOST_BETWEEN_S`, whatever `poll_every` says: a model is rolled back everywhere in
under 5 s.

A model that gives scores which are no numbers has passed every check before and still cannot be trusted: the safe
policy has answered for it by then (see `making`). The replica takes the model before at once, and tells the registry,
which puts the model away for all replicas.
"""

import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from bandit_nba.decide.scoring import NoModel, Scorer
from bandit_nba.errors import ModelError, NbaError, StoreError
from bandit_nba.learn.guard import Demands
from bandit_nba.online.repeat import Repeat
from bandit_nba.store.database import Database
from bandit_nba.store.registry import models, serving

log = logging.getLogger("nba.models")

MOST_BETWEEN_S = 1.0
LOOK_BACK = 5
REASONS_KEPT = 20


class Registry(Protocol):
    """Where published models are found."""

    def wanted(self, *, limit: int) -> Sequence[str]:
        """The version that is to serve, and behind it those to try where it cannot; cheap to poll with limit=1.

        "none" stands for no model; empty before the first.
        """

    def scorer(self, version: str) -> Scorer:
        """That model, verified. Raises `ModelError` where it is damaged or does not fit."""

    def quarantine(self, version: str, why: str, *, instead: str) -> None:
        """Let no replica serve a model again. instead: what serves from now on, "" where the registry has to look."""


class StoredModels:
    """The registry in the store. demands: of the policy that models are to serve here. who: names this replica."""

    def __init__(
        self,
        database: Database,
        demands: Demands | None = None,
        *,
        who: str = "a replica",
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._database = database
        self._demands = demands
        self._who = who
        self._clock = clock

    def wanted(self, *, limit: int) -> Sequence[str]:
        """Two indexed rows with limit=1."""
        with self._database.read() as connection:
            return serving.wanted(connection, limit=limit)

    def scorer(self, version: str) -> Scorer:
        """The model after the static guard; see `learn.guard`."""
        return models.load_scorer(self._database, version, demands=self._demands)

    def quarantine(self, version: str, why: str, *, instead: str) -> None:
        """The last good one serves instead: what this replica served before, else the next older that passes."""
        serves = instead if instead not in ("", serving.NONE) else self._last_good(version)
        with self._database.write() as connection:
            serving.quarantine(connection, version, serves=serves, who=self._who, why=why, now_s=self._clock())

    def _last_good(self, version: str) -> str:
        with self._database.read() as connection:
            older = serving.before(connection, version, limit=LOOK_BACK)
        for one in older:
            try:
                self.scorer(one)
            except ModelError as error:
                log.error("%s", error)
            else:
                return one
        return serving.NONE


@dataclass(frozen=True)
class Serving:
    """A model and since when it serves, seconds since the epoch."""

    scorer: Scorer
    since_s: float


class ModelFeed:
    """Follows the registry. A model that fails its verification never serves: the one before goes on.

    After a start, where none serves yet, up to `LOOK_BACK` older models are tried instead. refused: the last reasons by
    version; refusals: how many models were. distrusted: models that gave scores which are no numbers here.
    """

    def __init__(self, registry: Registry, *, poll_every_s: float, clock: Callable[[], float] = time.time) -> None:
        self.refused: dict[str, str] = {}
        self.refusals = 0
        self.distrusted: dict[str, str] = {}
        self.swaps = 0
        self._registry = registry
        self._clock = clock
        self._serving = Serving(NoModel(), clock())
        self._before = self._serving
        self._to_tell: list[str] = []
        every_s = min(poll_every_s, MOST_BETWEEN_S)
        self._repeat = Repeat(self.poll, every_s=every_s, name="nba-model-feed")

    @property
    def serving(self) -> Serving:
        """What serves now; take it once per batch."""
        return self._serving

    def current(self) -> Scorer:
        """The model that serves now."""
        return self._serving.scorer

    @property
    def failures(self) -> int:
        """How often the registry could not be read since the start."""
        return self._repeat.failures

    @property
    def alive(self) -> bool:
        """Whether it still looks out."""
        return self._repeat.alive

    def start(self) -> None:
        """Look once at once, so that a restart serves what was learned before, then go on in the background."""
        try:
            self.poll()
        except NbaError as error:
            log.error("no model yet: %s", error)
        self._repeat.start()

    def stop(self) -> None:
        """End the background look-out."""
        self._repeat.stop()

    def distrust(self, version: str, why: str) -> None:
        """Called where a model has failed a decision: here it serves no longer, from the next batch on.

        All other replicas are told at the next `poll`, since the caller is in the midst of deciding.
        """
        if version in self.distrusted or version == NoModel().version:
            return
        self.distrusted[version] = why
        log.error("model %s is put away: %s", version, why)
        if self._serving.scorer.version == version:
            self._swap(self._before.scorer if self._before.scorer.version not in self.distrusted else NoModel())
        self._to_tell.append(version)

    def poll(self) -> bool:
        """Look for the model that is to serve; True if one was swapped in.

        Raises
        ------
        StoreError
            If the registry cannot be read or written.
        """
        self._tell()
        serving = self._serving.scorer.version
        for version in self._registry.wanted(limit=1 if serving != "none" else LOOK_BACK):
            if version == serving:
                return False
            if version == "none":
                self._swap(NoModel())
                return True
            if version not in self.refused and version not in self.distrusted and self._adopt(version):
                return True
        return False

    def _tell(self) -> None:
        """Let the registry put away what has failed here; tried again at the next poll where it cannot."""
        while self._to_tell:
            version = self._to_tell[0]
            self._registry.quarantine(version, self.distrusted[version], instead=self._serving.scorer.version)
            self._to_tell.pop(0)

    def _adopt(self, version: str) -> bool:
        """Swap in one model, or note why it is refused; a store that fails is no fault of the model."""
        try:
            scorer = self._registry.scorer(version)
        except StoreError:
            raise
        except NbaError as error:
            log.error("model %s is refused: %s", version, error)
            self.refusals += 1
            self.refused = {**dict([*self.refused.items()][1 - REASONS_KEPT :]), version: str(error)}
            return False
        self._swap(scorer)
        return True

    def _swap(self, scorer: Scorer) -> None:
        self._before = self._serving
        self._serving = Serving(scorer, self._clock())
        self.swaps += 1
