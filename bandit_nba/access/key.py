"""API keys `nba_<id>_<secret>`: made once, shown once, and kept only as a digest.

The secret has 256 random bits, so a plain SHA-256 of it can neither be guessed nor reversed; a slow password hash
would only cost time on every request. The id is no secret: it names the key in lists, logs and the audit log.
"""

import base64
import binascii
import hashlib
import hmac
import secrets
from dataclasses import dataclass, field

PREFIX = "nba"
SECRET_BYTES = 32
ID_BYTES = 6
_SECRET_CHARACTERS = 43  # of 32 bytes in base64 without padding
_ID_CHARACTERS = 2 * ID_BYTES
_LONGEST = len(PREFIX) + 2 + _ID_CHARACTERS + _SECRET_CHARACTERS

_NOBODY = hashlib.sha256(secrets.token_bytes(SECRET_BYTES)).digest()


@dataclass(frozen=True)
class Key:
    """A whole key, as only its owner has it; never shown when printed."""

    id: str
    secret: bytes = field(repr=False)

    @property
    def text(self) -> str:
        """As it is sent."""
        return f"{PREFIX}_{self.id}_{base64.urlsafe_b64encode(self.secret).rstrip(b'=').decode()}"

    @property
    def digest(self) -> bytes:
        """What the store keeps: the SHA-256 of the secret."""
        return hashlib.sha256(self.secret).digest()


def new_key() -> Key:
    """A key that nobody has."""
    return Key(secrets.token_hex(ID_BYTES), secrets.token_bytes(SECRET_BYTES))


def parsed(text: str) -> Key | None:
    """The key that `text` writes, None if it is none. Each key has one spelling."""
    if len(text) != _LONGEST or not text.isascii():
        return None
    prefix, _, rest = text.partition("_")
    identity, _, secret = rest.partition("_")
    if prefix != PREFIX or len(identity) != _ID_CHARACTERS or len(secret) != _SECRET_CHARACTERS:
        return None
    try:
        key = Key(identity, base64.b64decode(secret + "=", altchars=b"-_", validate=True))
    except binascii.Error:
        return None
    return key if key.text == text else None


def fits(key: Key, digest: bytes | None) -> bool:
    """Whether the secret is the one behind `digest`, in a time that does not tell how much of it fits.

    digest: None for an id that nobody has, which takes as long as any other.
    """
    same = hmac.compare_digest(key.digest, _NOBODY if digest is None else digest)
    return same and digest is not None
