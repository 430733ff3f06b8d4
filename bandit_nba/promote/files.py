"""The policy file of a workspace, replaced whole or not at all, with the old one kept."""

import os
import tempfile
from pathlib import Path

from bandit_nba.errors import StoreError

POLICY = "policy.toml"
KEPT = "policies"


def install(workspace: Path, content: bytes, *, old_version: str) -> Path:
    """Put a policy file in the place of today's and return where that one is kept: policies/VERSION.toml.

    The kept file is written first and never overwritten with another content; the new one takes the place in one step,
    so that a crash leaves either the old file or the new one.

    Raises
    ------
    StoreError
        If a file cannot be written; the policy in force is unchanged then.
    """
    current = workspace / POLICY
    try:
        kept = keep(workspace, current.read_bytes(), version=old_version)
        _replace(current, content)
    except OSError as error:
        raise StoreError(f"cannot be written ({error.strerror or error})", where=str(current)) from None
    return kept


def keep(workspace: Path, content: bytes, *, version: str) -> Path:
    """Keep a policy file under its version; equal content is kept once, comments and all."""
    folder = workspace / KEPT
    folder.mkdir(exist_ok=True)
    for path in (folder / f"{version}{suffix}.toml" for suffix in ("", *(f"-{n}" for n in range(2, 1_000)))):
        if not path.exists():
            _replace(path, content)
            return path
        if path.read_bytes() == content:
            return path
    raise StoreError("too many files of one version", where=str(folder), got=version)


def _replace(path: Path, content: bytes) -> None:
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        Path(name).chmod(path.stat().st_mode & 0o777 if path.exists() else 0o644)
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
