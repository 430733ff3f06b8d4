"""Several byte strings as one: a model and the members of its ensemble. One alone is left as it is.

Format, little-endian: 8 bytes "NBAPRTS1"; number of parts n, uint32; n lengths, uint64; the parts one after the other.
"""

import struct
from collections.abc import Sequence

from bandit_nba.errors import ModelError

MAGIC = b"NBAPRTS1"
MOST = 1_000


def joined(parts: Sequence[bytes]) -> bytes:
    """All parts in one."""
    if len(parts) == 1:
        return parts[0]
    return MAGIC + struct.pack(f"<I{len(parts)}Q", len(parts), *map(len, parts)) + b"".join(parts)


def taken_apart(data: bytes, count: int) -> list[bytes]:
    """The parts again.

    Raises
    ------
    ModelError
        If they are not `count`, or a byte is missing or left over.
    """
    if count == 1:
        return [data]
    head = len(MAGIC) + 4
    if len(data) < head or not data.startswith(MAGIC):
        raise ModelError("holds no ensemble", allowed=f"{count} parts")
    (found,) = struct.unpack_from("<I", data, len(MAGIC))
    if found != count or count > MOST or len(data) < head + 8 * count:
        raise ModelError("has another number of parts", got=found, allowed=str(count))
    lengths = struct.unpack_from(f"<{count}Q", data, head)
    at = head + 8 * count
    if at + sum(lengths) != len(data):
        raise ModelError("parts are cut or too long", got=len(data), allowed=f"{at + sum(lengths)} bytes")
    parts = []
    for length in lengths:
        parts.append(data[at : at + length])
        at += length
    return parts
