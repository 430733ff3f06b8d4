"""Slates: several places filled one after the other, none of them with an arm that stands in a place before it.

The first place is the decision itself, drawn from its distribution p. Place j is drawn from p_j: the same exploration
applied to the arms that remain for it, as if no others were eligible. So

    P(a_1, ..., a_J) = p(a_1) p_2(a_2 | a_1) ... p_J(a_J | a_1, ..., a_J-1)

holds by construction and each factor is logged. Priorities stay as they are: they compare with the set's first arm,
"no action" or the baseline, whether it remains or not. Each place has a uniform of its own (see `sample`).

A ranking holds "no action" at most once, where doing nothing ranks, and ends when no arm is left; treatments of one
action are places of their own. Slots are shown side by side: no action stands in two of them, whatever its treatment,
but each may stay empty, since "no action" remains for every slot. Actions that come inline have no "no action": the
first of them is an arm as any other, and a slot for which nothing is left holds nothing. Slots that are shown reach the
customer each, so contact rules count them one after the other (see `slate_caps`).
"""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from bandit_nba.catalogue import Arm
from bandit_nba.decide.acting import Again
from bandit_nba.decide.batch import Slate
from bandit_nba.decide.choice.salt import Salt
from bandit_nba.decide.choice.sample import ARM, draw, uniforms
from bandit_nba.decide.columns import Bools, Floats, Ints
from bandit_nba.decide.eligibility.exclusions import named
from bandit_nba.decide.slates.caps import Caps
from bandit_nba.decide.wanted import Wanted


def slates(
    ids: Sequence[str],
    wanted: Sequence[Wanted | None],
    arms: Sequence[Arm],
    salt: Salt,
    again: Again,
    *,
    eligible: Bools,
    expected_reward: Floats,
    priority: Floats,
    probability: Floats,
    chosen: Ints,
    caps: Caps | None = None,
) -> dict[int, Slate]:
    """The slates of the rows that want one, by row.

    eligible: bool (N, K), what may stand in any place. expected_reward, priority: (N, K), known wherever eligible.
    probability: (N, K), what the first place was drawn from. chosen: int64 (N,), its arm. caps: what contact rules take
    out of later slots; without it what the request's slots name as capped.
    """
    asked = {i: w for i, w in enumerate(wanted) if w is not None and w.slots}
    if not asked:
        return {}
    rows = np.array(list(asked), dtype=np.int64)
    places = _Places([asked[i] for i in rows.tolist()], arms, eligible[rows])
    places.put(0, np.arange(len(rows)), probability[rows], chosen[rows])
    for place in range(1, places.most):
        if caps is not None and len(beside := places.beside(place)):
            places.cap(place, beside, caps(rows[beside], places.so_far(beside, place)))
        at, remaining = places.remaining(place)
        if len(at):
            p = again(rows[at], remaining)
            drawn = draw(p, uniforms(salt, [ids[i] for i in rows[at].tolist()], purpose=ARM, slot=place))
            places.put(place, at, p, drawn)
    return dict(zip(rows.tolist(), places.filled(expected_reward[rows], priority[rows]), strict=True))


class _Places:
    """M slates being filled, place by place, over K arms."""

    def __init__(self, wanted: Sequence[Wanted], arms: Sequence[Arm], eligible: Bools) -> None:
        sizes = np.array([len(w.slots) for w in wanted], dtype=np.int64)
        self.most = int(sizes.max())
        self._wanted = wanted
        self._arms = arms
        self._eligible = eligible
        self._left = eligible.copy()
        self._sizes = sizes
        has_none = arms[0].action.kind == "none"
        self._may_stay_empty = np.array([has_none and w.kind == "slots" for w in wanted])
        self._chosen = np.full((len(wanted), self.most), -1, dtype=np.int64)
        self._probability = np.zeros((len(wanted), self.most, len(arms)))
        self._beside = np.array([w.kind == "slots" for w in wanted])
        codes: dict[str, int] = {}
        self._slots = [list(w.slots) for w in wanted]
        self._action = np.array([codes.setdefault(arm.action.id, len(codes)) for arm in arms], dtype=np.int64)

    def beside(self, place: int) -> Ints:
        """The slates whose slots are shown beside each other and that have this place, int64 (m,)."""
        return np.flatnonzero(self._beside & (self._sizes > place))

    def so_far(self, at: Ints, place: int) -> Ints:
        """What stands in the places before, int64 (m, place)."""
        return self._chosen[at, :place]

    def cap(self, place: int, at: Ints, out: Bools) -> None:
        """Note what of the arms left contact rules take out of this place."""
        for i, row in zip(at.tolist(), out & self._left[at], strict=True):
            if row.any():
                capped = tuple(self._arms[k].id for k in np.flatnonzero(row).tolist())
                self._slots[i][place] = replace(self._slots[i][place], capped=capped)

    def remaining(self, place: int) -> tuple[Ints, Bools]:
        """The slates that still have an arm for this place, int64 (m,), and their remaining arms, bool (m, K)."""
        remaining = self._left & (self._sizes > place)[:, None]
        for i in np.flatnonzero(self._sizes > place).tolist():
            slot = self._slots[i][place]
            if slot.excluded or slot.capped:
                remaining[i] &= ~self._out((*slot.excluded, *slot.capped))
        at = np.flatnonzero(remaining.any(axis=1))
        return at, remaining[at]

    def put(self, place: int, at: Ints, probability: Floats, chosen: Ints) -> None:
        """Fill this place of some slates; what stands there stands in no later place, but for "no action" in slots."""
        self._probability[at, place] = probability
        self._chosen[at, place] = chosen
        again = self._beside[at][:, None] & (self._action == self._action[chosen][:, None])
        self._left[at] &= ~again
        self._left[at, chosen] = self._may_stay_empty[at] & (chosen == 0)

    def filled(self, expected_reward: Floats, priority: Floats) -> list[Slate]:
        """The slates; a ranking ends with its last arm."""
        out = []
        for i, w in enumerate(self._wanted):
            size = int(self._sizes[i])
            if w.kind == "ranking":
                size = int(np.count_nonzero(self._chosen[i, :size] >= 0))
            out.append(
                Slate(
                    kind=w.kind,
                    asked=len(w.slots),
                    slots=tuple(self._slots[i][:size]),
                    eligible=self._eligible[i],
                    expected_reward=expected_reward[i],
                    priority=priority[i],
                    chosen=self._chosen[i, :size],
                    probability=self._probability[i, :size],
                )
            )
        return out

    def _out(self, names: tuple[str, ...]) -> Bools:
        """Excluded arms; "no action" of slots cannot be excluded, since a slot may always stay empty."""
        out = named(self._arms, frozenset(names))
        out[0] &= self._arms[0].action.kind != "none"
        return out
