"""What a request wants, checked: how many places, what must not be chosen, and the actions that it brings along."""

from collections.abc import Collection, Sequence

from bandit_nba.catalogue import Catalogue
from bandit_nba.catalogue.action import NO_ACTION
from bandit_nba.decide import inline
from bandit_nba.decide.inline import InlineAction
from bandit_nba.decide.wanted import Slot, Wanted, ranking
from bandit_nba.errors import InputError
from bandit_nba.online.messages import DecisionRequest
from bandit_nba.settings import nearest


def choosable(catalogue: Catalogue) -> frozenset[str]:
    """Everything that may be excluded: arms and actions by id, retired ones too, since channels may not know yet."""
    actions = {action.id for action in catalogue.actions}
    return frozenset({*actions, *(arm.id for arm in catalogue.arms), *_retired(catalogue)} - {NO_ACTION})


def actions_of(request: DecisionRequest) -> tuple[InlineAction, ...] | None:
    """The actions that the request brings, None for the catalogue's.

    Raises
    ------
    InputError
        See `inline.checked`.
    """
    if request.actions is None:
        return None
    brought = [
        InlineAction(
            id=action.id,
            group=action.group,
            value=float(action.value),
            features={name: v if isinstance(v, str) else float(v) for name, v in action.features.items()},
        )
        for action in request.actions
    ]
    return inline.checked(brought)


def wanted_of(
    request: DecisionRequest, actions: Sequence[InlineAction] | None, known: Collection[str]
) -> Wanted | None:
    """What the request wants beyond one action of all; None for nothing.

    Raises
    ------
    InputError
        If it wants a ranking and slots at once, a slot stands twice, or an exclusion names what cannot be excluded.
    """
    if request.top_k is None and request.slots is None and not request.excluded_arms:
        return None  # nearly always
    among = known if actions is None else {action.id for action in actions[1:]}
    first = NO_ACTION if actions is None else actions[0].id
    excluded = _excluded(request.excluded_arms, among, first=first, where="excludedArms")
    if request.top_k is not None and request.slots is not None:
        raise InputError("cannot be asked with slots", where="topK", hint="ask for a ranking or for slots")
    _check_size(request, len(known) + 1 if actions is None else len(actions))
    if request.top_k is not None:
        return ranking(request.top_k, excluded=excluded)
    if request.slots is None:
        return Wanted(excluded=excluded) if excluded else None
    slots: list[Slot] = []
    for i, slot in enumerate(request.slots):
        if any(slot.id == other.id for other in slots):
            raise InputError("stands twice", where=f"slots[{i}].id", got=slot.id, hint="each slot once")
        where = f"slots[{i}].excludedArms"
        # Only the first slot must keep the baseline: it is the decision itself.
        names = {*among, first} if i and actions is not None else among
        slots.append(Slot(slot.id, _excluded(slot.excluded_arms, names, first=first, where=where)))
    return Wanted(kind="slots", slots=tuple(slots), excluded=excluded)


def _excluded(names: Sequence[str], known: Collection[str], *, first: str, where: str) -> tuple[str, ...]:
    for name in names:
        if name not in known:
            if name == first:
                raise InputError("cannot be excluded: it is the baseline", where=where, got=name)
            raise InputError("no such action", where=where, got=name, hint=nearest(name, known))
    return tuple(sorted(set(names)))


def _check_size(request: DecisionRequest, arms: int) -> None:
    """The log keeps a probability for every place and arm."""
    places = len(request.slots) if request.slots is not None else request.top_k or 1
    if places > 1 and places * arms > inline.MOST_CELLS:
        allowed = f"at most {inline.MOST_CELLS:,} together"
        raise InputError("too many places for so many actions", where="topK", got=f"{places} x {arms}", allowed=allowed)


def _retired(catalogue: Catalogue) -> set[str]:
    return {f"{action.id}/{t.id}" for action in catalogue.actions if action.retired for t in action.treatments}
