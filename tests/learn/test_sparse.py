"""The file format of sparse weights: exact, and refused at the first wrong byte."""

import hashlib

import numpy as np
import pytest

from bandit_nba.errors import ModelError
from bandit_nba.learn.sparse import SparseWeights


def slots(seed: int, bits: int, *, share: float) -> np.ndarray:  # type: ignore[type-arg] # float32
    rng = np.random.default_rng(seed)
    return np.where(rng.random(1 << bits) < share, rng.normal(size=1 << bits), 0.0).astype(np.float32)


@pytest.mark.parametrize(("bits", "share"), [(1, 1.0), (10, 0.0), (10, 0.3), (16, 1.0), (21, 0.01)])
def test_round_trip(bits: int, share: float) -> None:
    dense = slots(bits, bits, share=share)
    weights = SparseWeights.of(dense)
    again = SparseWeights.from_bytes(weights.to_bytes())

    assert again.slots().tobytes() == dense.tobytes()
    assert again.to_bytes() == weights.to_bytes()
    assert weights.sha256() == again.sha256() == hashlib.sha256(dense.astype("<f4").tobytes()).hexdigest()


def test_a_negative_zero_counts_in_the_checksum() -> None:
    dense = np.zeros(16, dtype=np.float32)
    dense[3] = -0.0

    assert SparseWeights.of(dense).sha256() == hashlib.sha256(dense.tobytes()).hexdigest()


def test_the_format_by_hand() -> None:
    dense = np.zeros(1024, dtype=np.float32)
    dense[[5, 700]] = 1.0, -2.0
    body = b"NBAWTS1\n" + bytes([10, 0, 0, 0, 0, 0, 0, 0]) + bytes([2, 0, 0, 0, 0, 0, 0, 0])
    body += (5).to_bytes(4, "little") + (700).to_bytes(4, "little") + b"\x00\x00\x80\x3f" + b"\x00\x00\x00\xc0"

    assert SparseWeights.of(dense).to_bytes() == body + hashlib.sha256(body).digest()


def test_every_cut_and_every_flipped_bit_is_refused() -> None:
    data = SparseWeights.of(slots(1, 10, share=0.02)).to_bytes()
    for length in range(len(data)):
        with pytest.raises(ModelError):
            SparseWeights.from_bytes(data[:length])
    for bit in range(8 * len(data)):
        flipped = bytearray(data)
        flipped[bit // 8] ^= 1 << bit % 8
        with pytest.raises(ModelError):
            SparseWeights.from_bytes(bytes(flipped))
    with pytest.raises(ModelError):
        SparseWeights.from_bytes(data + b"\x00")


def test_a_count_beyond_all_memory_is_refused_before_it_is_read() -> None:
    data = bytearray(SparseWeights.of(slots(1, 10, share=0.02)).to_bytes())
    data[16:24] = b"\xff" * 8

    with pytest.raises(ModelError, match="cut or too long"):
        SparseWeights.from_bytes(bytes(data))


@pytest.mark.parametrize(
    ("bits", "indices", "values"),
    [
        (10, [1, 1], [1.0, 1.0]),
        (10, [2, 1], [1.0, 1.0]),
        (10, [1024], [1.0]),
        (10, [1, 2], [1.0]),
        (10, [1], [np.nan]),
        (10, [1], [np.inf]),
        (0, [0], [1.0]),
        (29, [0], [1.0]),
    ],
)
def test_impossible_weights_are_refused(bits: int, indices: list[int], values: list[float]) -> None:
    index, value = np.array(indices, dtype=np.uint32), np.array(values, dtype=np.float32)
    body = b"NBAWTS1\n" + bits.to_bytes(8, "little") + len(indices).to_bytes(8, "little")
    body += index.tobytes() + value.tobytes()

    with pytest.raises(ModelError):
        SparseWeights(bits=bits, indices=index, values=value)
    with pytest.raises(ModelError):
        SparseWeights.from_bytes(body + hashlib.sha256(body).digest())


def test_weights_of_another_kind_are_refused() -> None:
    with pytest.raises(ModelError):
        SparseWeights(bits=10, indices=np.array([1]), values=np.array([1.0], dtype=np.float32))  # type: ignore[arg-type]
    with pytest.raises(ModelError):
        SparseWeights.of(np.array([0.0, np.nan], dtype=np.float32))
