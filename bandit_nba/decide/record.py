"""What the log keeps of one decision, and how it is read back.

Numbers are written with the fewest digits that give the same float64 back, so that an audit compares what was drawn
from, bit for bit.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypedDict, TypeVar

import msgspec
import numpy as np
import numpy.typing as npt

from bandit_nba.catalogue.facts import FactValue
from bandit_nba.decide.batch import Assignment, Decisions, Kind
from bandit_nba.decide.choice.mixture_log import NO_CREDIT, LoggedCredit, LoggedShadow, credit_of, shadow_of
from bandit_nba.decide.columns import Floats
from bandit_nba.decide.eligibility.sets import EligibleSets
from bandit_nba.decide.slates import log as slate_log
from bandit_nba.decide.slates.log import LoggedSlate
from bandit_nba.errors import StoreError

T = TypeVar("T")


@dataclass(frozen=True)
class Versions:
    """Everything that shaped a decision, by version; the salt by its id."""

    catalogue: str
    policy: str
    features: str
    reward: str
    model: str
    salt: str


class DecisionRecord(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """One row of the log: the columns of the table `decisions` in their order.

    arms, probabilities, expected_rewards: JSON lists beside each other, the eligible arms in catalogue order.
    removed: JSON object, arm id -> [stage, reason]. component: what of a mixture the decision is credited to, drawn
    with component_share; its own distribution beside `arms`, None where it is `probabilities` itself. shadow: JSON of
    `LoggedShadow`. support: whether every eligible arm could have been chosen. slate: JSON of `LoggedSlate`.
    inline_actions: JSON of the actions that the request brought. picked: what an employee took of a ranking, "" for
    nothing; None where no pick is known. origin: the log from elsewhere that it was imported from. archived_on: the day
    under which the archive has what is large of it; its lists and facts are empty here.
    facts: JSON object; None once they were erased.
    """

    id: str
    customer: str
    channel: str
    decided_at: float
    valid_until: float
    matures_at: float
    activate_by: float | None
    activated_at: float | None = None
    kind: Kind
    arm: str
    propensity: float | None
    arms: bytes
    probabilities: bytes
    expected_rewards: bytes
    removed: bytes
    catalogue_version: str
    policy_version: str
    feature_version: str
    reward_version: str
    model_version: str
    salt_id: str
    component: str = ""
    component_share: float | None = None
    component_probabilities: bytes | None = None
    assignment: Assignment = "none"
    experiment: str = ""
    shadow: bytes | None = None
    support: bool = True
    payload_sha256: bytes
    answer: bytes
    slate: bytes | None = None
    inline_actions: bytes | None = None
    picked: str | None = None
    picked_at: float | None = None
    learned_in: str | None = None
    origin: str | None = None
    archived_on: str | None = None
    facts: bytes | None


@dataclass(frozen=True)
class LoggedDecision:
    """A record read back: lists beside `arms`, the eligible ones in catalogue order."""

    id: str
    customer: str
    channel: str
    decided_at: float
    kind: Kind
    arm: str
    propensity: float | None
    arms: tuple[str, ...]
    probabilities: tuple[float, ...]
    expected_rewards: tuple[float, ...]
    removed: Mapping[str, tuple[str, str]]
    facts: Mapping[str, FactValue | None] | None
    versions: Versions
    credit: LoggedCredit = NO_CREDIT
    shadow: LoggedShadow | None = None
    support: bool = True
    slate: LoggedSlate | None = None
    inline_actions: bytes | None = None


def records(
    decisions: Decisions,
    *,
    versions: Versions,
    valid_until: Floats,
    matures_at: Floats,
    activate_by: Floats,
    payload_sha256: Sequence[bytes],
    answers: Sequence[bytes],
    inline_actions: bytes | None = None,
) -> list[DecisionRecord]:
    """One record per decision. Times (N,) in seconds since the epoch; `activate_by` NaN where none is needed.

    inline_actions: JSON of what all these decisions were made among, None for the catalogue's arms.
    """
    requests, sets = decisions.requests, EligibleSets(decisions)
    names = [arm.id for arm in decisions.arms]
    made = [
        DecisionRecord(
            id=decision,
            customer=customer,
            channel=requests.channels.values[channel],
            decided_at=decided_at,
            valid_until=until,
            matures_at=ripe,
            activate_by=None if deadline != deadline else deadline,
            kind=kind,
            arm=names[chosen],
            propensity=propensity,
            arms=found.arms,
            probabilities=probabilities,
            expected_rewards=expected,
            removed=found.removed,
            catalogue_version=versions.catalogue,
            policy_version=versions.policy,
            feature_version=versions.features,
            reward_version=versions.reward,
            model_version=versions.model,
            salt_id=versions.salt,
            support=support,
            payload_sha256=payload,
            answer=answer,
            inline_actions=inline_actions,
            facts=_ENCODER.encode(facts),
        )
        for (
            decision,
            customer,
            channel,
            decided_at,
            until,
            ripe,
            deadline,
            kind,
            chosen,
            propensity,
            found,
            probabilities,
            expected,
            support,
            payload,
            answer,
            facts,
        ) in zip(
            requests.ids,
            requests.customers,
            requests.channels.codes.tolist(),
            requests.decided_at.tolist(),
            valid_until.tolist(),
            matures_at.tolist(),
            activate_by.tolist(),
            decisions.kinds,
            decisions.chosen.tolist(),
            decisions.propensity.tolist(),
            sets.of_row,
            sets.numbers(decisions.probability),
            sets.numbers(decisions.expected_reward),
            decisions.support.tolist(),
            payload_sha256,
            answers,
            requests.facts.rows(),
            strict=True,
        )
    ]
    if decisions.credit is not None or decisions.slates:  # by far most have neither
        return [
            _completed(record, decisions, i, found.at)
            for i, (record, found) in enumerate(zip(made, sets.of_row, strict=True))
        ]
    return made


def _completed(record: DecisionRecord, decisions: Decisions, i: int, at: npt.NDArray[np.intp]) -> DecisionRecord:
    """With what a mixture and a slate add."""
    return msgspec.structs.replace(record, slate=_slate(decisions, i), **_mixture_columns(decisions, i, at))


def logged(record: DecisionRecord) -> LoggedDecision:
    """The record's lists, facts and versions as values.

    Raises
    ------
    StoreError
        If a column does not hold what was written; the decision is named.
    """
    try:
        return LoggedDecision(
            id=record.id,
            customer=record.customer,
            channel=record.channel,
            decided_at=record.decided_at,
            kind=record.kind,
            arm=record.arm,
            propensity=record.propensity,
            arms=_NAMES.decode(record.arms),
            probabilities=_NUMBERS.decode(record.probabilities),
            expected_rewards=_NUMBERS.decode(record.expected_rewards),
            removed=_REMOVED.decode(record.removed),
            facts=None if record.facts is None else _FACTS.decode(record.facts),
            versions=Versions(
                catalogue=record.catalogue_version,
                policy=record.policy_version,
                features=record.feature_version,
                reward=record.reward_version,
                model=record.model_version,
                salt=record.salt_id,
            ),
            credit=LoggedCredit(
                component=record.component,
                share=record.component_share,
                probabilities=_optional(_NUMBERS, record.component_probabilities),
                assignment=record.assignment,
                experiment=record.experiment,
            ),
            shadow=_optional(_SHADOW, record.shadow),
            support=record.support,
            slate=None if record.slate is None else slate_log.decoded(record.slate),
            inline_actions=record.inline_actions,
        )
    except msgspec.DecodeError as error:
        raise StoreError(f"cannot be read ({error})", where=f"decision {record.id}") from None


def _slate(decisions: Decisions, i: int) -> bytes | None:
    slate = decisions.slates.get(i)
    return None if slate is None else slate_log.encoded(slate_log.to_log(slate, decisions.arms))


def _optional(decoder: "msgspec.json.Decoder[T]", content: bytes | None) -> T | None:
    return None if content is None else decoder.decode(content)


_ENCODER = msgspec.json.Encoder()
_SHADOW = msgspec.json.Decoder(LoggedShadow)
_NAMES = msgspec.json.Decoder(tuple[str, ...])
_NUMBERS = msgspec.json.Decoder(tuple[float, ...])
_REMOVED = msgspec.json.Decoder(dict[str, tuple[str, str]])
_FACTS = msgspec.json.Decoder(dict[str, float | bool | str | tuple[str, ...] | None])


class _MixtureColumns(TypedDict, total=False):
    component: str
    component_share: float | None
    component_probabilities: bytes | None
    assignment: Assignment
    experiment: str
    shadow: bytes | None


def _mixture_columns(decisions: Decisions, i: int, at: npt.NDArray[np.intp]) -> _MixtureColumns:
    """What a mixture adds to a record; nothing where there is none."""
    if decisions.credit is None:
        return {}
    credit, shadow = credit_of(decisions, i, at), shadow_of(decisions, i, at)
    return {
        "component": credit.component,
        "component_share": credit.share,
        "component_probabilities": None if credit.probabilities is None else _ENCODER.encode(credit.probabilities),
        "assignment": credit.assignment,
        "experiment": credit.experiment,
        "shadow": None if shadow is None else _ENCODER.encode(shadow),
    }
