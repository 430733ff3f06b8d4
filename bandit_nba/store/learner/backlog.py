"""Ids of decisions in an order, kept on disk and taken from the front: memory does not grow with their number."""

import tempfile
from collections.abc import Iterable, Sequence
from itertools import islice
from pathlib import Path

import msgspec

_ENCODER = msgspec.json.Encoder()
_DECODER = msgspec.json.Decoder(str)


class Backlog:
    """Ids that wait; `len` says how many are left. Its file goes with it.

    folder: where the file lies, by default the system's temporary folder; about 40 bytes an id.
    """

    def __init__(self, pages: Iterable[Sequence[str]], *, folder: Path | None = None) -> None:
        self._left = 0
        self._file = tempfile.TemporaryFile(dir=folder)  # noqa: SIM115 (closed with this object)
        for page in pages:
            self._file.writelines(_ENCODER.encode(each) + b"\n" for each in page)  # JSON: one line whatever an id holds
            self._left += len(page)
        self._file.seek(0)

    def __len__(self) -> int:
        return self._left

    def take(self, most: int) -> list[str]:
        """The next ids, at most so many; none are left when it gives none."""
        taken = [_DECODER.decode(line) for line in islice(self._file, most)]
        self._left -= len(taken)
        return taken

    def skip(self, count: int) -> None:
        """Leave the next `count` out."""
        while count > 0 and (taken := self.take(min(count, 10_000))):
            count -= len(taken)
