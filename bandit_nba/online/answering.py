"""The answer's bytes, made once, stored with the decision, and sent again whenever its id is asked again."""

import datetime
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypedDict

import msgspec
import numpy as np

from bandit_nba.decide.batch import Decisions
from bandit_nba.decide.columns import Floats
from bandit_nba.decide.explain.reasons import Reason
from bandit_nba.decide.record import Versions
from bandit_nba.online import slate_answer
from bandit_nba.online.messages import DecisionAnswer, FilledSlot, RankedArm

Reasons = Sequence[tuple[Reason, ...]]

_ENCODER = msgspec.json.Encoder()


class Answer(msgspec.Struct, frozen=True, gc=False):
    """`body` is JSON of `DecisionAnswer`; `replayed`: the id had been asked before; `durable`: the log holds it."""

    body: bytes
    replayed: bool
    durable: bool = True


@dataclass(frozen=True)
class Deadlines:
    """Times (N,) in seconds since the epoch; `activate_by` NaN where no activation is needed."""

    valid_until: Floats
    matures_at: Floats
    activate_by: Floats


def moment(at_s: float) -> datetime.datetime:
    """Seconds since the epoch as a time in UTC, which JSON shows as ISO-8601."""
    return datetime.datetime.fromtimestamp(at_s, datetime.UTC)


def bodies(
    decisions: Decisions, deadlines: Deadlines, versions: Versions, *, reasons: Mapping[int, Reasons] | None = None
) -> Sequence[bytes]:
    """The body of each decision's answer. reasons: by row, for each place of its ranking."""
    arms, requests, at = decisions.arms, decisions.requests, _Moments()
    rows = zip(
        requests.ids,
        decisions.chosen.tolist(),
        decisions.propensity.tolist(),
        decisions.expected_reward[np.arange(len(decisions)), decisions.chosen].tolist(),
        decisions.kinds,
        requests.decided_at.tolist(),
        deadlines.valid_until.tolist(),
        deadlines.activate_by.tolist(),
        strict=True,
    )
    made = [
        DecisionAnswer(
            decision_id=decision,
            action=arms[k].action.id,
            treatment=None if (treatment := arms[k].treatment) is None else treatment.id,
            arm=arms[k].id,
            probability=propensity,
            expected_reward=expected,
            kind=kind,
            decided_at=at[decided_at],
            valid_until=at[valid_until],
            activate_by=None if activate_by != activate_by else at[activate_by],
            model_version=versions.model,
            policy_version=versions.policy,
            catalogue_version=versions.catalogue,
        )
        for decision, k, propensity, expected, kind, decided_at, valid_until, activate_by in rows
    ]
    for i in decisions.slates:  # few, or none
        made[i] = msgspec.structs.replace(made[i], **_slate(decisions, i, reasons or {}))
    return list(map(_ENCODER.encode, made))


class _Moments(dict[float, datetime.datetime]):
    """`moment` of each time, made once: all decisions of a batch are made at the same one."""

    def __missing__(self, at_s: float) -> datetime.datetime:
        found = self[at_s] = moment(at_s)
        return found


class _SlateFields(TypedDict, total=False):
    ranking: list[RankedArm]
    slots: list[FilledSlot]
    slate_probability: float


def _slate(decisions: Decisions, i: int, reasons: Mapping[int, Reasons]) -> _SlateFields:
    """What an answer says of a slate; nothing where none was wanted."""
    slate = decisions.slates.get(i)
    if slate is None:
        return {}
    probability = slate.propensity
    if slate.kind == "slots":
        return {"slots": slate_answer.slots(slate, decisions.arms), "slate_probability": probability}
    why = reasons.get(i, [()] * len(slate.chosen))
    return {"ranking": slate_answer.ranking(slate, decisions.arms, why), "slate_probability": probability}
