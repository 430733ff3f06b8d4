"""A slate as the log keeps it: every place with all that it was drawn from, so that its propensity can be computed."""

from collections.abc import Sequence

import msgspec

from bandit_nba.catalogue import Arm
from bandit_nba.decide.batch import Slate
from bandit_nba.decide.wanted import WantedKind


class LoggedPlace(msgspec.Struct, frozen=True, kw_only=True):
    """One place: `arm` None where nothing was left for it. propensity: given the places before it; 1 for no arm.

    probabilities: beside the slate's `arms`. excluded: what the request kept out of this place. capped: what contact
    rules did, because of the places before.
    """

    id: str
    excluded: tuple[str, ...] = ()
    capped: tuple[str, ...] = ()
    arm: str | None
    propensity: float
    probabilities: tuple[float, ...]


class LoggedSlate(msgspec.Struct, frozen=True, kw_only=True):
    """Places in the order of drawing, the first of which is the decision's own arm.

    arms, expected_rewards: all arms that might have stood in some place, and what the model expected of them.
    propensity: of the whole slate, the product over its places. asked: how many places were wanted.
    """

    kind: WantedKind
    asked: int
    propensity: float
    arms: tuple[str, ...]
    expected_rewards: tuple[float, ...]
    slots: tuple[LoggedPlace, ...]


class _FirstOnly(msgspec.Struct):
    slots: tuple["_Id", ...]


class _Id(msgspec.Struct):
    id: str


_ENCODER = msgspec.json.Encoder()
_DECODER = msgspec.json.Decoder(LoggedSlate)
_FIRST = msgspec.json.Decoder(_FirstOnly)


def to_log(slate: Slate, arms: Sequence[Arm]) -> LoggedSlate:
    """A slate over `arms` as the log keeps it."""
    at = slate.eligible.nonzero()[0]
    drawn = zip(slate.slots, slate.chosen.tolist(), slate.conditionals.tolist(), slate.probability, strict=True)
    return LoggedSlate(
        kind=slate.kind,
        asked=slate.asked,
        propensity=slate.propensity,
        arms=tuple(arms[k].id for k in at.tolist()),
        expected_rewards=tuple(slate.expected_reward[at].tolist()),
        slots=tuple(
            LoggedPlace(
                id=slot.id,
                excluded=slot.excluded,
                capped=slot.capped,
                arm=arms[k].id if k >= 0 else None,
                propensity=propensity,
                probabilities=tuple(probability[at].tolist()),
            )
            for slot, k, propensity, probability in drawn
        ),
    )


def encoded(slate: LoggedSlate) -> bytes:
    """JSON of a slate."""
    return _ENCODER.encode(slate)


def decoded(content: bytes) -> LoggedSlate:
    """A slate from its JSON; raises `msgspec.DecodeError`."""
    return _DECODER.decode(content)


def first_slot(content: bytes | None) -> str:
    """The id of the place that the decision itself is about, "" where no slate was wanted.

    A slate that cannot be read names none either: outcomes of named places then count for nothing, and the audit tells.
    """
    try:
        return _FIRST.decode(content).slots[0].id if content is not None else ""
    except (msgspec.DecodeError, IndexError):
        return ""
