"""The JSON of eligible sets, written once per distinct pattern of removals, since patterns repeat."""

from dataclasses import dataclass

import msgspec
import numpy as np
import numpy.typing as npt

from bandit_nba.catalogue import Arm
from bandit_nba.decide.batch import Decisions, Removal
from bandit_nba.decide.columns import Floats

MOST_CELLS = 100_000  # arms x patterns that are kept: a few megabytes of JSON
MOST_LISTS = 4  # of removals: contact rules add reasons of their own to a batch's

_ENCODER = msgspec.json.Encoder()


@dataclass(frozen=True, slots=True, eq=False)
class EligibleSet:
    """One pattern. at: columns of the eligible arms. arms, removed: as in `DecisionRecord`."""

    at: npt.NDArray[np.intp]
    arms: bytes
    removed: bytes


class _Patterns:
    """Patterns of one set of arms with one list of removals, by the bytes of a row; safe to share between threads."""

    def __init__(self, arms: tuple[Arm, ...], removals: tuple[Removal, ...]) -> None:
        self.arms = arms
        self.removals = removals
        self._most = max(1, MOST_CELLS // len(arms))
        self._known: dict[bytes, EligibleSet] = {}

    def of(self, row: bytes) -> EligibleSet:
        """The pattern of a row of int16."""
        found = self._known.get(row)
        if found is None:
            if len(self._known) >= self._most:
                self._known = {}  # a new dictionary: another thread may still read the old one
            found = self._known[row] = self._made(np.frombuffer(row, dtype=np.int16))
        return found

    def _made(self, row: npt.NDArray[np.int16]) -> EligibleSet:
        at = np.flatnonzero(row == 0)
        removed = [(self.arms[k].id, self.removals[row[k] - 1]) for k in np.flatnonzero(row).tolist()]
        return EligibleSet(
            at=at,
            arms=_ENCODER.encode([self.arms[k].id for k in at.tolist()]),
            removed=_ENCODER.encode({arm: (removal.stage, removal.reason) for arm, removal in removed}),
        )


class EligibleSets:
    """The patterns of N decisions; of_row: of each row."""

    def __init__(self, decisions: Decisions) -> None:
        patterns = _patterns(decisions.arms, decisions.eligibility.removals)
        rows, width = decisions.eligibility.removed.astype(np.int16, copy=False).tobytes(), 2 * len(decisions.arms)
        self.of_row = [patterns.of(rows[start : start + width]) for start in range(0, len(rows), width)]
        self._alike = self.of_row.count(self.of_row[0]) == len(self.of_row) if self.of_row else True

    def numbers(self, values: Floats) -> list[bytes]:
        """Of each row the values (N, K) of its eligible arms, as JSON lists."""
        if self._alike:
            return [_ENCODER.encode(row) for row in values[:, self.of_row[0].at].tolist()] if self.of_row else []
        alike: dict[int, list[int]] = {}
        for i, found in enumerate(self.of_row):
            alike.setdefault(id(found), []).append(i)
        out = [b""] * len(self.of_row)
        for rows in alike.values():
            kept = values[np.array(rows)[:, None], self.of_row[rows[0]].at]
            for i, row in zip(rows, kept.tolist(), strict=True):
                out[i] = _ENCODER.encode(row)
        return out


def _patterns(arms: tuple[Arm, ...], removals: tuple[Removal, ...]) -> _Patterns:
    """Those of an earlier batch where arms and removals are the very same objects: nearly always those of the last."""
    global _lately
    lately = _lately
    for place, patterns in enumerate(lately):
        if patterns.removals is removals and patterns.arms is arms:
            if place:
                _lately = (patterns, *lately[:place], *lately[place + 1 :])
            return patterns
    fresh = _Patterns(arms, removals)
    _lately = (fresh, *lately[: MOST_LISTS - 1])
    return fresh


_lately: tuple[_Patterns, ...] = ()
