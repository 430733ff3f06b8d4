"""Customer keys: what stands for a customer everywhere inside, so that the raw id is never stored or logged."""

import hashlib

from bandit_nba.errors import InputError

MAX_ID = 1_024


def pseudonym(key: bytes, raw_id: str) -> str:
    """32 hex digits of BLAKE2b keyed with the workspace's secret (RFC 7693); "" stays "", the anonymous customer.

    Without the key nobody can tell whose data it is, nor try out ids.

    Raises
    ------
    InputError
        If the id is longer than 1,024 characters or no valid Unicode; the message does not show it.
    """
    if raw_id == "":
        return ""
    if len(raw_id) > MAX_ID:
        raise InputError("customer id too long", got=len(raw_id), allowed=f"at most {MAX_ID} characters")
    try:
        data = raw_id.encode()
    except UnicodeEncodeError:
        raise InputError("customer id is not valid Unicode", allowed="text without lone surrogates") from None
    return hashlib.blake2b(data, key=key, digest_size=16).hexdigest()
