"""Batches in their order, made ready by two processes at once where there are two: a helper and this one.

Whoever is free makes the next batch ready. This process takes them in order all the same, so that what is learned does
not depend on who made what, or whether there was a helper at all.
"""

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

from bandit_nba.learn.prepared import Prepared

_ASKED = 2  # batches that a helper has been asked for: one that it makes, one that waits for it
_HELD = 6  # batches that this process holds at most, ready or asked for: memory stays flat


@dataclass(frozen=True)
class Part:
    """Ids of one batch, in learning order; whether a chunk or the whole run ends with it."""

    ids: Sequence[str]
    ends_chunk: bool = False
    ends_all: bool = False


class Helper(Protocol):
    """Another process that makes batches ready."""

    def is_ready(self) -> bool:
        """Whether it can be asked; False while it starts, and once it is gone."""

    def ask(self, ids: Sequence[str]) -> int:
        """Begin with a batch; gives its number."""

    def has(self, number: int) -> bool:
        """Whether `take` of this number would not wait."""

    def take(self, number: int) -> Prepared | None:
        """Wait for a batch; None where the helper could not make it, or is gone."""


def in_order(
    parts: Iterator[Part], make: Callable[[Part], Prepared | None], helper: Helper | None = None
) -> Iterator[tuple[Part, Prepared | None]]:
    """Each part with what was made of it, None where that failed; `make`: how this process does it itself."""
    held: deque[tuple[Part, int | None, Prepared | None]] = deque()
    asked = 0
    while True:
        while helper is not None and asked < _ASKED and len(held) < _HELD and helper.is_ready():
            following = next(parts, None)
            if following is None:
                break
            held.append((following, helper.ask(following.ids), None))
            asked += 1
        first = held[0] if held else None
        waits = first is None or (first[1] is not None and helper is not None and not helper.has(first[1]))
        if waits and len(held) < _HELD and (following := next(parts, None)) is not None:
            held.append((following, None, make(following)))
        elif held:
            part, number, made = held.popleft()
            if number is not None and helper is not None:
                asked -= 1
                made = helper.take(number) or make(part)
            yield part, made
        else:
            return
