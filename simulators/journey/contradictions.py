"""What the types of a world's settings cannot say: mistakes that would end in nonsense are named before it is built."""

import datetime
from collections.abc import Iterator, Sequence

from bandit_nba.catalogue.load import catalogue_problems
from bandit_nba.errors import SettingsError
from simulators.journey.catalogue import ISSUE, MOVING, journey_catalogue, starting
from simulators.journey.fatigue import decay
from simulators.journey.settings import JourneySettings, Offer, Persona

MOST_EXPONENT = 700.0  # exp(709) is the largest number there is
MOST_PURCHASES = 10_000.0  # a step, of the mean customer
NO_EVENT = "none"  # what the fact `event` says where no window is open


def contradictions(settings: JourneySettings) -> Iterator[SettingsError]:
    """Each mistake, in the order of the settings."""
    yield from _calendar(settings)
    made_up = settings.population.kind == "personas"
    yield from _twice("persona", [persona.name for persona in settings.personas])
    yield from _twice("touchpoint", [touchpoint.channel for touchpoint in settings.touchpoints])
    yield from _twice("life event", [event.name for event in settings.life_events])
    yield from _twice("action", [offer.id for offer in settings.actions])
    if made_up:
        yield from _made_up(settings.personas)
    for offer in settings.actions:
        yield from _offer(offer)
    for event in settings.life_events:
        if event.name in (NO_EVENT, ISSUE):
            yield SettingsError("is a name of its own", where=f"life_events.{event.name}", got=event.name)
    yield from _exponents(settings)
    if settings.purchases and settings.purchases.r / settings.purchases.alpha * settings.step_days / 7 > MOST_PURCHASES:
        law = settings.purchases
        allowed = f"up to {MOST_PURCHASES:,.0f} purchases a step of the mean customer, r / alpha x weeks"
        yield SettingsError("customers buy too often", where="purchases.r", got=law.r / law.alpha, allowed=allowed)
    facts = {name: "number" for persona in settings.personas for name in _facts(persona)} if made_up else {}
    catalogue = journey_catalogue(settings, facts)  # type: ignore[arg-type]
    yield from catalogue_problems(catalogue, channels=[t.channel for t in settings.touchpoints], where="world")


def _calendar(settings: JourneySettings) -> Iterator[SettingsError]:
    allowed = 'a date and time such as "2023-01-02T10:00:00Z"; without a zone it is UTC'
    try:
        starting(settings)
    except ValueError as error:
        yield SettingsError(f"is no date ({error})", where="start", got=settings.start, allowed=allowed)
        return
    latest = max([settings.steps, *(a.arrives for a in settings.actions), *(a.retires or 0 for a in settings.actions)])
    try:
        starting(settings) + datetime.timedelta(days=settings.step_days) * latest
    except OverflowError:
        yield SettingsError("ends after the year 9999", where="step_days", got=settings.step_days)


def _twice(kind: str, names: Sequence[str]) -> Iterator[SettingsError]:
    for name in dict.fromkeys(name for name in names if names.count(name) > 1):
        yield SettingsError(f"two have this name, each {kind} needs its own", where=f"{kind}s", got=name)


def _made_up(personas: Sequence[Persona]) -> Iterator[SettingsError]:
    if not sum(persona.share for persona in personas) > 0.0:
        yield SettingsError("all are zero", where="personas.share", allowed="at least one above zero")
    if not any(_facts(persona) for persona in personas):
        hint = "give one of numbers, categories, flags"
        yield SettingsError("no persona has a fact", where="personas", hint=hint)
    kinds: dict[str, str] = {}
    for persona in personas:
        place = f"personas.{persona.name}"
        if persona.match:
            hint = "made-up customers are divided by `share`"
            yield SettingsError("there is no given population to match", where=f"{place}.match", hint=hint)
        for kind in ("numbers", "categories", "flags"):
            for name in getattr(persona, kind):
                where = f"{place}.{kind}.{name}"
                if name in MOVING:
                    yield SettingsError("is a fact of the world's own", where=where, got=name, hint="rename it")
                elif kinds.setdefault(name, kind) != kind:
                    yield SettingsError(f"stands under {kinds[name]}, too", where=where, got=name, allowed="one kind")


def _facts(persona: Persona) -> tuple[str, ...]:
    return (*persona.numbers, *(name for name, shares in persona.categories.items() if shares), *persona.flags)


def _offer(offer: Offer) -> Iterator[SettingsError]:
    place = f"actions.{offer.id}"
    if offer.only_in_event and not offer.event:
        yield SettingsError("names no event", where=f"{place}.only_in_event", got=True, hint='event = "..." or "issue"')
    if offer.retires is not None and offer.retires <= offer.arrives:
        allowed = f"after step {offer.arrives}, at which it arrives"
        yield SettingsError("retires before it arrives", where=f"{place}.retires", got=offer.retires, allowed=allowed)


def _exponents(settings: JourneySettings) -> Iterator[SettingsError]:
    """Fatigue is largest where every step is a contact: weight x (1 + d + d^2 + ...), d what a step leaves of it."""
    left = decay(settings.fatigue, weeks=settings.step_days / 7.0)
    heaviest = max(touchpoint.fatigue for touchpoint in settings.touchpoints)
    largest = heaviest * (settings.steps if left == 1.0 else (1.0 - left**settings.steps) / (1.0 - left))
    law = settings.retention
    for place, exponent in (
        ("fatigue.opt_out_growth", settings.fatigue.opt_out_growth * largest),
        ("retention.fatigue", law.fatigue * largest + law.issue),
    ):
        if not exponent <= MOST_EXPONENT:
            allowed = f"so that it is at most {MOST_EXPONENT:g}, with a contact at every step (F = {largest:g})"
            yield SettingsError("the exponent is too large", where=place, got=exponent, allowed=allowed)
    calendar = settings.calendar
    if calendar and calendar.yearly_amplitude + max(map(abs, calendar.weekdays), default=0.0) > MOST_EXPONENT / 2:
        got = calendar.yearly_amplitude
        yield SettingsError("is too large", where="calendar.yearly_amplitude", got=got, allowed="up to 350 logits")
