"""A backup of a workspace while it serves: one snapshot of the store, its files, and a manifest that proves them.

    TARGET/manifest.json          what is in it: revision, tables with their rows, every file with its SHA-256
    TARGET/manifest.json.sha256   of the manifest itself
    TARGET/tables/NAME.parquet    every table, all from one snapshot (see `store.dump`)
    TARGET/files/...              catalogue.toml, policy.toml, ..., values, archived days

The secrets are never in it: salts and the key of pseudonyms are copied to a place apart (and a database's password is
in no file of a workspace). The backup appears under its name only when it is whole and on disk.
"""

import hashlib
import os
import shutil
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec

from bandit_nba.errors import InputError, StoreError
from bandit_nba.store import dump, schema
from bandit_nba.store.archive.day import copy_day
from bandit_nba.store.database import Database
from bandit_nba.store.dump import Progress, TableDump
from bandit_nba.workspace.open import ARCHIVE_FOLDER, DATABASE_FILE, Workspace
from bandit_nba.workspace.salts import SECRETS_FILE, Secrets

FORMAT = 1
MANIFEST = "manifest.json"
TABLES, FILES = "tables", "files"
_LEFT_OUT = ("secrets", "logs", "training", ".git")
_DATA = DATABASE_FILE.parent
_MOST_OF_SECRETS = 1_000_000  # bytes; larger files are no settings


class BackupFile(msgspec.Struct, frozen=True, kw_only=True):
    """One file of the backup. path: below the backup's directory, with slashes."""

    path: str
    bytes: int
    sha256: str


class BackupManifest(msgspec.Struct, frozen=True, kw_only=True):
    """What a backup holds. at: of its snapshot, seconds since the epoch. revision: of the store's schema.

    secrets: SHA-256 of the salts and the key of pseudonyms that belong to it.
    """

    format: int = FORMAT
    at: float
    revision: str
    tables: tuple[TableDump, ...]
    files: tuple[BackupFile, ...]
    secrets: str

    @property
    def rows(self) -> int:
        """Of all tables."""
        return sum(table.rows for table in self.tables)


def back_up(
    workspace: Workspace,
    target: Path,
    *,
    salts: Path | None = None,
    progress: Progress = lambda _table, _rows: None,
    clock: Callable[[], float] = time.time,
) -> BackupManifest:
    """Back up a workspace, also while it serves, into a new directory.

    salts: a new file for the secrets, apart from the backup; None leaves them out.

    Raises
    ------
    InputError
        If `target` is there already, it or `salts` lies where it must not, or a file to back up holds a secret.
    StoreError
        If the store cannot be read, or the backup cannot be written. Nothing is left at `target` then.
    """
    target = target.expanduser().absolute()
    _check_places(workspace, target, salts)
    part = target.with_name(f".{target.name}.{uuid.uuid4().hex[:8]}.part")
    try:
        _check_no_secrets(workspace)
        manifest = _write(workspace, part, progress, clock)
        if salts is not None:
            _keep_apart(workspace, salts)
        part.rename(target)
        to_disk(target.parent)
    except OSError as error:
        raise StoreError(f"the backup cannot be written ({error})", where=str(target)) from error
    finally:
        shutil.rmtree(part, ignore_errors=True)
    return manifest


def fingerprint(secrets: Secrets) -> str:
    """SHA-256 over all keys: tells whether secrets belong to a backup, and nothing about them."""
    digest = hashlib.sha256(secrets.pseudonym_key)
    for name, salt in sorted(secrets.salts.items()):
        digest.update(name.encode() + b"\0" + salt.key)
    return digest.hexdigest()


def sha256_of(path: Path) -> str:
    """Of a file's content, in hex."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def to_disk(path: Path) -> None:
    """Wait until a file, or a directory's list of names, is on the disk."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _write(workspace: Workspace, part: Path, progress: Progress, clock: Callable[[], float]) -> BackupManifest:
    (part / TABLES).mkdir(parents=True, mode=0o700)
    database = Database.open(workspace.database_url, create=False)
    try:
        with database.read() as connection:  # first the store: what is archived meanwhile is then in both
            revision = schema.revision(connection)
            at = clock()
            tables = dump.dump(connection, part / TABLES, progress)
    finally:
        database.close()
    _copy_files(workspace, part / FILES)
    paths = sorted(path for path in part.rglob("*") if path.is_file())
    for path in (*paths, *(folder for folder in part.rglob("*") if folder.is_dir())):
        to_disk(path)
    manifest = BackupManifest(
        at=at,
        revision=str(revision),
        tables=tuple(tables),
        files=tuple(
            BackupFile(path=path.relative_to(part).as_posix(), bytes=path.stat().st_size, sha256=sha256_of(path))
            for path in paths
        ),
        secrets=fingerprint(workspace.secrets),
    )
    content = msgspec.json.format(msgspec.json.encode(manifest), indent=2)
    (part / MANIFEST).write_bytes(content)
    (part / f"{MANIFEST}.sha256").write_text(f"{hashlib.sha256(content).hexdigest()}  {MANIFEST}\n")
    for name in (MANIFEST, f"{MANIFEST}.sha256", "."):
        to_disk(part / name)
    return manifest


def _copy_files(workspace: Workspace, folder: Path) -> None:
    """All of the workspace that is neither store nor secret nor log nor unfinished; of the archive whole days alone."""
    for path in sorted(_own_files(workspace.path, top=workspace.path)):
        copy = folder / path.relative_to(workspace.path)
        if path.is_dir():
            copy_day(path, copy)
            continue
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, copy)


def _own_files(folder: Path, *, top: Path) -> Iterator[Path]:
    """Files, and a folder for each day of the archive, whose files belong together."""
    for path in folder.iterdir():
        place = path.relative_to(top)
        if path.is_symlink() or place.parts[0] in _LEFT_OUT:
            continue
        if path.is_dir():
            if place.parent == ARCHIVE_FOLDER:
                yield path
            else:
                yield from _own_files(path, top=top)
        elif path.is_file() and not _of_store(place):
            yield path


def _of_store(place: Path) -> bool:
    """A database's file, or what lies beside it, in the workspace or its folder of data; ledgers are none."""
    return ".db" in place.suffixes if len(place.parts) == 1 else place.parent == _DATA and place.suffix != ".jsonl"


def _check_places(workspace: Workspace, target: Path, salts: Path | None) -> None:
    if target.exists():
        raise InputError("is there already; nothing is overwritten", where=str(target), hint="name a new directory")
    if not target.parent.is_dir():
        raise InputError("there is no such directory", where=str(target.parent))
    if target.resolve().is_relative_to(workspace.path.resolve()):
        raise InputError(
            "a backup cannot lie in its own workspace",
            where=str(target),
            hint="best on another machine",
        )
    if salts is None:
        return
    apart = salts.expanduser().absolute()
    if apart.resolve().is_relative_to(target.resolve()):
        raise InputError("the secrets must lie apart from the backup", where=str(salts))
    if apart.resolve().is_relative_to(workspace.path.resolve()):
        raise InputError(
            "the secrets must lie apart from the workspace", where=str(salts), hint="the next backup would hold them"
        )
    if apart.exists():
        same = apart.is_file() and apart.read_bytes() == (workspace.path / SECRETS_FILE).read_bytes()
        if not same:
            raise InputError("is there already, with other content; nothing is overwritten", where=str(salts))


def _check_no_secrets(workspace: Workspace) -> None:
    """Refuse to back up a copy of the secrets that somebody laid beside the settings."""
    secrets = workspace.secrets
    keys = [secrets.pseudonym_key, *(salt.key for salt in secrets.salts.values())]
    words = [key.hex().encode() for key in keys]
    for path in _own_files(workspace.path, top=workspace.path):
        if path.is_file() and path.stat().st_size <= _MOST_OF_SECRETS:
            content = path.read_bytes()
            if any(word in content for word in words):
                raise InputError(
                    "holds a secret of this workspace, and a backup must not",
                    where=str(path),
                    hint=f"take it out of the workspace; {SECRETS_FILE} is its place",
                )


def _keep_apart(workspace: Workspace, salts: Path) -> None:
    """The secrets in a file of the owner's alone."""
    apart = salts.expanduser().absolute()
    if apart.exists():
        return
    handle = os.open(apart, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(handle, "wb") as file:
        file.write((workspace.path / SECRETS_FILE).read_bytes())
        file.flush()
        os.fsync(file.fileno())
