"""The secrets of a workspace: salts that make draws repeatable, and the key that makes customer ids pseudonymous.

They live apart from the data (`DIR/secrets/salts.toml`, readable by the owner alone), so that neither the database nor
its backup tells who a customer is or what will be drawn next. No message ever shows a key.
"""

import os
import re
import secrets
import stat
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from bandit_nba.decide.choice.salt import Salt
from bandit_nba.errors import SettingsError
from bandit_nba.settings import Settings, load, nearest

SECRETS_FILE = Path("secrets") / "salts.toml"
_KEY = re.compile(r"(?:[0-9a-f]{2}){16,64}")
_SALT_ID = re.compile(r"[a-z0-9][a-z0-9-]{0,31}")

_TEMPLATE = """\
# The secrets of this workspace. Never share or commit them, and back them up apart from the data:
# without them no logged draw can be audited and no customer is recognised again.

# Makes customer ids pseudonymous. Never change it: every known customer would become a new one.
pseudonym_key = "{pseudonym_key}"

# Salts make each draw repeatable from its decision id. `current` is used for new decisions; the others stay, since the
# log names them. A new one is 64 hex digits: python3 -c "import secrets; print(secrets.token_hex(32))"
current = "s1"

[salts]
s1 = "{salt}"
"""


@dataclass(frozen=True)
class Secrets:
    """All salts by id, the one for new decisions, and the key of pseudonyms (see `customers.pseudonym`)."""

    salt: Salt
    salts: Mapping[str, Salt]
    pseudonym_key: bytes = field(repr=False)


class _SecretsFile(Settings, frozen=True, kw_only=True):
    pseudonym_key: str
    current: str
    salts: Mapping[str, str]


def create_secrets(directory: Path) -> Path:
    """Write fresh secrets into a workspace, for the owner's eyes alone; an existing file is never overwritten."""
    path = directory / SECRETS_FILE
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    text = _TEMPLATE.format(pseudonym_key=secrets.token_hex(32), salt=secrets.token_hex(32))
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(handle, "w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    return path


def load_secrets(directory: Path) -> Secrets:
    """Read a workspace's secrets.

    Raises
    ------
    SettingsError
        Where the file is missing, readable by others, or holds something else than salts; keys are never shown.
    """
    path = directory / SECRETS_FILE
    if not path.exists():
        raise SettingsError(
            "the workspace has no secrets",
            where=str(path),
            hint="restore the file from its backup; `nba init DIR` writes one only into a new workspace",
        )
    mode = stat.S_IMODE(path.stat().st_mode)
    if os.name == "posix" and mode & 0o077:
        raise SettingsError(
            "others than the owner may read or write the secrets",
            where=str(path),
            got=f"mode {mode:04o}",
            allowed="mode 0600 or 0400",
            hint=f"chmod 600 {path}",
        )
    try:
        content = load(path, _SecretsFile)
    except SettingsError as error:
        raise SettingsError(error.what, where=error.where, allowed=error.allowed) from None  # without the value got
    return _checked(content, path.name)


def _checked(content: _SecretsFile, where: str) -> Secrets:
    salts = {name: Salt(id=name, key=_key(text, f"{where}: salts.{name}")) for name, text in content.salts.items()}
    for name in salts:
        if not _SALT_ID.fullmatch(name):
            raise SettingsError(
                "is not a salt id",
                where=f"{where}: salts",
                got=name,
                allowed="lower-case letters, digits and -, at most 32 characters",
            )
    if content.current not in salts:
        raise SettingsError(
            "no such salt", where=f"{where}: current", got=content.current, hint=nearest(content.current, salts)
        )
    pseudonym_key = _key(content.pseudonym_key, f"{where}: pseudonym_key")
    return Secrets(salt=salts[content.current], salts=salts, pseudonym_key=pseudonym_key)


def _key(text: str, place: str) -> bytes:
    if not _KEY.fullmatch(text):
        raise SettingsError("is not a key", where=place, got=f"{len(text)} characters", allowed="32 to 128 hex digits")
    return bytes.fromhex(text)
