"""The model that serves: looked for in the background, verified, and swapped in between two batches."""

import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from bandit_nba.decide.scoring import NoModel, Scorer
from bandit_nba.errors import NbaError, StoreError
from bandit_nba.learn.registry import verified
from bandit_nba.online.repeat import Repeat
from bandit_nba.store import models
from bandit_nba.store.database import Database

log = logging.getLogger("nba.models")


class Registry(Protocol):
    """Where published models are found."""

    def newest(self, *, limit: int) -> Sequence[str]:
        """Versions of the newest models, newest first; cheap enough to poll with limit=1."""

    def scorer(self, version: str) -> Scorer:
        """That model, verified. Raises `ModelError` where it is damaged or does not fit."""


class StoredModels:
    """The registry in the store. `feature_version`: of the features that models will be given here."""

    def __init__(self, database: Database, *, feature_version: str) -> None:
        self._database = database
        self._feature_version = feature_version

    def newest(self, *, limit: int) -> Sequence[str]:
        """One indexed row with limit=1."""
        with self._database.read() as connection:
            if limit == 1:
                version = models.newest(connection)
                return [] if version is None else [version]
            return [row.manifest.version for row in models.listing(connection, limit=limit)]

    def scorer(self, version: str) -> Scorer:
        """The model after checksums, finiteness and probes."""
        with self._database.read() as connection:
            stored = models.read(connection, version)
        return verified(stored, feature_version=self._feature_version)


@dataclass(frozen=True)
class Serving:
    """A model and since when it serves, seconds since the epoch."""

    scorer: Scorer
    since_s: float


class ModelFeed:
    """Follows the registry. A model that fails its verification never serves: the one before goes on.

    After a start, where none serves yet, up to `LOOK_BACK` older models are tried instead.
    """

    LOOK_BACK = 5

    def __init__(self, registry: Registry, *, poll_every_s: float, clock: Callable[[], float] = time.time) -> None:
        self.refused: dict[str, str] = {}
        self.swaps = 0
        self._registry = registry
        self._clock = clock
        self._serving = Serving(NoModel(), clock())
        self._repeat = Repeat(self.poll, every_s=poll_every_s, name="nba-model-feed")

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

    def poll(self) -> bool:
        """Look for a newer model; True if one was swapped in. Raises `StoreError` if the registry cannot be read."""
        serving = self._serving.scorer.version
        for version in self._registry.newest(limit=1 if serving != "none" else self.LOOK_BACK):
            if version == serving:
                return False
            if version not in self.refused and self._adopt(version):
                return True
        return False

    def _adopt(self, version: str) -> bool:
        """Swap in one model, or note why it is refused; a store that fails is no fault of the model."""
        try:
            scorer = self._registry.scorer(version)
        except StoreError:
            raise
        except NbaError as error:
            log.error("model %s is refused: %s", version, error)
            self.refused[version] = str(error)
            return False
        self._serving = Serving(scorer, self._clock())
        self.swaps += 1
        return True
