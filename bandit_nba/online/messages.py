"""What a channel says to the loop and hears back: JSON documents with camelCase names, strict and bounded.

They live here and not in the service because an answer's bytes are stored with the decision, so that a replay of the
same id is equal byte for byte whichever way it comes in.
"""

import datetime
from typing import Annotated, Literal

import msgspec
from msgspec import UNSET, Meta
from msgspec import UnsetType as Unset

# No `$`: Python's also matches before a final newline. This reads the same to Python and to JavaScript.
NO_CONTROL = r"^[^\u0000-\u001f\u007f-\u009f]*(?![\s\S])"

Id = Annotated[
    str,
    Meta(
        min_length=1,
        max_length=256,
        pattern=NO_CONTROL,
        description="1 to 256 characters, none of them a control character.",
    ),
]
Name = Annotated[str, Meta(min_length=1, max_length=64, pattern=NO_CONTROL)]
FactValue = float | bool | str | list[str] | None
Facts = Annotated[
    dict[str, FactValue],
    Meta(
        max_length=1_000,
        description="Declared facts by name: number, boolean, string or array of strings as declared; null is unknown.",
    ),
]
FeatureValue = Annotated[float, Meta(ge=-1e15, le=1e15)] | Annotated[str, Meta(max_length=1_000_000)]
Amount = Annotated[float, Meta(ge=-1e9, le=1e9, description="Finite, at most 1e9 in size.")]
Moment = Annotated[datetime.datetime, Meta(tz=True, description="ISO-8601 with a time zone.")]

Activation = Literal["immediate", "deferred"]
DecisionKind = Literal["normal", "fallback", "unreadable"]
Receipt = Literal["created", "duplicate", "conflict", "invalid"]


class Message(msgspec.Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True):
    """Base of every message: frozen, camelCase in JSON, and a field that is not declared is refused."""


class SlotRequest(Message, frozen=True, kw_only=True):
    """One of several places that are shown at once."""

    id: Annotated[Name, Meta(description="Outcomes name it.")]
    excluded_arms: Annotated[list[Id], Meta(max_length=1_000, description="Actions or arms not for this place.")] = []


class ActionRequest(Message, frozen=True, kw_only=True):
    """An action that the request brings along instead of the catalogue's."""

    id: Id
    features: Annotated[
        dict[Annotated[str, Meta(max_length=128)], FeatureValue],
        Meta(max_length=100, description="What the model may see of it: numbers and strings by name."),
    ] = {}
    group: Annotated[Name, Meta(description="Names its prior response rate and its lever.")] = "inline"
    value: Annotated[float, Meta(ge=1e-9, le=1e9, description="What one response is worth.")] = 1.0


class DecisionRequest(Message, frozen=True, kw_only=True, gc=False):
    """Ask for the next best action for a customer on a channel."""

    channel: Annotated[Name, Meta(description="A channel that the workspace declares.")]
    decision_id: Annotated[Id, Meta(description="Names the decision: the same id gives the same answer.")] | None = None
    customer_id: Annotated[Id, Meta(description="Absent: an anonymous visitor. Never stored as given.")] | None = None
    facts: Annotated[Facts, Meta(description="What is known now; overrides the stored profile.")] = {}
    defer_activation: Annotated[
        bool, Meta(description="True: the decision counts only once it is activated, and expires otherwise.")
    ] = False
    top_k: (
        Annotated[int, Meta(ge=1, le=50, description="A ranking of so many arms for somebody to pick from.")] | None
    ) = None
    slots: (
        Annotated[list[SlotRequest], Meta(min_length=1, max_length=50, description="An arm for each, none twice.")]
        | None
    ) = None
    excluded_arms: Annotated[
        list[Id], Meta(max_length=1_000, description="Actions or arms that must not be chosen at all.")
    ] = []
    actions: (
        Annotated[
            list[ActionRequest],
            Meta(min_length=1, max_length=1_000, description="Choose among these. The first is the baseline."),
        ]
        | None
    ) = None


class ReasonGiven(Message, frozen=True, kw_only=True):
    """What speaks for an arm (above zero) or against it, beside the other eligible arms."""

    term: Annotated[str, Meta(description="A fact and its value, the arm itself, or its prior.")]
    effect: Annotated[float, Meta(description="In the reward's unit.")]


class RankedArm(Message, frozen=True, kw_only=True):
    """One place of a ranking."""

    rank: Annotated[int, Meta(ge=1)]
    arm: str
    action: str
    treatment: str | None
    probability: Annotated[float, Meta(gt=0, le=1, description="Its chance for this place, given those above.")]
    expected_reward: float
    value: Annotated[float, Meta(description="What one response is worth, as declared.")]
    priority: Annotated[float, Meta(description="Expected gain over doing nothing, weighed.")]
    reasons: list[ReasonGiven]


class FilledSlot(Message, frozen=True, kw_only=True):
    """What one slot holds; null where nothing was left for it."""

    id: str
    arm: str | None
    action: str | None
    treatment: str | None
    probability: Annotated[float, Meta(gt=0, le=1, description="Its chance for this slot, given the slots before.")]
    expected_reward: float | None


class DecisionAnswer(Message, frozen=True, kw_only=True, gc=False):
    """The decision: what to show, how likely that was, and what it was made from."""

    decision_id: str
    action: str
    treatment: str | None
    arm: Annotated[str, Meta(description='"action" or "action/treatment".')]
    probability: Annotated[float, Meta(gt=0, le=1, description="The chance with which this arm was chosen.")]
    expected_reward: Annotated[float, Meta(description="The model's estimate for this arm.")] | None
    kind: Annotated[
        DecisionKind, Meta(description="fallback: model or rules failed or took too long. unreadable: the profile.")
    ]
    decided_at: datetime.datetime
    valid_until: datetime.datetime
    activate_by: datetime.datetime | None
    model_version: str
    policy_version: str
    catalogue_version: str
    ranking: (
        Annotated[list[RankedArm], Meta(description="Where topK was asked; the first is the decision.")] | Unset
    ) = UNSET
    slots: (
        Annotated[list[FilledSlot], Meta(description="Where slots were asked; the first is the decision.")] | Unset
    ) = UNSET
    slate_probability: (
        Annotated[float, Meta(gt=0, le=1, description="Of the whole ranking, or of all slots together.")] | Unset
    ) = UNSET
    durable: (
        Annotated[Literal[False], Meta(description="Only where nothing could be kept; the id may be asked again.")]
        | Unset
    ) = UNSET


class PickRequest(Message, frozen=True, kw_only=True):
    """Which arm of a ranking somebody took."""

    arm: Annotated[Id, Meta(description="One of the ranking; null: none of them.")] | None


class PickAnswer(Message, frozen=True, kw_only=True):
    """A pick as it is kept, beside the ranking that it was made from."""

    decision_id: str
    arm: str | None
    ranking: list[str]
    picked_at: datetime.datetime


class OverrideRequest(Message, frozen=True, kw_only=True):
    """What an employee does in place of a decision, and why."""

    arm: Annotated[Id, Meta(description='One that was eligible for the decision: "action" or "action/treatment".')]
    reason: Annotated[
        str, Meta(min_length=1, max_length=1_000, pattern=NO_CONTROL, description="In the employee's own words.")
    ]
    employee_id: Annotated[Id, Meta(description="Who overrides. Never stored as given.")]


class OverrideAnswer(Message, frozen=True, kw_only=True):
    """An override as it is kept: apart from the decision, and without a probability, since nothing was drawn."""

    decision_id: str
    action: str
    treatment: str | None
    arm: Annotated[str, Meta(description="The employee's choice.")]
    decided_arm: Annotated[str, Meta(description="The system's choice.")]
    shown: Annotated[list[str], Meta(description="All that the system had put forward.")]
    reason: str
    employee: Annotated[str, Meta(description="A pseudonym.")]
    overridden_at: datetime.datetime


class Outcome(Message, frozen=True, kw_only=True):
    """Something that a customer did. It names a decision, a customer, or both."""

    outcome_id: Annotated[Id, Meta(description="Names the outcome: sent twice, it counts once.")]
    type: Annotated[Name, Meta(description="A type that the reward definition declares.")]
    decision_id: Id | None = None
    customer_id: Id | None = None
    amount: Amount | None = None
    occurred_at: Moment | None = None
    slot: Annotated[Name, Meta(description="Which slot of the decision it is about; needs decisionId.")] | None = None


class CustomerProfile(Message, frozen=True, kw_only=True):
    """A customer's facts; they replace what was stored."""

    customer_id: Id
    facts: Facts


class TriggeredDecision(Message, frozen=True, kw_only=True):
    """The decision that an event asks for, about its customer. decision_id: by default made from the event's id."""

    channel: Annotated[Name, Meta(description="A channel that the workspace declares.")]
    decision_id: Annotated[Id, Meta(description='By default "event:" and the event\'s id.')] | None = None
    facts: Annotated[Facts, Meta(description="What is known now beside the profile; not kept there.")] = {}
    defer_activation: bool = False
    top_k: Annotated[int, Meta(ge=1, le=50)] | None = None
    excluded_arms: Annotated[list[Id], Meta(max_length=1_000)] = []


class CustomerEvent(Message, frozen=True, kw_only=True):
    """Something that happened to a customer: it changes what is known, and may ask for a decision."""

    event_id: Annotated[Id, Meta(description="Names the event: sent twice, it counts once.")]
    customer_id: Annotated[Id, Meta(description="Never stored as given.")]
    type: Annotated[Name, Meta(description="What happened, such as travel_booked.")]
    facts: Annotated[Facts, Meta(description="Facts of the profile that change; null removes one.")] = {}
    occurred_at: Moment | None = None
    decide: Annotated[TriggeredDecision, Meta(description="Answered with the event.")] | None = None


class EventAnswer(Message, frozen=True, kw_only=True):
    """What became of an event, and the decision that it asked for.

    outdated: its facts that were left alone, as something newer is known of them; told when the event is new.
    """

    event_id: str
    receipt: Literal["created", "duplicate"]
    outdated: list[str] = []
    decision: DecisionAnswer | None
