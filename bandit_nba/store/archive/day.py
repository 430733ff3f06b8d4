"""One day's folder: numbered parts, each a file of decisions and a file of their facts, and the manifest that counts.

    archive/2026-01-31/manifest.json
                       decisions-000.parquet      what was decided, without the facts
                       facts-000.parquet          the facts alone: rewritten without those that are erased

A file that no manifest names does not exist: it is what a crash left behind, and goes away with the next change. A
manifest is replaced as a whole, after the files that it names are on disk.
"""

import hashlib
import os
import shutil
from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec
import pyarrow as pa
import pyarrow.parquet as pq
import sqlalchemy as sa

from bandit_nba.errors import StoreError
from bandit_nba.store.tables import decisions

MANIFEST = "manifest.json"
GROUP_ROWS = 5_000  # of a row group: what is read and kept in memory at once
COPIES = 20  # tries to copy a day while it changes
STAYS = ("payload_sha256", "answer", "archived_on")
"""Columns of a decision that only the store has."""

COLUMNS = tuple(column.name for column in decisions.c if column.name not in (*STAYS, "facts"))
FACTS = ("id", "decided_at", "facts")

Row = Mapping[str, Any]


class File(msgspec.Struct, frozen=True, kw_only=True):
    """One file as it must be."""

    name: str
    rows: int
    bytes: int
    sha256: str


class Part(msgspec.Struct, frozen=True, kw_only=True):
    """Decisions that were archived together, in (decided_at, id) order, and their facts."""

    decisions: File
    facts: File


class Manifest(msgspec.Struct, frozen=True, kw_only=True):
    """What a day's folder holds. written_at: seconds since the epoch."""

    day: str
    format: int = 1
    written_at: float
    parts: tuple[Part, ...] = ()

    @property
    def rows(self) -> int:
        """Decisions in all parts."""
        return sum(part.decisions.rows for part in self.parts)


def read_manifest(folder: Path) -> Manifest | None:
    """The day's manifest, None where nothing was archived.

    Raises
    ------
    StoreError
        If it cannot be read.
    """
    try:
        return msgspec.json.decode((folder / MANIFEST).read_bytes(), type=Manifest)
    except FileNotFoundError:
        return None
    except (OSError, msgspec.DecodeError) as error:
        raise StoreError(f"cannot be read ({error})", where=str(folder / MANIFEST)) from None


def put_manifest(folder: Path, manifest: Manifest) -> None:
    """Let the day be this from now on, whole; files that it does not name are removed."""
    content = msgspec.json.format(msgspec.json.encode(manifest), indent=2)
    temporary = folder / f".{MANIFEST}.new"
    with temporary.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(folder / MANIFEST)
    _sync(folder)
    named = {MANIFEST} | {file.name for part in manifest.parts for file in (part.decisions, part.facts)}
    for path in folder.iterdir():
        if path.name not in named:
            path.unlink()
    _sync(folder)


def copy_day(folder: Path, to: Path) -> None:
    """Copy a day as one of its manifests counts it, also while it changes; a day without a manifest is none.

    Files are never changed, and a new manifest is put after its files: what was copied is one state of the day if the
    manifest is the same afterwards.

    Raises
    ------
    StoreError
        If it changes faster than it can be copied.
    """
    for _ in range(COPIES):
        shutil.rmtree(to, ignore_errors=True)
        manifest = read_manifest(folder)
        if manifest is None:
            return
        to.mkdir(parents=True)
        try:
            for file in (file for part in manifest.parts for file in (part.decisions, part.facts)):
                shutil.copyfile(folder / file.name, to / file.name)
        except FileNotFoundError:  # of the manifest before
            continue
        if read_manifest(folder) == manifest:
            content = msgspec.json.format(msgspec.json.encode(manifest), indent=2)
            (to / MANIFEST).write_bytes(content)
            return
    raise StoreError("changes all the time", where=str(folder), hint="wait until facts are erased, then try again")


class PartWriter:
    """Writes one part row group by row group; `close` gives what the manifest says of it."""

    def __init__(self, folder: Path, number: int) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._decisions = _Writer(folder / f"decisions-{number:03d}.parquet", _schema(COLUMNS))
        self._facts = _Writer(folder / f"facts-{number:03d}.parquet", _schema(FACTS))

    def write(self, rows: Sequence[Row]) -> None:
        """Add rows with the columns of `COLUMNS` and "facts", None where they were erased."""
        self._decisions.write(rows)
        self._facts.write([row for row in rows if row["facts"] is not None])

    def close(self) -> Part:
        """Bring everything to the disk."""
        return Part(decisions=self._decisions.close(), facts=self._facts.close())


def without_facts(folder: Path, part: Part, erased: Collection[str]) -> Part:
    """The part with a new facts file that lacks the decisions `erased`; the old one goes with `put_manifest`."""
    number, _, revision = part.facts.name.removeprefix("facts-").removesuffix(".parquet").partition("-")
    writer = _Writer(folder / f"facts-{number}-{int(revision or 0) + 1}.parquet", _schema(FACTS))
    for rows in groups(folder, part.facts, FACTS):
        writer.write([row for row in rows if row["id"] not in erased])
    return Part(decisions=part.decisions, facts=writer.close())


def groups(folder: Path, file: File, columns: Sequence[str]) -> Iterator[list[dict[str, Any]]]:
    """The rows of a file, row group by row group."""
    with opened(folder, file) as parquet:
        for group in range(parquet.num_row_groups):
            yield parquet.read_row_group(group, columns=list(columns)).to_pylist()


def opened(folder: Path, file: File) -> pq.ParquetFile:
    """A file whose bytes are those that the manifest counts.

    Raises
    ------
    StoreError
        If it is gone, damaged, or not what was written.
    """
    path = folder / file.name
    try:
        size, found = path.stat().st_size, _sha256(path)
        if (size, found) != (file.bytes, file.sha256):
            raise StoreError(
                "is not what was archived",
                where=str(path),
                got=f"{size} bytes, sha256 {found[:12]}…",
                allowed=f"{file.bytes} bytes, sha256 {file.sha256[:12]}…",
                hint="bring it back from a backup",
            )
        parquet = pq.ParquetFile(path)
    except (OSError, pa.ArrowException) as error:
        raise StoreError(f"cannot be read ({error})", where=str(path), hint="bring it back from a backup") from None
    if parquet.metadata.num_rows != file.rows:
        raise StoreError("has another number of rows", where=str(path), got=parquet.metadata.num_rows)
    return parquet


class _Writer:
    def __init__(self, path: Path, schema: pa.Schema) -> None:
        self._path, self._schema = path, schema
        self._writer = pq.ParquetWriter(path, schema, compression="zstd")
        self._rows = 0

    def write(self, rows: Sequence[Row]) -> None:
        columns = {name: [row[name] for row in rows] for name in self._schema.names}
        if rows:
            table = pa.Table.from_pydict(columns, schema=self._schema)
            self._writer.write_table(table, row_group_size=GROUP_ROWS)
        self._rows += len(rows)

    def close(self) -> File:
        self._writer.close()
        with self._path.open("rb") as file:
            os.fsync(file.fileno())
        _sync(self._path.parent)
        size = self._path.stat().st_size
        return File(name=self._path.name, rows=self._rows, bytes=size, sha256=_sha256(self._path))


def _schema(names: Sequence[str]) -> pa.Schema:
    return pa.schema([(name, _arrow_type(name)) for name in names])


def _arrow_type(name: str) -> pa.DataType:
    if name == "facts":
        return pa.binary()
    kind = decisions.c[name].type
    if isinstance(kind, sa.LargeBinary):
        return pa.binary()
    if isinstance(kind, sa.Double):
        return pa.float64()
    return pa.bool_() if isinstance(kind, sa.Boolean) else pa.string()


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _sync(folder: Path) -> None:
    """Make the folder's entries durable, where the system can."""
    if os.name == "posix":
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
