"""The catalogue in force: what could be decided, and under which rules."""

import datetime
from collections.abc import Mapping
from typing import Annotated

import msgspec
from msgspec import Meta

from bandit_nba.catalogue.action import Action, Catalogue, Group, Rules
from bandit_nba.catalogue.facts import FactKind
from bandit_nba.errors import UnknownIdError
from bandit_nba.online.messages import Message
from bandit_nba.online.replica import Replica
from bandit_nba.settings import nearest
from serve.endpoint import Call, Operation, Reply


class RulesAnswer(Message, frozen=True, kw_only=True):
    """Engagement rules in CEL; "" where there is none."""

    consent: str
    eligibility: str
    applicability: str
    suitability: str


class GroupAnswer(Message, frozen=True, kw_only=True):
    """Actions with one business purpose; its rules hold for each of them."""

    title: str
    rules: RulesAnswer


class TreatmentAnswer(Message, frozen=True, kw_only=True):
    """A message variant of an action. channels: empty for all of the action's."""

    id: str
    arm: Annotated[str, Meta(description="What decisions call it.")]
    channels: list[str]
    features: dict[str, float | str]
    text: str


class ActionAnswer(Message, frozen=True, kw_only=True):
    """Something the business can do for a customer."""

    id: str
    title: str
    kind: str
    group: str
    value: Annotated[float, Meta(description="What one response is worth.")]
    cost: Annotated[float, Meta(description="What one contact costs.")]
    channels: Annotated[list[str], Meta(description="Empty for all.")]
    valid_from: datetime.datetime | None
    valid_until: datetime.datetime | None
    owned_as: str
    features: dict[str, float | str]
    mandatory: bool
    safe_without_profile: bool
    retired: bool
    rules: RulesAnswer
    treatments: list[TreatmentAnswer]


class CatalogueAnswer(Message, frozen=True, kw_only=True):
    """The whole catalogue; "no action" is always possible and stands in none."""

    version: Annotated[str, Meta(description="As decisions name it in catalogueVersion.")]
    facts: Annotated[dict[str, FactKind], Meta(description="What may be known of a customer or a request.")]
    rules: Annotated[RulesAnswer, Meta(description="For all actions.")]
    groups: dict[str, GroupAnswer]
    actions: list[ActionAnswer]


def operations(replica: Replica) -> list[Operation]:
    """The operations on the catalogue."""
    told: dict[str, bytes] = {}

    async def whole(_: Call) -> Reply:
        catalogue = replica.workspace.catalogue
        if catalogue.version not in told:
            told.clear()
            told[catalogue.version] = msgspec.json.encode(_catalogue(catalogue))
        return Reply(200, told[catalogue.version])

    async def one(call: Call) -> Reply:
        wanted = call.params["actionId"]
        known = {action.id: action for action in replica.workspace.catalogue.actions}
        if wanted not in known:
            hint = nearest(wanted, known) if len(wanted) <= 256 else ""
            raise UnknownIdError("no such action", where="actionId", got=wanted[:256], hint=hint)
        return Reply(200, msgspec.json.encode(_action(known[wanted])))

    return [
        Operation(
            method="GET",
            path="/v1/catalogue",
            name="getCatalogue",
            scope="read",
            summary="The catalogue in force: facts, rules, groups, actions and their treatments.",
            handler=whole,
            replies={200: (CatalogueAnswer,)},
            shows={**_SHOWN, "actions": [_SHOWN_ACTION]},
        ),
        Operation(
            method="GET",
            path="/v1/catalogue/actions/{actionId}",
            name="getAction",
            scope="read",
            summary="One action of the catalogue in force.",
            handler=one,
            replies={200: (ActionAnswer,)},
            shows=_SHOWN_ACTION,
        ),
    ]


def _catalogue(catalogue: Catalogue) -> CatalogueAnswer:
    return CatalogueAnswer(
        version=catalogue.version,
        facts=dict(catalogue.facts),
        rules=_rules(catalogue.rules),
        groups={name: _group(group) for name, group in catalogue.groups.items()},
        actions=[_action(action) for action in catalogue.actions],
    )


def _group(group: Group) -> GroupAnswer:
    return GroupAnswer(title=group.title, rules=_rules(group))


def _rules(rules: Rules) -> RulesAnswer:
    return RulesAnswer(
        consent=rules.consent,
        eligibility=rules.eligibility,
        applicability=rules.applicability,
        suitability=rules.suitability,
    )


def _action(action: Action) -> ActionAnswer:
    treatments = [
        TreatmentAnswer(
            id=one.id,
            arm=f"{action.id}/{one.id}",
            channels=list(one.channels),
            features=_features(one.features),
            text=one.text,
        )
        for one in action.treatments
    ]
    return ActionAnswer(
        id=action.id,
        title=action.title,
        kind=action.kind,
        group=action.group,
        value=action.value,
        cost=action.cost,
        channels=list(action.channels),
        valid_from=_utc(action.valid_from),
        valid_until=_utc(action.valid_until),
        owned_as=action.owned_as,
        features=_features(action.features),
        mandatory=action.mandatory,
        safe_without_profile=action.safe_without_profile,
        retired=action.retired,
        rules=_rules(action),
        treatments=treatments,
    )


def _features(features: Mapping[str, float | str]) -> dict[str, float | str]:
    return dict(features)


def _utc(moment: datetime.datetime | None) -> datetime.datetime | None:
    """A date and time without a zone is UTC."""
    return moment if moment is None or moment.tzinfo else moment.replace(tzinfo=datetime.UTC)


_NO_RULES = {"consent": "", "eligibility": "", "applicability": "", "suitability": ""}
_SHOWN_ACTION = {
    "id": "fiber_upgrade",
    "title": "Faster internet",
    "kind": "offer",
    "group": "upsell",
    "value": 120.0,
    "cost": 0.5,
    "channels": ["web", "email"],
    "validFrom": None,
    "validUntil": None,
    "ownedAs": "fiber",
    "features": {"topic": "internet"},
    "mandatory": False,
    "safeWithoutProfile": False,
    "retired": False,
    "rules": {**_NO_RULES, "consent": "consent_marketing"},
    "treatments": [
        {"id": "speed", "arm": "fiber_upgrade/speed", "channels": [], "features": {}, "text": "Five times as fast."}
    ],
}
_SHOWN = {
    "version": "5f0c2d9a41be",
    "facts": {"internet": "category", "consent_marketing": "boolean"},
    "rules": _NO_RULES,
    "groups": {"upsell": {"title": "More for the customer", "rules": _NO_RULES}},
}
