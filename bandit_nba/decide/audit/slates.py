"""Logged slates: consistent in themselves, drawn as their probabilities say, and the same when made again."""

from collections.abc import Mapping, Sequence

import numpy as np

from bandit_nba.catalogue.action import NO_ACTION
from bandit_nba.decide.choice.salt import Salt
from bandit_nba.decide.choice.sample import ARM, draw, uniforms
from bandit_nba.decide.record import LoggedDecision
from bandit_nba.decide.slates.log import LoggedPlace, LoggedSlate

TOLERANCE = 1e-9


def inconsistency(row: LoggedDecision) -> str:
    """What of a row's slate contradicts itself or the row, in words; "" where nothing does."""
    slate = row.slate
    if slate is None:
        return ""
    if not slate.slots or slate.slots[0].arm != row.arm or slate.slots[0].propensity != row.propensity:
        return "the slate's first place is not the decision"
    taken = [place.arm for place in slate.slots if place.arm is not None]
    once = [arm for arm in taken if arm != NO_ACTION or slate.kind == "ranking"]
    if len(once) != len(set(once)):
        return "an arm stands in two places of the slate"
    for place in slate.slots:
        if not _is_drawn(place, slate.arms):
            return f'place "{place.id}" of the slate is not drawn from a distribution over its arms'
    product = float(np.prod([place.propensity for place in slate.slots]))
    if abs(product - slate.propensity) > TOLERANCE * product:
        return "the slate's propensity is not the product over its places"
    return ""


def misdrawn(rows: Mapping[int, LoggedDecision], salt: Salt) -> dict[int, str]:
    """Rows, by position, with a later place that its logged probabilities and its uniform do not give, in words."""
    found: dict[int, str] = {}
    most = max((len(row.slate.slots) for row in rows.values() if row.slate is not None), default=0)
    for number in range(1, most):
        there = {at: s for at, s in _slates(rows) if len(s.slots) > number and s.slots[number].arm is not None}
        if not there:
            continue
        width = max(len(slate.arms) for slate in there.values())
        probability = np.zeros((len(there), width))
        for i, slate in enumerate(there.values()):
            probability[i, : len(slate.arms)] = slate.slots[number].probabilities
        drawn = draw(probability, uniforms(salt, [rows[at].id for at in there], purpose=ARM, slot=number)).tolist()
        for (at, slate), k in zip(there.items(), drawn, strict=True):
            place = slate.slots[number]
            if slate.arms[k] != place.arm:
                found[at] = f'place "{place.id}": logged {place.arm}, the draw gives {slate.arms[k]}'
    return found


def difference(logged: LoggedSlate | None, again: LoggedSlate | None) -> str:
    """How a slate differs from the same slate made again, in words; "" where it does not."""
    if logged is None or again is None:
        return "" if logged is again else f"{'not ' if logged is None else ''}logged, but not so when made again"
    if (logged.kind, logged.arms) != (again.kind, again.arms):
        return "other arms might have stood in it"
    if [_shape(place) for place in logged.slots] != [_shape(place) for place in again.slots]:
        arms = [", ".join(str(place.arm) for place in slate.slots) for slate in (logged, again)]
        return f"logged {arms[0]}; made again {arms[1]}"
    for ours, theirs in zip(logged.slots, again.slots, strict=True):
        gap = np.abs(np.subtract(ours.probabilities, theirs.probabilities))
        if not (gap <= TOLERANCE).all():
            k = int(gap.argmax())
            ours_k, theirs_k = ours.probabilities[k], theirs.probabilities[k]
            return f'place "{ours.id}": {logged.arms[k]} logged {ours_k!r}, made again {theirs_k!r}'
    reward_gap = np.abs(np.subtract(logged.expected_rewards, again.expected_rewards))
    if not (reward_gap <= TOLERANCE * np.maximum(1.0, np.abs(again.expected_rewards))).all():
        return "other rewards were expected"
    return ""


def _slates(rows: Mapping[int, LoggedDecision]) -> list[tuple[int, LoggedSlate]]:
    return [(at, row.slate) for at, row in rows.items() if row.slate is not None]


def _shape(place: LoggedPlace) -> tuple[object, ...]:
    return place.id, place.excluded, place.capped, place.arm, len(place.probabilities)


def _is_drawn(place: LoggedPlace, arms: Sequence[str]) -> bool:
    p = place.probabilities
    if len(p) != len(arms) or min(p, default=-1.0) < 0.0:
        return False
    if place.arm is None:
        return not any(p) and place.propensity == 1.0
    return place.arm in arms and p[arms.index(place.arm)] == place.propensity > 0.0 and abs(sum(p) - 1.0) <= TOLERANCE
