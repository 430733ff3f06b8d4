"""Results on disk: one atomic Parquet file per run, and one of all runs, sorted, the same bytes whoever wrote them.

    OUT/runs/ID.parquet     one run: metric, label, x, value
    OUT/result.parquet      all runs: scenario, policy, seed, and the same
    OUT/times.csv           how long each run took, and when it ended: kept apart, since it never repeats

A run's file is written beside its place, made durable and renamed, so that it is there whole or not at all.
"""

import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from bandit_nba.errors import InputError
from experiments.runner.sweep import Cell

RUN_SCHEMA = pa.schema([("metric", pa.string()), ("label", pa.string()), ("x", pa.float64()), ("value", pa.float64())])
SCHEMA = pa.schema([("scenario", pa.string()), ("policy", pa.string()), ("seed", pa.int64()), *RUN_SCHEMA])


class Measure(NamedTuple):
    """One number that a run found: `value` of `metric` at `x` (a round; NaN for the whole run), under `label`."""

    metric: str
    value: float
    x: float = float("nan")
    label: str = ""


def encoded(measures: Sequence[Measure]) -> bytes:
    """A run's file."""
    columns = [[getattr(one, name) for one in measures] for name in RUN_SCHEMA.names]
    table = pa.table(
        [pa.array(column, field.type) for column, field in zip(columns, RUN_SCHEMA, strict=True)], RUN_SCHEMA
    )
    sink = pa.BufferOutputStream()
    _write(table, sink)
    return bytes(sink.getvalue())


def run_path(out: Path, cell: Cell) -> Path:
    """Where a run's file is once it is finished."""
    return out / "runs" / f"{cell.id}.parquet"


def put(path: Path, data: bytes) -> None:
    """Write a file whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_name(f"{path.name}.{os.getpid()}.part")
    with beside.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    beside.replace(path)
    place = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(place)
    finally:
        os.close(place)


def merge(out: Path, cells: Iterable[Cell]) -> Path:
    """All runs in one file, in the order of their keys.

    Raises
    ------
    InputError
        If a run is missing.
    """
    tables = []
    for cell in sorted(cells, key=lambda one: one.key):
        path = run_path(out, cell)
        if not path.exists():
            raise InputError("a run is missing", where=str(path), got=cell.key)
        run = pq.read_table(path)
        keys = [pa.array([cell.scenario] * len(run)), pa.array([cell.policy] * len(run))]
        keys.append(pa.array([cell.seed] * len(run), pa.int64()))
        tables.append(pa.Table.from_arrays([*keys, *run.columns], schema=SCHEMA))
    sink = pa.BufferOutputStream()
    _write(pa.concat_tables(tables).combine_chunks(), sink)
    put(out / "result.parquet", bytes(sink.getvalue()))
    return out / "result.parquet"


def read(out: Path) -> pd.DataFrame:
    """The merged results.

    Raises
    ------
    InputError
        If there are none.
    """
    path = out / "result.parquet"
    if not path.exists():
        raise InputError("no results", where=str(path), hint="`nba experiment run NAME` makes them")
    frame: pd.DataFrame = pq.read_table(path).to_pandas()
    return frame


def _write(table: pa.Table, sink: Any) -> None:
    pq.write_table(table, sink, compression="zstd", row_group_size=1 << 20, store_schema=False)
