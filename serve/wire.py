"""What goes over the wire beside the loop's own messages: pages of results, decisions as they are logged, health."""

import datetime
from typing import Annotated, Literal

from msgspec import Meta

from bandit_nba.online.messages import DecisionAnswer, DecisionKind, Message, OverrideAnswer, Receipt
from serve.problem import Problem

MAX_PAGE = 1_000

State = Literal["active", "waiting", "expired"]


class OutcomeResult(Message, frozen=True, kw_only=True, omit_defaults=True):
    """What became of one outcome; `problem` says why it was not kept."""

    outcome_id: str
    receipt: Receipt
    problem: Problem | None = None


class OutcomePage(Message, frozen=True, kw_only=True):
    """What became of each outcome of a page, in its order."""

    results: list[OutcomeResult]


class DecisionResult(Message, frozen=True, kw_only=True, omit_defaults=True):
    """What became of one item of a page: its decision, or the problem; `status` as if it had been asked alone."""

    decision_id: Annotated[str, Meta(description="As it was asked; the decision names one that was left out.")] | None
    status: int
    decision: DecisionAnswer | None = None
    problem: Problem | None = None


class DecisionPage(Message, frozen=True, kw_only=True):
    """What became of each item of a page, in its order."""

    results: list[DecisionResult]


class CustomerResult(Message, frozen=True, kw_only=True):
    """A profile that was not kept: its place in the page, from 0, and why."""

    index: Annotated[int, Meta(ge=0)]
    problem: Problem


class CustomerPage(Message, frozen=True, kw_only=True):
    """How many profiles of a page were kept, and the others."""

    kept: int
    refused: list[CustomerResult]


class Choice(Message, frozen=True, kw_only=True):
    """One arm that could have been chosen, with its chance and the model's estimate."""

    arm: str
    probability: float
    expected_reward: float


class Removed(Message, frozen=True, kw_only=True):
    """One arm that could not be chosen, and why."""

    arm: str
    stage: str
    reason: str


class LoggedPlace(Message, frozen=True, kw_only=True):
    """One place of a slate; `probability` is given the places before it."""

    id: str
    arm: str | None
    probability: float
    choices: Annotated[list[Choice], Meta(description="What it was drawn from.")]
    capped: Annotated[list[str], Meta(description="Left out by contact rules because of the places before.")]


class LoggedSlate(Message, frozen=True, kw_only=True):
    """All places of a ranking, or all slots; `probability` is of all together."""

    kind: Literal["ranking", "slots"]
    probability: float
    places: list[LoggedPlace]
    picked: Annotated[str, Meta(description='The arm that somebody picked; "" for none of them.')] | None
    picked_at: datetime.datetime | None


class LoggedDecision(Message, frozen=True, kw_only=True):
    """A decision as the log keeps it. `state`: a deferred one is waiting until it is activated or has expired."""

    decision_id: str
    channel: str
    kind: DecisionKind
    state: State
    action: str
    treatment: str | None
    arm: str
    probability: float | None
    choices: list[Choice]
    removed: list[Removed]
    decided_at: datetime.datetime
    valid_until: datetime.datetime
    matures_at: datetime.datetime
    activate_by: datetime.datetime | None
    activated_at: datetime.datetime | None
    model_version: str
    policy_version: str
    catalogue_version: str
    feature_version: str
    reward_version: str
    salt_id: str
    overridden_by: OverrideAnswer | None = None
    slate: LoggedSlate | None = None


class Health(Message, frozen=True, kw_only=True):
    """Alive, or ready to decide."""

    status: Literal["alive", "ready"]


def arm_apart(arm: str, *, brought: bool) -> tuple[str, str | None]:
    """Action and treatment. brought: the action came with its request, and its id may hold a slash."""
    action, _, treatment = (arm, "", "") if brought else arm.partition("/")
    return action, treatment or None


def state_of(activate_by: float | None, activated_at: float | None, *, now_s: float) -> State:
    """Whether a decision counts. Times in seconds since the epoch."""
    if activate_by is None or activated_at is not None:
        return "active"
    return "waiting" if now_s <= activate_by else "expired"
