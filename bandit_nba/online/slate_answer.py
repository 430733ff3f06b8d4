"""Slates as a channel hears of them: a ranking to pick from, or what each slot holds."""

from collections.abc import Sequence

from bandit_nba.catalogue import Arm
from bandit_nba.decide.batch import Slate
from bandit_nba.decide.explain.reasons import Reason
from bandit_nba.online.messages import FilledSlot, RankedArm, ReasonGiven


def names_of(arm: Arm) -> tuple[str, str | None]:
    """An arm's action and treatment, by id."""
    return arm.action.id, None if arm.treatment is None else arm.treatment.id


def ranking(slate: Slate, arms: Sequence[Arm], reasons: Sequence[Sequence[Reason]]) -> list[RankedArm]:
    """The places of a ranking, best first; `reasons` for each of them."""
    places = zip(slate.chosen.tolist(), slate.conditionals.tolist(), reasons, strict=True)
    return [
        RankedArm(
            rank=rank,
            arm=arms[k].id,
            action=names_of(arms[k])[0],
            treatment=names_of(arms[k])[1],
            probability=probability,
            expected_reward=float(slate.expected_reward[k]),
            value=arms[k].action.value,
            priority=float(slate.priority[k]),
            reasons=[ReasonGiven(term=reason.term, effect=reason.effect) for reason in why],
        )
        for rank, (k, probability, why) in enumerate(places, start=1)
    ]


def slots(slate: Slate, arms: Sequence[Arm]) -> list[FilledSlot]:
    """What each slot holds, in the order asked."""
    return [
        FilledSlot(
            id=slot.id,
            arm=arms[k].id if k >= 0 else None,
            action=names_of(arms[k])[0] if k >= 0 else None,
            treatment=names_of(arms[k])[1] if k >= 0 else None,
            probability=probability,
            expected_reward=float(slate.expected_reward[k]) if k >= 0 else None,
        )
        for slot, k, probability in zip(slate.slots, slate.chosen.tolist(), slate.conditionals.tolist(), strict=True)
    ]
