"""The answer's bytes, made once, stored with the decision, and sent again whenever its id is asked again."""

import datetime
from collections.abc import Sequence
from dataclasses import dataclass

import msgspec

from bandit_nba.decide.batch import Decisions, Floats
from bandit_nba.decide.record import Versions
from bandit_nba.online.messages import DecisionAnswer

_ENCODER = msgspec.json.Encoder()


@dataclass(frozen=True, slots=True)
class Answer:
    """`body` is JSON of `DecisionAnswer`; `replayed`: the id had been asked before."""

    body: bytes
    replayed: bool


@dataclass(frozen=True)
class Deadlines:
    """Times (N,) in seconds since the epoch; `activate_by` NaN where no activation is needed."""

    valid_until: Floats
    matures_at: Floats
    activate_by: Floats


def moment(at_s: float) -> datetime.datetime:
    """Seconds since the epoch as a time in UTC, which JSON shows as ISO-8601."""
    return datetime.datetime.fromtimestamp(at_s, datetime.UTC)


def bodies(decisions: Decisions, deadlines: Deadlines, versions: Versions) -> Sequence[bytes]:
    """The body of each decision's answer."""
    arms, requests = decisions.arms, decisions.requests
    rows = zip(
        requests.ids,
        decisions.chosen.tolist(),
        decisions.propensity.tolist(),
        decisions.expected_reward[range(len(decisions)), decisions.chosen].tolist(),
        decisions.kinds,
        requests.decided_at.tolist(),
        deadlines.valid_until.tolist(),
        deadlines.activate_by.tolist(),
        strict=True,
    )
    return [
        _ENCODER.encode(
            DecisionAnswer(
                decision_id=decision,
                action=arms[k].action.id,
                treatment=None if (treatment := arms[k].treatment) is None else treatment.id,
                arm=arms[k].id,
                probability=propensity,
                expected_reward=expected,
                kind=kind,
                decided_at=moment(decided_at),
                valid_until=moment(valid_until),
                activate_by=None if activate_by != activate_by else moment(activate_by),
                model_version=versions.model,
                policy_version=versions.policy,
                catalogue_version=versions.catalogue,
            )
        )
        for decision, k, propensity, expected, kind, decided_at, valid_until, activate_by in rows
    ]
