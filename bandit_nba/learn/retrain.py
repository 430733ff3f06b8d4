"""Bulk retraining: one model from many logged decisions, in flat memory, and resumable after a kill.

The decisions are learned in the order of the log, (matures_at, id), so that with the settings in force the model has
the very weights of the learner that went the same way step by step. After each chunk a checkpoint goes to a folder,
whole or not at all: VW's bytes and what the manifest will need. Whoever begins again with the same settings and folder
goes on behind the last one, and ends with the same weights, since storing and loading a model in between changes none.

Two ways, with equal weights (tested): "learner" teaches VW in this process; "driver" writes each chunk as a file in
VW's own format, from which VW's command-line driver learns. The first is the faster one: writing an example through VW
takes longer than learning it.
"""

import hashlib
import os
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import msgspec

from bandit_nba.errors import ModelError, RefusedError
from bandit_nba.learn.careful import CarefulRegressor, made_carefully
from bandit_nba.learn.ensemble import Ensemble
from bandit_nba.learn.examples import ExampleMaker, Examples
from bandit_nba.learn.log import LearningLog, LoggedBatch, Poison
from bandit_nba.learn.manifest import StoredModel
from bandit_nba.learn.registry import Learned, Lineage, package
from bandit_nba.learn.typical import Mean, RunningMeans
from bandit_nba.learn.vowpal import ExampleFile, driven

By = Literal["learner", "driver"]

BATCH = 5_000
CHECKPOINT = "checkpoint.bin"
_MAGIC = b"NBATRAIN1\n"
_DIGEST = 32


class _State(msgspec.Struct, frozen=True, kw_only=True):
    """What a checkpoint holds beside VW's bytes. done: ids taken so far."""

    done: int
    examples: int
    since: float
    until: float
    arms: dict[str, int]
    means: tuple[Mean, ...]
    failed: tuple[tuple[str, str, str], ...]


@dataclass(frozen=True)
class Trained:
    """A model that is not published, and the decisions that could not be learned. resumed: examples learned before."""

    model: StoredModel
    failed: tuple[Poison, ...]
    resumed: int


class Retraining:
    """One retraining in a folder of its own; `chunk` decisions between checkpoints.

    Raises
    ------
    RefusedError
        If "driver" is asked for and there is an ensemble, whose members weigh examples each in its own way.
    ModelError
        If the checkpoint in the folder is damaged.
    """

    def __init__(self, maker: ExampleMaker, lineage: Lineage, *, folder: Path, by: By = "learner", chunk: int) -> None:
        if by == "driver" and lineage.members:
            raise RefusedError("VW's driver cannot train an ensemble", where="--by", got=by, allowed="learner")
        self._maker, self._lineage = maker, lineage
        self._folder, self._by, self._chunk = folder, by, chunk
        folder.mkdir(parents=True, exist_ok=True)
        self._state, self._model = _read(folder / CHECKPOINT)
        self._recent: Examples | None = None
        self.resumed = self._state.done

    def run(
        self, log: LearningLog, take: Callable[[int], list[str]], *, created_at: float, progress: Callable[[int], None]
    ) -> Trained:
        """Learn all that `take` gives, which begins behind `resumed`; the folder's checkpoints are left for the caller.

        take: the next ids, at most so many. progress: called with the number of decisions behind each batch.

        Raises
        ------
        StoreError
            If the log cannot be read.
        ModelError
            If too many rows cannot be learned, or the model fails what every model must pass before it serves.
        RefusedError
            If there is nothing to learn.
        """
        ids = take(self._chunk)
        while ids:
            self._learn(log, ids, progress)
            ids = take(self._chunk)
            if ids:  # the last chunk is not kept: its examples are the probes
                _write(self._folder / CHECKPOINT, self._state, self._model or b"")
        if self._recent is None:
            raise RefusedError("there is nothing to learn from", hint="has anything matured in this range?")
        return self._packed(self._recent, created_at)

    def _learn(self, log: LearningLog, ids: list[str], progress: Callable[[int], None]) -> None:
        """One chunk: from the model and state before it to those behind it."""
        state = self._state
        learned = Learned(examples=state.examples, since=state.since, until=state.until, arms=state.arms)
        way = self._way(RunningMeans(state.means, examples=state.examples))
        failed = list(state.failed)
        for part, batch in _read_ahead(log, ids):
            batch = batch.pick([i for i, facts in enumerate(batch.facts) if facts is not None])
            poison = way.learn(batch)
            bad = {one.decision for one in poison}
            kept = [i for i, decision in enumerate(batch.windows.ids) if decision not in bad]
            learned = learned.more(
                batch.windows.opens_at[kept],
                [batch.arms[i] for i in kept],
                inline=[batch.inline[i] is not None for i in kept] if batch.inline else (),
            )
            failed += [(one.decision, one.reason, one.why) for one in poison]
            progress(len(part))
        self._model = way.model()
        self._recent = way.recent or self._recent
        self._state = _State(
            done=state.done + len(ids),
            examples=learned.examples,
            since=learned.since,
            until=learned.until,
            arms=dict(learned.arms),
            means=way.means.means() if learned.examples else (),
            failed=tuple(failed),
        )

    def _way(self, means: RunningMeans) -> "CarefulLearner | CarefulDriver":
        if self._by == "driver":
            return CarefulDriver(
                self._maker, self._lineage, self._folder / "chunk.cache", model=self._model, means=means
            )
        return CarefulLearner(self._maker, self._lineage, model=self._model, means=means)

    def _packed(self, recent: Examples, created_at: float) -> Trained:
        lineage, state = self._lineage, self._state
        regressor = Ensemble(lineage.features, lineage.learning, members=lineage.members, model=self._model)
        model = package(
            regressor.serialize(),
            regressor.weights(),
            lineage=lineage,
            parent="",
            learned=Learned(examples=state.examples, since=state.since, until=state.until, arms=state.arms),
            recent=recent,
            predict=regressor.predict,
            means=state.means,
            members=regressor.member_weights(),
            created_at=created_at,
        )
        failed = tuple(Poison(*one) for one in state.failed)
        return Trained(model=model, failed=failed, resumed=self.resumed)


def _read_ahead(log: LearningLog, ids: list[str]) -> Iterator[tuple[list[str], LoggedBatch]]:
    """Batches in order; while one is learned, the database finds the rows of the next."""
    parts = [ids[start : start + BATCH] for start in range(0, len(ids), BATCH)]
    with ThreadPoolExecutor(max_workers=1, thread_name_prefix="nba-read") as reader:
        following = reader.submit(log.batch, parts[0])
        for part, after in zip(parts, [*parts[1:], None], strict=True):
            batch = following.result()
            if after is not None:
                following = reader.submit(log.batch, after)
            yield part, batch


class CarefulLearner(CarefulRegressor):
    """Teaches VW in this process."""

    def model(self) -> bytes:
        """VW's bytes after all that was learned."""
        return self.regressor.serialize()


class CarefulDriver:
    """Writes a file that VW's command-line driver learns from once all is there."""

    def __init__(
        self, maker: ExampleMaker, lineage: Lineage, path: Path, *, model: bytes | None, means: RunningMeans
    ) -> None:
        self._maker, self._lineage, self._path, self._before = maker, lineage, path, model
        self._file = ExampleFile(path, lineage.features, lineage.learning)
        self.means = means
        self.recent: Examples | None = None

    def learn(self, batch: LoggedBatch) -> list[Poison]:
        """Add a batch to the file; gives the rows of which no example can be made."""
        return made_carefully(self._maker, batch, self._add)

    def _add(self, made: Examples) -> None:
        self._file.add(made.contexts, made.arms, made.chosen, made.reward)
        self.means, self.recent = self.means.more(made.contexts), made

    def model(self) -> bytes:
        """What the driver makes of the file, which is gone then."""
        self._file.close()
        try:
            return driven(self._path, self._lineage.features, self._lineage.learning, model=self._before)
        finally:
            self._path.unlink(missing_ok=True)


def _read(path: Path) -> tuple[_State, bytes | None]:
    if not path.exists():
        return _State(done=0, examples=0, since=0.0, until=0.0, arms={}, means=(), failed=()), None
    content = path.read_bytes()
    body = content[len(_MAGIC) : -_DIGEST]
    if not content.startswith(_MAGIC) or hashlib.sha256(body).digest() != content[-_DIGEST:]:
        raise ModelError("checkpoint is damaged", where=str(path), hint="`--fresh` begins again")
    length = int.from_bytes(body[:8], "little")
    return msgspec.json.decode(body[8 : 8 + length], type=_State), body[8 + length :]


def _write(path: Path, state: _State, model: bytes) -> None:
    """Whole or not at all: a new file takes the place of the one before once it is on disk."""
    text = msgspec.json.encode(state)
    body = len(text).to_bytes(8, "little") + text + model
    fresh = path.with_suffix(".new")
    with fresh.open("wb") as file:
        file.write(_MAGIC + body + hashlib.sha256(body).digest())
        file.flush()
        os.fsync(file.fileno())
    fresh.replace(path)
