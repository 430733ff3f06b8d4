"""The weights of a model that are not zero: what replicas load instead of Vowpal Wabbit's own bytes.

File format, little-endian: 8 bytes "NBAWTS1\\n"; bits, uint32; reserved zero, uint32; number of weights n, uint64; n
indices, uint32, increasing; n values, float32, finite; SHA-256 over all that comes before, 32 bytes.
"""

import hashlib
import struct
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from bandit_nba.errors import ModelError

MAGIC = b"NBAWTS1\n"
MOST_BITS = 28

_HEADER = struct.Struct("<8sIIQ")
_DIGEST = 32
_BLOCK = 1 << 20  # slots hashed at a time: four megabytes


@dataclass(frozen=True)
class SparseWeights:
    """Weights of a model with 2^bits slots; slots that are not named are zero.

    indices: uint32 (n,), increasing, below 2^bits. values: float32 (n,), finite.

    Raises
    ------
    ModelError
        If the arrays are not that.
    """

    bits: int
    indices: npt.NDArray[np.uint32]
    values: npt.NDArray[np.float32]

    def __post_init__(self) -> None:
        if not 1 <= self.bits <= MOST_BITS:
            raise ModelError("has an impossible width", got=self.bits, allowed=f"1 to {MOST_BITS} bits")
        if self.indices.shape != self.values.shape or self.indices.ndim != 1:
            raise ModelError("has another number of indices than of weights", got=self.indices.shape)
        if self.indices.dtype != np.uint32 or self.values.dtype != np.float32:
            raise ModelError("has numbers of another width", got=f"{self.indices.dtype}, {self.values.dtype}")
        if len(self.indices) and (self.indices[-1] >> self.bits or (self.indices[1:] <= self.indices[:-1]).any()):
            raise ModelError("has indices out of order or range")
        if not np.isfinite(self.values).all():
            raise ModelError("has weights that are not finite", hint="the checkpoint before it is sound")

    @classmethod
    def of(cls, slots: npt.NDArray[np.float32]) -> "SparseWeights":
        """From all 2^bits weights; a negative zero is kept, so that `sha256` is that of the slots."""
        indices = np.flatnonzero(slots.view(np.uint32))
        return cls(bits=len(slots).bit_length() - 1, indices=indices.astype(np.uint32), values=slots[indices])

    def to_bytes(self) -> bytes:
        """The file format above; equal weights give equal bytes."""
        body = b"".join(
            (
                _HEADER.pack(MAGIC, self.bits, 0, len(self.indices)),
                self.indices.astype("<u4").tobytes(),
                self.values.astype("<f4").tobytes(),
            )
        )
        return body + hashlib.sha256(body).digest()

    @classmethod
    def from_bytes(cls, data: bytes) -> "SparseWeights":
        """Weights from the file format above.

        Raises
        ------
        ModelError
            If a byte is missing, added or changed.
        """
        if len(data) < _HEADER.size + _DIGEST or not data.startswith(MAGIC):
            raise ModelError("are no sparse weights", got=len(data), allowed="a file that begins with NBAWTS1")
        _, bits, _, count = _HEADER.unpack_from(data)
        length = _HEADER.size + 8 * count + _DIGEST
        if len(data) != length:
            raise ModelError("sparse weights are cut or too long", got=len(data), allowed=f"{length} bytes")
        if hashlib.sha256(memoryview(data)[:-_DIGEST]).digest() != data[-_DIGEST:]:
            raise ModelError("sparse weights are damaged: their checksum differs")
        indices = np.frombuffer(data, dtype="<u4", count=count, offset=_HEADER.size).astype(np.uint32)
        values = np.frombuffer(data, dtype="<f4", count=count, offset=_HEADER.size + 4 * count).astype(np.float32)
        return cls(bits=bits, indices=indices, values=values)

    def slots(self) -> npt.NDArray[np.float32]:
        """All 2^bits weights, float32."""
        slots = np.zeros(1 << self.bits, dtype=np.float32)
        slots[self.indices] = self.values
        return slots

    def sha256(self) -> str:
        """SHA-256 in hex over all 2^bits weights as little-endian float32: the model's identity."""
        digest = hashlib.sha256()
        size = min(_BLOCK, 1 << self.bits)
        starts = range(0, 1 << self.bits, size)
        edges = np.searchsorted(self.indices, [*starts, 1 << self.bits])
        for start, low, high in zip(starts, edges, edges[1:], strict=False):
            block = np.zeros(size, dtype="<f4")
            block[self.indices[low:high].astype(np.int64) - start] = self.values[low:high]
            digest.update(block.tobytes())
        return digest.hexdigest()
