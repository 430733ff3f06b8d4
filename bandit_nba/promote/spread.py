"""How the work of a search is spread: the protocol that an executor fulfils, and the one that works in this process."""

from collections.abc import Callable, Iterator, Sequence
from typing import Protocol, TypeVar

S = TypeVar("S")
W = TypeVar("W")
R = TypeVar("R")


class Spread(Protocol):
    """Does pieces of work with something that all of them share, wherever it likes."""

    def __call__(self, work: Callable[[S, W], R], shared: S, pieces: Sequence[W]) -> Iterator[R]:
        """What `work(shared, piece)` gives for each piece, in any order, as soon as it is known.

        `work` is a function of a module, and everything can be pickled, so that pieces may go to other processes.
        """


def in_process(work: Callable[[S, W], R], shared: S, pieces: Sequence[W]) -> Iterator[R]:
    """One after the other, here."""
    for piece in pieces:
        yield work(shared, piece)
