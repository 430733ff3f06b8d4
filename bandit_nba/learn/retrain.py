"""Bulk retraining: one model from many logged decisions, in flat memory, and resumable after a kill.

The decisions are learned in the order of the log, (matures_at, id), so that with the settings in force the model has
the very weights of the learner that went the same way step by step. After each chunk a checkpoint goes to a folder,
whole or not at all: VW's bytes and what the manifest will need. Whoever begins again with the same settings and folder
goes on behind the last one, and ends with the same weights, since storing and loading a model in between changes none.

Reading and making features takes longer than learning: a helper process can share in it (see `ahead`), and changes
nothing else.

Two ways, with equal weights (tested): "learner" teaches VW in this process; "driver" writes each chunk as a file in
VW's own format, from which VW's command-line driver learns. The first is the faster one: writing an example through VW
takes longer than learning it.
"""

import hashlib
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import msgspec

from bandit_nba.errors import ModelError, RefusedError
from bandit_nba.learn.ahead import Helper, Part, in_order
from bandit_nba.learn.careful import CarefulRegressor, made_carefully
from bandit_nba.learn.ensemble import Ensemble
from bandit_nba.learn.examples import ExampleMaker, Examples
from bandit_nba.learn.log import LearningLog, LoggedBatch, Poison
from bandit_nba.learn.manifest import StoredModel
from bandit_nba.learn.prepared import Prepared, prepared
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
        self,
        log: LearningLog,
        take: Callable[[int], list[str]],
        *,
        created_at: float,
        progress: Callable[[int], None],
        helper: Helper | None = None,
    ) -> Trained:
        """Learn all that `take` gives, which begins behind `resumed`; the folder's checkpoints are left for the caller.

        take: the next ids, at most so many. progress: called with the number of decisions behind each batch. helper:
        makes batches ready beside this process, under the same definitions and from the same log.

        Raises
        ------
        StoreError
            If the log cannot be read.
        ModelError
            If too many rows cannot be learned, or the model fails what every model must pass before it serves.
        RefusedError
            If there is nothing to learn.
        """
        parts = in_order(_parts(take, self._chunk), lambda part: prepared(self._maker, log.batch(part.ids)), helper)
        going: _Chunk | None = None
        for part, made in parts:
            going = going or self._begun()
            self._learn(going, log, part, made)
            progress(len(part.ids))
            if part.ends_chunk:
                self._end(going)
                going = None
                if not part.ends_all:  # the last chunk is not kept: its examples are the probes
                    _write(self._folder / CHECKPOINT, self._state, self._model or b"")
        if self._recent is None:
            raise RefusedError("there is nothing to learn from", hint="has anything matured in this range?")
        return self._packed(self._recent, created_at)

    def _begun(self) -> "_Chunk":
        state = self._state
        learned = Learned(examples=state.examples, since=state.since, until=state.until, arms=state.arms)
        way = self._way(RunningMeans(state.means, examples=state.examples))
        return _Chunk(way=way, learned=learned, done=state.done, failed=list(state.failed))

    def _learn(self, chunk: "_Chunk", log: LearningLog, part: Part, made: Prepared | None) -> None:
        """What was made ready; or, where that cannot be learned as a whole, row by row what can."""
        chunk.done += len(part.ids)
        if made is not None and chunk.way.learn_made(made.examples):
            chunk.learned = chunk.learned.more(made.decided_at, made.arms, inline=made.inline)
            return
        batch = log.batch(part.ids).with_facts()
        poison = chunk.way.learn(batch)
        bad = {one.decision for one in poison}
        kept = [i for i, decision in enumerate(batch.windows.ids) if decision not in bad]
        chunk.learned = chunk.learned.more(
            batch.windows.opens_at[kept],
            [batch.arms[i] for i in kept],
            inline=[batch.inline[i] is not None for i in kept] if batch.inline else (),
        )
        chunk.failed += [(one.decision, one.reason, one.why) for one in poison]

    def _end(self, chunk: "_Chunk") -> None:
        """Go over to the model and state behind a chunk."""
        learned, way = chunk.learned, chunk.way
        self._model = way.model()
        self._recent = way.recent or self._recent
        self._state = _State(
            done=chunk.done,
            examples=learned.examples,
            since=learned.since,
            until=learned.until,
            arms=dict(learned.arms),
            means=way.means.means() if learned.examples else (),
            failed=tuple(chunk.failed),
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


@dataclass
class _Chunk:
    """What has been learned since the last checkpoint. done: ids taken in all."""

    way: "CarefulLearner | CarefulDriver"
    learned: Learned
    done: int
    failed: list[tuple[str, str, str]]


def _parts(take: Callable[[int], list[str]], chunk: int) -> Iterator[Part]:
    """Batches of the ids, none of which goes over the end of a chunk."""
    ids = take(chunk)
    while ids:
        following = take(chunk)
        for start in range(0, len(ids), BATCH):
            ends_chunk = start + BATCH >= len(ids)
            yield Part(ids[start : start + BATCH], ends_chunk=ends_chunk, ends_all=ends_chunk and not following)
        ids = following


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

    def learn_made(self, made: Sequence[Examples]) -> bool:
        """Add examples that are made already."""
        for one in made:
            self._add(one)
        return True

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
