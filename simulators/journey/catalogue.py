"""A journey world's actions as the product's catalogue: the same rules, written in CEL over the world's facts."""

import datetime

from bandit_nba.catalogue import Catalogue, FactSchema
from bandit_nba.catalogue.action import Action, Group, Rules
from simulators.journey.lifecycle import STAGES
from simulators.journey.settings import JourneySettings, Limits, Offer

ISSUE = "issue"
MOVING: FactSchema = {
    "stage": "category",
    "tenure_weeks": "number",
    "recency_weeks": "number",
    "purchases": "number",
    "recent_contacts": "number",
    "event": "category",
    "issue": "boolean",
    "consent": "boolean",
    "awake": "boolean",
    "owned": "set",
}
"""Facts that change from step to step, beside those of the profile."""


def journey_catalogue(settings: JourneySettings, schema: FactSchema, *, live: bool = False) -> Catalogue:
    """The catalogue; `schema` holds the facts of profiles.

    live: actions come and go by the fact `step` instead of by the calendar, for a service whose clock is not the
    world's.
    """
    start = starting(settings)
    limits = settings.limits or Limits(source=ASSUMED)
    return Catalogue(
        facts={**schema, **MOVING, **({"step": "number"} if live else {})},
        rules=Rules(
            consent="customer.consent == true",
            suitability=f"customer.awake == true && customer.recent_contacts < {limits.contacts}.0",
        ),
        groups={
            group: Group(title=group.replace("_", " ")) for group in dict.fromkeys(a.group for a in settings.actions)
        },
        actions=tuple(_action(offer, settings, start, live=live) for offer in settings.actions),
    )


ASSUMED = "assumption: no limits"


def starting(settings: JourneySettings) -> datetime.datetime:
    """When step 0 is; a date and time without a zone is UTC, whatever the machine's own is."""
    found = datetime.datetime.fromisoformat(settings.start)
    return found if found.tzinfo else found.replace(tzinfo=datetime.UTC)


def _action(offer: Offer, settings: JourneySettings, start: datetime.datetime, *, live: bool) -> Action:
    step = datetime.timedelta(days=settings.step_days)
    return Action(
        id=offer.id,
        kind=offer.kind,
        group=offer.group,
        title=offer.title or offer.id.replace("_", " "),
        value=offer.value,
        cost=offer.cost,
        channels=offer.channels,
        owned_as=offer.owned_as,
        features=offer.features,
        applicability=_applicability(offer),
        eligibility=_by_step(offer) if live else "",
        valid_from=start + offer.arrives * step if offer.arrives and not live else None,
        valid_until=None if offer.retires is None or live else start + offer.retires * step,
    )


def _by_step(offer: Offer) -> str:
    parts = [f"customer.step >= {offer.arrives}.0"] if offer.arrives else []
    parts += [] if offer.retires is None else [f"customer.step < {offer.retires}.0"]
    return " && ".join(parts)


def _applicability(offer: Offer) -> str:
    parts = []
    if set(offer.stages) != set(STAGES):
        named = ", ".join(f'"{stage}"' for stage in offer.stages)
        parts.append(f"customer.stage in [{named}]")
    if offer.needs:
        parts.append(f'"{offer.needs}" in customer.owned')
    if offer.only_in_event:
        parts.append("customer.issue == true" if offer.event == ISSUE else f'customer.event == "{offer.event}"')
    return " && ".join(parts)
