"""A workspace from its backup: everything is verified before anything is written, and all of it appears or nothing.

The directory is made beside its place and renamed when it is whole, and the store is filled in one transaction, which
ends only when its tables read as they were dumped, row for row. What stood at the place before is kept beside it.
"""

import hashlib
import os
import re
import shutil
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import msgspec
import sqlalchemy as sa

from bandit_nba.errors import InputError, StoreError
from bandit_nba.settings import load
from bandit_nba.store import dump, schema
from bandit_nba.store.database import Database, parsed_url, sqlite_url
from bandit_nba.store.dump import Progress
from bandit_nba.workspace.backup import (
    FILES,
    FORMAT,
    MANIFEST,
    TABLES,
    BackupManifest,
    fingerprint,
    sha256_of,
    to_disk,
)
from bandit_nba.workspace.open import DATABASE_FILE, DATABASE_VARIABLE
from bandit_nba.workspace.salts import SECRETS_FILE, load_secrets
from bandit_nba.workspace.service import Service

_DATABASE_LINE = re.compile(r"^[ \t]*database[ \t]*=.*$", re.MULTILINE)


@dataclass(frozen=True)
class Restored:
    """What was restored. store: where it lies. replaced: where the directory that was there before is now."""

    manifest: BackupManifest
    store: str
    has_secrets: bool
    replaced: Path | None = None


def verify(backup: Path) -> BackupManifest:
    """The backup's manifest, once the manifest and every file that it names are what was written.

    Raises
    ------
    StoreError
        With the first file that is missing, cut, changed, or that the manifest does not name.
    """
    manifest = _manifest(backup)
    for one in manifest.files:
        path = backup / one.path
        if ".." in Path(one.path).parts or Path(one.path).is_absolute():
            raise StoreError("the backup's manifest names a file outside of it", where=one.path)
        if not path.is_file():
            raise StoreError("the backup is not whole: a file is missing", where=one.path)
        size = path.stat().st_size
        if size != one.bytes:
            raise StoreError(
                "the backup is damaged: cut or too long",
                where=one.path,
                got=size,
                allowed=f"{one.bytes} bytes",
            )
        if sha256_of(path) != one.sha256:
            raise StoreError("the backup is damaged: SHA-256 differs", where=one.path)
    named = {one.path for one in manifest.files}
    for path in sorted(backup.rglob("*")):
        name = path.relative_to(backup).as_posix()
        if path.is_symlink() or not (path.is_dir() or name in named or name in (MANIFEST, f"{MANIFEST}.sha256")):
            raise StoreError("the backup holds what its manifest does not name", where=name, hint="take it out")
    for table in manifest.tables:
        if f"{TABLES}/{table.name}.parquet" not in named:
            raise StoreError("the backup is not whole: a table has no file", where=table.name)
    return manifest


def restore(
    backup: Path,
    directory: Path,
    *,
    salts: Path | None = None,
    database: str | None = None,
    force: bool = False,
    progress: Progress = lambda _table, _rows: None,
    clock: Callable[[], float] = time.time,
) -> Restored:
    """Make a workspace of a backup.

    salts: the secrets that were kept apart; without them the workspace cannot be opened. database: URL of an empty
    database for the store, "" for the workspace's own file; None for what service.toml says. force: put aside what
    stands at `directory`.

    Raises
    ------
    InputError
        If `directory` is not empty and `force` is not given, or the secrets are not those of this backup.
    StoreError
        If the backup is damaged or not whole, or the store cannot be made. Nothing has changed then.
    """
    directory = directory.expanduser().absolute()
    manifest = verify(backup)
    schema.check_known(manifest.revision, where=str(backup))
    _check_place(directory, force=force)
    part = directory.with_name(f".{directory.name}.{uuid.uuid4().hex[:8]}.part")
    try:
        shutil.copytree(backup / FILES, part)
        part.chmod(0o700)
        if salts is not None:
            _put_secrets(part, salts, manifest)
        url = _database(part, database)
        _fill(url or sqlite_url(part / DATABASE_FILE), backup, manifest, progress)
        replaced = _put_in_place(part, directory, clock)
    except OSError as error:
        raise StoreError(f"the workspace cannot be written ({error})", where=str(directory)) from error
    finally:
        shutil.rmtree(part, ignore_errors=True)
    where = sa.make_url(url).render_as_string(hide_password=True) if url else str(directory / DATABASE_FILE)
    return Restored(manifest=manifest, store=where, has_secrets=salts is not None, replaced=replaced)


def _manifest(backup: Path) -> BackupManifest:
    path = backup / MANIFEST
    if not path.is_file():
        raise StoreError("is no backup: it has no manifest", where=str(path))
    content = path.read_bytes()
    confirmed = backup / f"{MANIFEST}.sha256"
    if not confirmed.is_file():
        raise StoreError("the backup is not whole: a file is missing", where=confirmed.name)
    if confirmed.read_bytes().split()[:1] != [hashlib.sha256(content).hexdigest().encode()]:
        raise StoreError("the backup is damaged: SHA-256 differs", where=MANIFEST)
    try:
        manifest = msgspec.json.decode(content, type=BackupManifest)
    except msgspec.DecodeError as error:
        raise StoreError(f"the backup's manifest cannot be read ({error})", where=MANIFEST) from None
    if manifest.format != FORMAT:
        raise StoreError(
            "the backup has another format", where=MANIFEST, got=manifest.format, allowed=f"format {FORMAT}"
        )
    return manifest


def _check_place(directory: Path, *, force: bool) -> None:
    if directory.exists() and not directory.is_dir():
        raise InputError("is a file, not a directory", where=str(directory))
    if directory.is_dir() and any(directory.iterdir()) and not force:
        raise InputError(
            "is not empty; nothing was restored",
            where=str(directory),
            hint="name a new directory, or stop its service and say --force: what is there is put aside",
        )


def _put_secrets(part: Path, salts: Path, manifest: BackupManifest) -> None:
    target = part / SECRETS_FILE
    target.parent.mkdir(mode=0o700, parents=True)
    handle = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(handle, "wb") as file:
        file.write(salts.expanduser().read_bytes())
        file.flush()
        os.fsync(file.fileno())
    if fingerprint(load_secrets(part)) != manifest.secrets:
        raise InputError(
            "are not the secrets of this backup",
            where=str(salts),
            hint="a salt that was added or taken out since counts, too; take the file that was kept with this backup",
        )


def _database(part: Path, wanted: str | None) -> str:
    """The store's URL, "" for the workspace's own file; service.toml names what was `wanted`."""
    service = part / "service.toml"
    if wanted is None:
        return os.environ.get(DATABASE_VARIABLE) or load(service, Service).database
    if wanted and parsed_url(wanted).password:
        raise InputError(
            "a password does not belong into service.toml",
            where="--database",
            hint=f"give the whole URL in the environment variable {DATABASE_VARIABLE} instead",
        )
    text = service.read_text(encoding="utf-8")
    line = f"database = {msgspec.json.encode(wanted).decode()}"
    replaced, found = _DATABASE_LINE.subn(lambda _: line, text, count=1)
    service.write_text(replaced if found else f"{line}\n{text}", encoding="utf-8")
    load(service, Service)
    return wanted


def _fill(url: str, backup: Path, manifest: BackupManifest, progress: Progress) -> None:
    database = Database.unchecked(url, create=True)
    try:
        with database.write() as connection:
            schema.lock(connection)
            dump.load(
                connection,
                backup / TABLES,
                list(manifest.tables),
                revision=manifest.revision,
                progress=progress,
            )
    finally:
        database.close()
    Database.open(url, create=False).close()


def _put_in_place(part: Path, directory: Path, clock: Callable[[], float]) -> Path | None:
    for path in part.rglob("*"):
        to_disk(path)
    aside = None
    if directory.exists() and any(directory.iterdir()):
        moment = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime(clock()))
        aside = directory.with_name(f"{directory.name}.before-{moment}")
        directory.rename(aside)
    elif directory.exists():
        directory.rmdir()
    part.rename(directory)
    to_disk(directory.parent)
    return aside
