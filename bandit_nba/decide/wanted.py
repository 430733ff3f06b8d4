"""What a request wants beyond one action: a ranking to pick from, or an action for each of several slots."""

from dataclasses import dataclass
from typing import Literal

WantedKind = Literal["one", "ranking", "slots"]


@dataclass(frozen=True, slots=True)
class Slot:
    """One place to fill; `excluded`: actions or arms, by id, that it must not hold.

    capped: arms that contact rules take out because of the places before; in a request nothing, as the log says later.
    """

    id: str
    excluded: tuple[str, ...] = ()
    capped: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Wanted:
    """What one request wants.

    kind: "one" action; a "ranking" of `slots` places, best drawn first; or an action for each of several "slots" that
    are shown side by side. slots: empty for "one". excluded: actions or arms, by id, that no place may hold.
    """

    kind: WantedKind = "one"
    slots: tuple[Slot, ...] = ()
    excluded: tuple[str, ...] = ()


def ranking(places: int, *, excluded: tuple[str, ...] = ()) -> Wanted:
    """A ranking of at most `places` arms; its places are named "1", "2", ..."""
    return Wanted(kind="ranking", slots=tuple(Slot(str(place)) for place in range(1, places + 1)), excluded=excluded)
