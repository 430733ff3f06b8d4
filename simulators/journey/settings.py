"""A journey world as settings: every table says where its numbers come from.

`source` names a publication or data set, or begins with "assumption", or names the keys of its table that are one;
assumptions are what a sensitivity run varies.
Rates and durations are per week or in weeks where nothing else is said; money is in the catalogue's unit.
"""

from collections.abc import Mapping
from typing import Annotated, Literal

from msgspec import Meta

from bandit_nba.catalogue.action import Feature, Kind
from bandit_nba.settings import Settings

Name = Annotated[str, Meta(pattern="^[a-z][a-z0-9_]{0,63}$")]
Share = Annotated[float, Meta(ge=0.0, le=1.0)]
Positive = Annotated[float, Meta(gt=0.0, le=1e9)]
NotNegative = Annotated[float, Meta(ge=0.0, le=1e9)]
Chance = Annotated[float, Meta(ge=0.0, lt=1.0)]
Logit = Annotated[float, Meta(ge=-300.0, le=300.0)]
Tilt = Annotated[float, Meta(ge=-50.0, le=50.0)]
Product = Annotated[str, Meta(pattern="^[a-z0-9][a-z0-9_.-]{0,63}$|^$")]
StepNumber = Annotated[int, Meta(ge=0, le=10_000)]
Source = Annotated[str, Meta(min_length=10)]
Stage = Literal["prospect", "onboarding", "active", "loyal", "at_risk", "churned", "won_back"]
UpliftType = Literal["persuadable", "sure_thing", "lost_cause", "do_not_disturb"]
ASSUMPTION = "assumption"
MADE_UP: Source = f"{ASSUMPTION}: made up for this world"


class NumberFact(Settings, frozen=True, kw_only=True):
    """A number drawn log-normally around `median`, `spread` the standard deviation of its logarithm."""

    median: Positive
    spread: Annotated[float, Meta(ge=0.0, le=10.0)] = 0.3


class Persona(Settings, frozen=True, kw_only=True):
    """A kind of customer. `match`: facts of a given population that make a customer one of it; else drawn by `share`.

    numbers, categories, flags: what facts such customers have, where the world makes them up. channels: how they
    divide their attention. types: shares of the four uplift types. stages: where customers of it start.
    """

    name: Name
    source: Source = MADE_UP
    share: NotNegative = 1.0
    match: Mapping[str, str | bool] = {}
    numbers: Mapping[Name, NumberFact] = {}
    categories: Mapping[Name, Mapping[str, NotNegative]] = {}
    flags: Mapping[Name, Share] = {}
    owns: Mapping[Name, Share] = {}
    channels: Mapping[Name, NotNegative]
    types: Mapping[UpliftType, NotNegative]
    stages: Mapping[Stage, NotNegative]


class DelayPart(Settings, frozen=True, kw_only=True):
    """One exponential part of a mixture of delays."""

    share: Share
    mean_hours: Positive


class Touchpoint(Settings, frozen=True, kw_only=True):
    """A channel: who begins, what a contact costs and wears, who consents, quiet hours, how long answers take.

    quiet_from, quiet_until: hours of the day, local; equal means never quiet. appeal: in logits.
    """

    channel: Name
    direction: Literal["inbound", "outbound"]
    source: Source
    cost: NotNegative = 0.0
    fatigue: NotNegative = 1.0
    consent: Share = 1.0
    quiet_from: Annotated[int, Meta(ge=0, le=24)] = 0
    quiet_until: Annotated[int, Meta(ge=0, le=24)] = 0
    appeal: Logit = 0.0
    delays: Annotated[tuple[DelayPart, ...], Meta(min_length=1)]


class Offer(Settings, frozen=True, kw_only=True):
    """An action of this world: the catalogue's fields, and what it does.

    margin: money a week from whoever has taken it. stages: where it makes sense. needs: products that it goes with.
    event: the life event that it answers, `boost` logits while that is open. appeal: logits. protects_weeks: how long
    an accepted one keeps customers. arrives, retires: steps of the world.
    """

    id: Name
    source: Source = MADE_UP
    kind: Kind
    group: Name
    title: str = ""
    value: NotNegative = 1.0
    cost: NotNegative = 0.0
    margin: NotNegative = 0.0
    channels: tuple[Name, ...] = ()
    owned_as: Product = ""
    stages: tuple[Stage, ...] = ("onboarding", "active", "loyal", "at_risk", "won_back")
    needs: Product = ""
    event: str = ""
    only_in_event: bool = False
    boost: Logit = 0.0
    appeal: Logit | None = None
    protects_weeks: NotNegative = 0.0
    arrives: StepNumber = 0
    retires: StepNumber | None = None
    features: Mapping[str, Feature] = {}


class Purchases(Settings, frozen=True, kw_only=True):
    """BG/NBD and Gamma-Gamma: buying that no action changes. margin: the share of an amount that is earned."""

    source: Source
    r: Positive
    alpha: Positive
    a: Positive
    b: Positive
    p: Positive
    q: Annotated[float, Meta(gt=1.0)]
    v: Positive
    margin: Share = 0.3
    lapse_weeks: Positive = 26.0


class Contract(Settings, frozen=True, kw_only=True):
    """sBG: each customer leaves with an own, constant chance at every renewal, Beta(alpha, beta) over customers.

    stock: who are customers at step 0 leave "as_new", or as "survivors" of the n renewals since they joined, whose
    chance is Beta(alpha, beta + n): with them long tenure tells of loyalty.
    """

    source: Source
    alpha: Positive
    beta: Positive
    renewal_weeks: Positive = 52.0
    stock: Literal["as_new", "survivors"] = "as_new"


class Uplift(Settings, frozen=True, kw_only=True):
    """Responses without and with a contact. organic: chance per step without one, by type; gain: what share of the
    offer's own appeal counts, by type; harm: what share of the organic chance a contact destroys.

    best_fixed: mean response of the best fixed action at the start, which sets the level. heterogeneity: logits per
    deviation of taste. type_sharpness: how well facts tell the type. stages: logits by stage.
    """

    source: Source
    organic: Mapping[UpliftType, Chance]
    gain: Mapping[UpliftType, Share]
    harm: Mapping[UpliftType, Share]
    best_fixed: Annotated[float, Meta(gt=0.0, lt=0.9)]
    heterogeneity: NotNegative = 1.0
    type_sharpness: Annotated[float, Meta(ge=0.0, le=50.0)] = 1.0
    stages: Mapping[Stage, Logit] = {}


class Fatigue(Settings, frozen=True, kw_only=True):
    """F rises by a touchpoint's weight with each contact and halves in `half_life_weeks`.

    response: gains are multiplied by exp(-response F). opt_out: chance per contact that consent is withdrawn, at F = 0;
    opt_out_growth: its logarithm grows by this times F.
    """

    source: Source
    half_life_weeks: Positive
    response: NotNegative
    opt_out: Share
    opt_out_growth: NotNegative = 0.0


class Retention(Settings, frozen=True, kw_only=True):
    """What multiplies the hazard of leaving: exp(issue I + fatigue F - protection P - loyal L).

    leave_per_week: hazard of leaving at any time, beside contracts and drop-out. win_back_per_week: of coming back.
    """

    source: Source
    issue: NotNegative = 0.0
    fatigue: NotNegative = 0.0
    protection: NotNegative = 0.0
    loyal: NotNegative = 0.0
    leave_per_week: Chance = 0.0
    win_back_per_week: Chance = 0.0
    risk_above: Positive = 1.5


class Care(Settings, frozen=True, kw_only=True):
    """After-sales service: troubles come at a rate, more while onboarding, and stay until solved."""

    source: Source
    issues_per_week: Share = 0.0
    onboarding_factor: Positive = 1.0
    self_healing_per_week: Share = 0.0


class LifeEvent(Settings, frozen=True, kw_only=True):
    """A kind of event: a Poisson process of `per_year`, open for `window_weeks`.

    trait: a fact (a number, or "fact=value", "fact=true") that makes it likelier: rate x exp(weight x standardised
    trait), divided by the mean of that over the population, so that `per_year` stays the mean.
    """

    name: Name
    source: Source
    per_year: NotNegative
    window_weeks: Positive
    trait: str = ""
    weight: Tilt = 0.0


class Calendar(Settings, frozen=True, kw_only=True):
    """Seasons in logits: amplitude x cos(2 pi (week - peak) / 52.18) of the year, and one number per weekday."""

    source: Source
    yearly_amplitude: NotNegative = 0.0
    peak_week: NotNegative = 50.0
    weekdays: tuple[Logit, ...] = ()


class Drift(Settings, frozen=True, kw_only=True):
    """How tastes change: u(t) = cos(angle) u_old + sin(angle) u_new for a share of the arms.

    kind: gradual: the angle grows to a quarter turn over `over_steps` from `at_step`; abrupt: it jumps at `at_step`.
    """

    source: Source
    kind: Literal["none", "gradual", "abrupt"] = "none"
    at_step: Annotated[int, Meta(ge=0)] = 0
    over_steps: Annotated[int, Meta(ge=1)] = 52
    share: Share = 1.0


class Limits(Settings, frozen=True, kw_only=True):
    """Contact cap over a window of steps, and money for contacts per step and 1,000 customers (0: no limit)."""

    source: Source
    contacts: Annotated[int, Meta(ge=1, le=62)] = 62
    within_steps: Annotated[int, Meta(ge=1, le=62)] = 4
    budget_per_1000: NotNegative = 0.0


class Lifecycle(Settings, frozen=True, kw_only=True):
    """When customers move on by themselves, in weeks."""

    source: Source
    onboarding_weeks: Positive = 8.0
    loyal_after_weeks: Positive = 52.0


class Population(Settings, frozen=True, kw_only=True):
    """telco: the real customers of the Telco table, drawn with replacement; personas: made-up profiles."""

    source: Source
    kind: Literal["telco", "personas"]
    profiles: Annotated[int, Meta(ge=100, le=1_000_000)] = 8_000


class JourneySettings(Settings, frozen=True, kw_only=True):
    """A whole world; what is left out does not happen. source: of the numbers that stand in no table of their own."""

    title: str
    source: Source = MADE_UP
    step_days: Positive = 7.0
    steps: Annotated[int, Meta(ge=1, le=10_000)] = 104
    start: str = "2023-01-02T10:00:00Z"
    horizon_hours: Positive = 168.0
    discount_per_year: Annotated[float, Meta(gt=0.0, le=1.0)] = 0.9
    base_margin: NotNegative = 0.0
    population: Population
    personas: Annotated[tuple[Persona, ...], Meta(min_length=1)]
    touchpoints: Annotated[tuple[Touchpoint, ...], Meta(min_length=1)]
    actions: Annotated[tuple[Offer, ...], Meta(min_length=1)]
    uplift: Uplift
    fatigue: Fatigue
    retention: Retention
    lifecycle: Lifecycle
    care: Care | None = None
    purchases: Purchases | None = None
    contract: Contract | None = None
    calendar: Calendar | None = None
    drift: Drift | None = None
    limits: Limits | None = None
    life_events: tuple[LifeEvent, ...] = ()
