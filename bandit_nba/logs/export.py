"""The log with its rewards, as a file for other tools: every row that teaches, what is left out counted by why."""

import contextlib
import os
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Protocol

import msgspec
import numpy as np
import sqlalchemy as sa

from bandit_nba.decide.columns import Floats
from bandit_nba.errors import InputError, StoreError
from bandit_nba.evaluate.exclusion import closes_at, why_left_out
from bandit_nba.evaluate.formats.obp import to_obp
from bandit_nba.evaluate.formats.tables import FIELDS
from bandit_nba.evaluate.stored import joined, read_log
from bandit_nba.learn.rewards import rewards
from bandit_nba.logs.lines import DsjsonLines
from bandit_nba.online.definitions import catalogue
from bandit_nba.store.archive.restore import Archive
from bandit_nba.store.database import Database
from bandit_nba.store.log.chunk import LogChunk, scan_chunks
from bandit_nba.workspace import Workspace

Format = Literal["dsjson", "parquet", "csv", "obp"]
FORMATS: tuple[Format, ...] = ("dsjson", "parquet", "csv", "obp")
_NAMES = msgspec.json.Decoder(list[str])
_NUMBERS = msgspec.json.Decoder(list[float])


@dataclass(frozen=True)
class Exported:
    """What was written: rows, and rows left out by why."""

    rows: int
    left_out: Mapping[str, int]


class _Sink(Protocol):
    def write(self, chunk: LogChunk, kept: Sequence[int], reward: Floats) -> None: ...
    def close(self) -> None: ...


def export_log(
    database: Database,
    workspace: Workspace,
    out: Path,
    *,
    kind: Format,
    train: bool = False,
    now_s: float,
    progress: Callable[[int], None] | None = None,
) -> Exported:
    """Write all matured decisions that teach, with their rewards under the workspace's definition, in order of time.

    A slate stands for its first place, with the reward that this place is taught. The file appears whole or not at all.
    train: see `lines.DsjsonLines`. progress: told of rows that were read.

    Raises
    ------
    InputError
        If `train` is asked of another format than dsjson.
    RefusedError
        If nothing has matured, for "obp".
    StoreError
        If the store cannot be read, or the file cannot be written.
    """
    if train and kind != "dsjson":
        raise InputError("only dsjson lines can teach VW", where="--train", got=kind, allowed="--format dsjson")
    archive = Archive(workspace.archive_folder)
    if kind == "obp":
        log = read_log(
            database, workspace.rewards, workspace.catalogue.facts, now_s=now_s, slates=True, archive=archive
        )
        with _whole(out) as temporary, temporary.open("wb") as file:
            np.savez_compressed(file, allow_pickle=False, **to_obp(log))
        return Exported(len(log), log.left_out)
    rows, left_out = 0, dict[str, int]()
    with _whole(out) as temporary, database.read() as connection:
        sink = _sink(kind, temporary, database, workspace, train=train)
        try:
            for chunk, kept, reward, why in _teaching(connection, workspace, archive, now_s=now_s):
                sink.write(chunk, kept, reward)
                rows += len(kept)
                for reason in filter(None, why):
                    left_out[reason] = left_out.get(reason, 0) + 1
                if progress:
                    progress(len(chunk))
        finally:
            sink.close()
    return Exported(rows, left_out)


def _teaching(
    connection: sa.Connection, workspace: Workspace, archive: Archive, *, now_s: float
) -> Iterator[tuple[LogChunk, list[int], Floats, Sequence[str]]]:
    definition = workspace.rewards
    for chunk in map(archive.chunk, scan_chunks(connection)):
        closes = closes_at(chunk, definition)
        why = why_left_out(chunk, closes, now_s=now_s, slates=True, unsupported=True)
        why = [
            reason or ("facts erased" if facts is None else "") for reason, facts in zip(why, chunk.facts, strict=True)
        ]
        kept = [i for i, reason in enumerate(why) if not reason]
        found = joined(connection, definition, chunk, kept, closes) if kept else None
        reward = np.zeros(0) if found is None else rewards(definition, found, size=len(kept))
        yield chunk, kept, reward, why


def _sink(kind: Format, path: Path, database: Database, workspace: Workspace, *, train: bool) -> _Sink:
    if kind == "dsjson":
        lines = DsjsonLines(
            workspace.policy.features,
            workspace.catalogue.facts,
            catalogue=lambda version: catalogue(database, version),
            train=train,
        )
        return _Lines(path, lines)
    return _ParquetTable(path) if kind == "parquet" else _CsvTable(path)


class _Lines:
    def __init__(self, path: Path, lines: DsjsonLines) -> None:
        self._file = path.open("wb")
        self._lines = lines

    def write(self, chunk: LogChunk, kept: Sequence[int], reward: Floats) -> None:
        self._file.writelines(line + b"\n" for line in self._lines.of(chunk, kept, reward))

    def close(self) -> None:
        self._file.close()


class _CsvTable:
    def __init__(self, path: Path) -> None:
        import csv

        self._file = path.open("w", newline="", encoding="utf-8")
        self._writer = csv.writer(self._file)
        self._writer.writerow(FIELDS)

    def write(self, chunk: LogChunk, kept: Sequence[int], reward: Floats) -> None:
        self._writer.writerows(zip(*_columns(chunk, kept, reward).values(), strict=True))

    def close(self) -> None:
        self._file.close()


class _ParquetTable:
    def __init__(self, path: Path) -> None:
        import pyarrow as pa
        import pyarrow.parquet as pq

        numbers = {"propensity", "reward", "decided_at"}
        kinds = [(name, pa.float64() if name in numbers else pa.string()) for name in FIELDS]
        self._pa, self._schema = pa, pa.schema(kinds)
        self._writer = pq.ParquetWriter(path, self._schema, compression="zstd")

    def write(self, chunk: LogChunk, kept: Sequence[int], reward: Floats) -> None:
        if kept:
            table = self._pa.Table.from_pydict(_columns(chunk, kept, reward), schema=self._schema)
            self._writer.write_table(table)

    def close(self) -> None:
        self._writer.close()


def _columns(chunk: LogChunk, kept: Sequence[int], reward: Floats) -> dict[str, list[Any]]:
    """The columns `FIELDS`; lists and facts as JSON, numbers with the digits that give the same float64 back."""
    chances = [_NUMBERS.decode(chunk.probabilities[i]) for i in kept]
    places = [_NAMES.decode(chunk.arms[i]).index(chunk.arm[i]) for i in kept]
    return {
        "id": [chunk.id[i] for i in kept],
        "arm": [chunk.arm[i] for i in kept],
        "propensity": [row[place] for row, place in zip(chances, places, strict=True)],
        "reward": reward.tolist(),
        "arms": [chunk.arms[i].decode() for i in kept],
        "probabilities": [chunk.probabilities[i].decode() for i in kept],
        "decided_at": [chunk.decided_at[i] for i in kept],
        "customer": [chunk.customer[i] for i in kept],
        "channel": [chunk.channel[i] for i in kept],
        "facts": [(chunk.facts[i] or b"{}").decode() for i in kept],
    }


@contextlib.contextmanager
def _whole(out: Path) -> Iterator[Path]:
    """A file beside `out` that takes its place once it is complete and on disk; of its own, whoever else exports there.

    Raises
    ------
    StoreError
        If it cannot be written, as on a full disk. What stood at `out` stays.
    """
    temporary = out.with_name(f".{uuid.uuid4().hex}.part")
    try:
        yield temporary
        with temporary.open("rb") as file:
            os.fsync(file.fileno())
        temporary.replace(out)
    except OSError as error:
        why = error.strerror or str(error)
        raise StoreError(f"the file cannot be written ({why}); nothing was changed", where=str(out)) from error
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)
