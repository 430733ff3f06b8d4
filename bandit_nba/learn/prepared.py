"""A batch as far as it can be made ready before a regressor sees it, and as bytes for another process.

Format, little-endian: length of the head, uint64; the head, JSON; the arrays one after the other, each begun at a
multiple of 8 bytes. For hand-over within one run on one machine, never for keeping.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt

from bandit_nba.decide.columns import Floats
from bandit_nba.decide.scoring import FeatureRows
from bandit_nba.errors import StoreError
from bandit_nba.learn.examples import ROW_ERRORS, ExampleMaker, Examples
from bandit_nba.learn.log import LoggedBatch

_WORD = 8


@dataclass(frozen=True)
class Prepared:
    """N decisions that have facts, in learning order, as examples; and what a manifest tells of them.

    decided_at: float64 (N,). arms: the chosen arms' ids. inline: whether each came with its request; empty for none.
    """

    examples: Sequence[Examples]
    decided_at: Floats
    arms: Sequence[str]
    inline: Sequence[bool] = ()


def prepared(maker: ExampleMaker, batch: LoggedBatch) -> Prepared | None:
    """The batch without decisions whose facts were erased; None if one row cannot be made ready (see `careful`).

    Raises
    ------
    StoreError
        If a catalogue cannot be read.
    """
    batch = batch.with_facts()
    try:
        examples = list(maker.examples(batch))
    except StoreError:
        raise
    except ROW_ERRORS:
        return None
    inline = [one is not None for one in batch.inline] if any(batch.inline) else []
    return Prepared(examples=examples, decided_at=batch.windows.opens_at, arms=batch.arms, inline=inline)


class _Terms(msgspec.Struct, frozen=True, array_like=True):
    """What of `FeatureRows` is text, and the lengths of its arrays."""

    letters: str
    names: tuple[str, ...]
    sizes: tuple[int, int, int, int]


class _Part(msgspec.Struct, frozen=True, array_like=True):
    contexts: _Terms
    arms: _Terms
    ids: tuple[str, ...]


class _Head(msgspec.Struct, frozen=True, array_like=True):
    parts: tuple[_Part, ...]
    arms: tuple[str, ...]
    inline: tuple[bool, ...]


_ENCODER = msgspec.json.Encoder()
_DECODER = msgspec.json.Decoder(_Head)


def to_bytes(made: Prepared) -> bytes:
    """All of it; raises `UnicodeError` where a name is half a surrogate pair, which JSON in UTF-8 cannot say."""
    parts = tuple(_Part(_terms(one.contexts), _terms(one.arms), tuple(one.ids)) for one in made.examples)
    head = _ENCODER.encode(_Head(parts, tuple(made.arms), tuple(made.inline)))
    chunks: list[bytes] = [len(head).to_bytes(_WORD, "little"), head, _padding(len(head))]
    for array in _arrays(made):
        content = array.tobytes()
        chunks += (content, _padding(len(content)))
    return b"".join(chunks)


def from_bytes(content: bytes) -> Prepared:
    """What `to_bytes` was given: equal arrays of equal types; they are views, not to be written to."""
    length = int.from_bytes(content[:_WORD], "little")
    head = _DECODER.decode(memoryview(content)[_WORD : _WORD + length])
    read = _Reader(content, _WORD + length)
    examples = []
    for part in head.parts:
        contexts, arms = read.rows(part.contexts), read.rows(part.arms)
        size = len(part.ids)
        chosen, reward = read.array(np.int64, size), read.array(np.float64, size)
        examples.append(Examples(contexts=contexts, arms=arms, chosen=chosen, reward=reward, ids=part.ids))
    decided_at = read.array(np.float64, len(head.arms))
    return Prepared(examples=examples, decided_at=decided_at, arms=head.arms, inline=head.inline)


def _terms(rows: FeatureRows) -> _Terms:
    return _Terms(rows.namespaces, rows.names, (len(rows.indptr), len(rows.terms), len(rows.values), len(rows.hashes)))


def _arrays(made: Prepared) -> Iterator[npt.NDArray[Any]]:
    """In the order in which they are read again."""
    for one in made.examples:
        for rows in (one.contexts, one.arms):
            yield rows.indptr.astype(np.int64, copy=False)
            yield rows.terms.astype(np.int64, copy=False)
            yield rows.values.astype(np.float64, copy=False)
            yield rows.hashes.astype(np.uint32, copy=False)
        yield one.chosen.astype(np.int64, copy=False)
        yield one.reward.astype(np.float64, copy=False)
    yield made.decided_at.astype(np.float64, copy=False)


class _Reader:
    def __init__(self, content: bytes, at: int) -> None:
        self._content = content
        self._at = at

    def array(self, kind: type, size: int) -> npt.NDArray[Any]:
        self._at += -self._at % _WORD
        found: npt.NDArray[Any] = np.frombuffer(self._content, dtype=kind, count=size, offset=self._at)
        self._at += found.nbytes
        return found

    def rows(self, terms: _Terms) -> FeatureRows:
        indptr, flat, values, hashes = terms.sizes
        return FeatureRows(
            indptr=self.array(np.int64, indptr),
            terms=self.array(np.int64, flat),
            values=self.array(np.float64, values),
            hashes=self.array(np.uint32, hashes),
            namespaces=terms.letters,
            names=terms.names,
        )


def _padding(length: int) -> bytes:
    return bytes(-length % _WORD)
