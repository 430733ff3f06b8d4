"""What a step asks by stage, channel, life event and trouble at once, laid out before any step is taken."""

from dataclasses import dataclass

import numpy as np

from bandit_nba.decide.columns import Bools, Floats, Ints
from bandit_nba.errors import SettingsError
from bandit_nba.settings import nearest
from simulators.journey.catalogue import ISSUE
from simulators.journey.lifecycle import STAGES
from simulators.journey.population import shares_of
from simulators.journey.settings import JourneySettings
from simulators.journey.uplift import by_type

NONE_OWNED = np.int64(1) << 62
"""A bit that no product has, so that one test serves arms with and without a product."""
MOST_ORGANIC = 0.95
HALF_A_YEAR = 26.0  # weeks of margin that an organic purchase is worth at once


@dataclass(frozen=True)
class Tables:
    """Arrays over K arms, C channels, S stages, E events, and codes ((stage C + channel)(E + 1) + event) 2 + trouble.

    code: the codes by (S, C, E + 1, 2). fits: bool (codes, K). logits: float64 (codes, K) beside tastes and seasons.
    organic: (types, S). gain, harm: (types, K), 0 for no action. bought, needs: bits of products; concerns: either.
    value, margin: of a response, at once and a week. cost: (C, K). protects: weeks. solves: services that end a
    trouble. arrives, retires: steps. attention: (personas, C) cumulative. weight, consent: by channel; awake: bool
    (C, 24). stages: (personas, S) cumulative.
    """

    fits: Bools
    logits: Floats
    code: Ints
    organic: Floats
    gain: Floats
    harm: Floats
    bought: Ints
    needs: Ints
    concerns: Ints
    value: Floats
    margin: Floats
    cost: Floats
    protects: Floats
    solves: Bools
    arrives: Ints
    retires: Ints
    attention: Floats
    weight: Floats
    consent: Floats
    awake: Bools
    stages: Floats


def tables(settings: JourneySettings, products: tuple[str, ...]) -> Tables:
    """All tables of a world.

    Raises
    ------
    SettingsError
        If an action, persona or touchpoint names what the world does not have.
    """
    channels = tuple(t.channel for t in settings.touchpoints)
    events = tuple(e.name for e in settings.life_events)
    _check(settings, channels, events, products)
    organic, gain, harm = by_type(settings.uplift)
    stage_logits = np.array([settings.uplift.stages.get(stage, 0.0) for stage in STAGES])
    odds = organic[:, None] / (1.0 - organic[:, None]) * np.exp(stage_logits)
    offers = settings.actions
    value = np.array([0.0, *(o.value for o in offers)])
    margin = np.array([0.0, *(o.margin for o in offers)])
    value[0] = float(np.mean(value[1:]) + HALF_A_YEAR * np.mean(margin[1:]))
    contact = np.array([0.0, *(1.0 for _ in offers)])
    bought = np.array([0, *(_bit(o.owned_as, products) for o in offers)], dtype=np.int64)
    needs = np.array([0, *(_bit(o.needs, products) for o in offers)], dtype=np.int64)
    personas = [f"personas.{p.name}" for p in settings.personas]
    shape = (len(STAGES), len(channels), len(events) + 1, 2)
    return Tables(
        code=np.arange(int(np.prod(shape))).reshape(shape),
        fits=_fits(settings, channels, events),
        logits=_logits(settings, stage_logits, events),
        organic=np.minimum(odds / (1.0 + odds), MOST_ORGANIC),
        gain=np.outer(gain, contact),
        harm=np.outer(harm, contact),
        bought=bought,
        needs=needs,
        concerns=bought | needs,
        value=value,
        margin=margin,
        cost=np.array([[0.0, *(o.cost + t.cost for o in offers)] for t in settings.touchpoints]),
        protects=np.array([0.0, *(o.protects_weeks for o in offers)]),
        solves=np.array([False, *(o.kind == "service" for o in offers)]),
        arrives=np.array([0, *(o.arrives for o in offers)], dtype=np.int64),
        retires=np.array([1 << 40, *(1 << 40 if o.retires is None else o.retires for o in offers)], dtype=np.int64),
        attention=_cumulative(
            [
                shares_of(p.channels, channels, where=f"{w}.channels")
                for p, w in zip(settings.personas, personas, strict=True)
            ]
        ),
        weight=np.array([t.fatigue for t in settings.touchpoints]),
        consent=np.array([t.consent for t in settings.touchpoints]),
        awake=np.array(
            [[not _is_quiet(hour, t.quiet_from, t.quiet_until) for hour in range(24)] for t in settings.touchpoints]
        ),
        stages=_cumulative(
            [shares_of(p.stages, STAGES, where=f"{w}.stages") for p, w in zip(settings.personas, personas, strict=True)]
        ),
    )


def _fits(settings: JourneySettings, channels: tuple[str, ...], events: tuple[str, ...]) -> Bools:
    """Which arms fit stage, channel, event and trouble, laid out by code."""
    fits = np.ones((len(STAGES), len(channels), len(events) + 1, 2, len(settings.actions) + 1), dtype=np.bool_)
    for k, offer in enumerate(settings.actions, start=1):
        fits[:, :, :, :, k] &= np.array([stage in offer.stages for stage in STAGES])[:, None, None, None]
        if offer.channels:
            fits[:, :, :, :, k] &= np.array([channel in offer.channels for channel in channels])[None, :, None, None]
        if offer.only_in_event and offer.event == ISSUE:
            fits[:, :, :, 0, k] = False
        elif offer.only_in_event:
            fits[:, :, :, :, k] &= np.array([event == offer.event for event in ("", *events)])[None, None, :, None]
    return fits.reshape(-1, fits.shape[-1])


def _logits(settings: JourneySettings, stage_logits: Floats, events: tuple[str, ...]) -> Floats:
    """What stage, channel, event and trouble add, laid out by code."""
    appeal = np.array([t.appeal for t in settings.touchpoints])
    shape = (len(STAGES), len(appeal), len(events) + 1, 2, len(settings.actions) + 1)
    logits = np.zeros(shape) + (stage_logits[:, None] + appeal)[:, :, None, None, None]
    for k, offer in enumerate(settings.actions, start=1):
        if offer.event == ISSUE:
            logits[:, :, :, 1, k] += offer.boost
        elif offer.event:
            logits[:, :, 1 + events.index(offer.event), :, k] += offer.boost
    laid: Floats = logits.reshape(-1, shape[-1])
    return laid


def _cumulative(shares: list[Floats]) -> Floats:
    """Rows of cumulative shares, whose last is 1 exactly, so that every uniform finds its place."""
    found = np.cumsum(shares, axis=1)
    found[:, -1] = 1.0
    return found


def _bit(product: str, products: tuple[str, ...]) -> int:
    return 1 << products.index(product) if product else 0


def _is_quiet(hour: int, start: int, stop: int) -> bool:
    if start <= stop:
        return start <= hour < stop
    return hour >= start or hour < stop


def _check(
    settings: JourneySettings, channels: tuple[str, ...], events: tuple[str, ...], products: tuple[str, ...]
) -> None:
    for offer in settings.actions:
        place = f"actions.{offer.id}"
        for channel in offer.channels:
            if channel not in channels:
                hint = nearest(channel, channels)
                raise SettingsError("unknown channel", where=f"{place}.channels", got=channel, hint=hint)
        if offer.event and offer.event not in (*events, ISSUE):
            hint = nearest(offer.event, (*events, ISSUE))
            raise SettingsError("unknown event", where=f"{place}.event", got=offer.event, hint=hint)
        if offer.needs and offer.needs not in products:
            hint = nearest(offer.needs, products)
            raise SettingsError("unknown product", where=f"{place}.needs", got=offer.needs, hint=hint)
