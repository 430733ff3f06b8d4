"""Many ids in one buffer: a sequence of strings without a Python object for each."""

from collections.abc import Iterable, Iterator, Sequence
from typing import overload

import numpy as np
import numpy.typing as npt

from bandit_nba.decide.columns import Ints, gathered_cells


class Ids(Sequence[str]):
    """N strings in UTF-8: string i is `text[offsets[i]:offsets[i+1]]`. Slices share the buffer."""

    def __init__(self, text: npt.NDArray[np.uint8], offsets: Ints) -> None:
        self._text = text
        self._offsets = offsets

    @classmethod
    def of(cls, ids: Iterable[str]) -> "Ids":
        """The same strings, in their order."""
        encoded = [identifier.encode("utf-8", "surrogatepass") for identifier in ids]
        offsets = np.zeros(len(encoded) + 1, dtype=np.int64)
        np.cumsum([len(part) for part in encoded], out=offsets[1:])
        return cls(np.frombuffer(b"".join(encoded), dtype=np.uint8), offsets)

    @classmethod
    def joined(cls, parts: Sequence["Ids"]) -> "Ids":
        """The strings of all parts, one after the other."""
        texts = [part._text[part._offsets[0] : part._offsets[-1]] for part in parts]
        lengths = [np.diff(part._offsets) for part in parts]
        offsets = np.zeros(sum(map(len, lengths)) + 1, dtype=np.int64)
        np.cumsum(np.concatenate([*lengths, np.zeros(0, dtype=np.int64)]), out=offsets[1:])
        return cls(np.concatenate([*texts, np.zeros(0, dtype=np.uint8)]), offsets)

    def at(self, rows: Ints) -> "Ids":
        """The strings named, in that order."""
        offsets, places = gathered_cells(self._offsets, rows)
        return Ids(self._text[places], offsets)

    def __len__(self) -> int:
        return len(self._offsets) - 1

    @overload
    def __getitem__(self, index: int) -> str: ...
    @overload
    def __getitem__(self, index: slice) -> "Ids": ...
    def __getitem__(self, index: int | slice) -> "str | Ids":
        if not isinstance(index, slice):
            i = range(len(self))[index]
            return self._text[self._offsets[i] : self._offsets[i + 1]].tobytes().decode("utf-8", "surrogatepass")
        first, last, step = index.indices(len(self))
        if step != 1:
            return self.at(np.arange(first, last, step, dtype=np.int64))
        return Ids(self._text, self._offsets[first : max(first, last) + 1])

    def __iter__(self) -> Iterator[str]:
        for i in range(len(self)):
            yield self[i]

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Sequence) and list(self) == list(other)

    def __hash__(self) -> int:
        return hash((len(self), self._text.tobytes()))
