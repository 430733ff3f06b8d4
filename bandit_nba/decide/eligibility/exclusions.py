"""Arms that a request leaves out, for all of its places or for one."""

from collections.abc import Collection, Sequence

import numpy as np

from bandit_nba.catalogue import Arm
from bandit_nba.decide.batch import Eligibility, Removal
from bandit_nba.decide.columns import Bools
from bandit_nba.decide.wanted import Wanted

EVERYWHERE = Removal(stage="request", reason="the request excludes it")
FIRST_SLOT = Removal(stage="request", reason="the request excludes it from the first slot")


def named(arms: Sequence[Arm], names: Collection[str]) -> Bools:
    """Which arms are named, by their own id or by their action's, bool (K,)."""
    return np.array([arm.id in names or arm.action.id in names for arm in arms], dtype=np.bool_)


def without_excluded(eligibility: Eligibility, arms: Sequence[Arm], wanted: Sequence[Wanted | None]) -> Eligibility:
    """What is left where requests exclude arms from everything; the first arm, the baseline, always stays."""
    return _removed(eligibility, arms, {i: (EVERYWHERE, w.excluded) for i, w in enumerate(wanted) if w and w.excluded})


def of_first_slot(eligibility: Eligibility, arms: Sequence[Arm], wanted: Sequence[Wanted | None]) -> Eligibility:
    """What is left for the first slot, which the decision itself is about; the first arm always stays."""
    firsts = {i: (FIRST_SLOT, w.slots[0].excluded) for i, w in enumerate(wanted) if w and w.slots}
    return _removed(eligibility, arms, {i: reason for i, reason in firsts.items() if reason[1]})


def _removed(
    eligibility: Eligibility, arms: Sequence[Arm], reasons: dict[int, tuple[Removal, tuple[str, ...]]]
) -> Eligibility:
    if not reasons:
        return eligibility
    removals = {removal: code for code, removal in enumerate(eligibility.removals, start=1)}
    removed = eligibility.removed.copy()
    for row, (removal, names) in reasons.items():
        out = named(arms, frozenset(names)) & (removed[row] == 0)
        out[0] = False
        if out.any():
            removed[row, out] = removals.setdefault(removal, len(removals) + 1)
    return Eligibility(removed=removed, removals=tuple(removals), failures=eligibility.failures)
