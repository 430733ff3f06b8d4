"""What a period does to customers, once their decision was carried out."""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from bandit_nba.decide.columns import Bools, Floats, Ints
from simulators.journey import contracts, fatigue, life_events, purchases
from simulators.journey.delays import ChannelDelays
from simulators.journey.draws import Purpose, uniforms
from simulators.journey.lifecycle import CUSTOMER, STAGES, In, moved
from simulators.journey.settings import Care, JourneySettings
from simulators.journey.state import State
from simulators.journey.tables import Tables
from simulators.world import Outcome

MOST_CONTACTS = 62  # as many as a window of 62 steps can hold: no cap
DEFAULT_WINDOW = 4
LOST = np.array([In.CHURNED])
ONE = np.array([1])


class Met(NamedTuple):
    """Where and when n customers are met. awake: whether the channel may be used at this hour."""

    channel: Ints
    hour: Ints
    awake: Bools


class Foreseen(NamedTuple):
    """What no decision changes in one step of n customers, or in n steps of one.

    u: uniforms (WORLD, n). met: the next moment. kind: of a new life event, 0 for none; None in worlds without.
    """

    u: Floats
    met: Met
    kind: Ints | None

    def at(self, t: int) -> "Foreseen":
        """Step t of one customer."""
        one = slice(t, t + 1)
        channel, hour, awake = self.met
        kind = None if self.kind is None else self.kind[one]
        return Foreseen(self.u[:, one], Met(channel[one], hour[one], awake[one]), kind)


@dataclass
class Dynamics:
    """One step of a chunk of customers. events: cumulative chances of a step (P, E), None without life events."""

    settings: JourneySettings
    tables: Tables
    delays: ChannelDelays
    events: Floats | None
    horizon_s: float
    weeks: float

    def __post_init__(self) -> None:
        settings, weeks = self.settings, self.weeks
        self.onboarding_steps = max(1, round(settings.lifecycle.onboarding_weeks / weeks))
        self.loyal_steps = max(1, round(settings.lifecycle.loyal_after_weeks / weeks))
        self.renewal_steps = max(1, round(settings.contract.renewal_weeks / weeks)) if settings.contract else 0
        self.lapse_steps = max(1, round(settings.purchases.lapse_weeks / weeks)) if settings.purchases else 0
        self.event_steps = np.array([0, *(max(1, round(e.window_weeks / weeks)) for e in settings.life_events)])
        self.protect_steps = np.ceil(self.tables.protects / weeks).astype(np.int64)
        limits = settings.limits
        # Arrays of one number: numpy takes three times as long for Python's own, which counts with one customer.
        self.window = np.array([(1 << (limits.within_steps if limits else DEFAULT_WINDOW)) - 1])
        self.cap = np.array([limits.contacts if limits else MOST_CONTACTS])
        self.capped = bool(self.cap < MOST_CONTACTS)
        self.decay = np.array([fatigue.decay(settings.fatigue, weeks=weeks)])
        self.opt_out = np.array([settings.fatigue.opt_out])
        self.opt_out_growth = np.array([settings.fatigue.opt_out_growth])
        self.clock = np.arange(settings.steps + 2)
        self.base_margin = np.array([settings.base_margin])
        self.cost, self.arms = self.tables.cost.ravel(), np.array([self.tables.cost.shape[1]])
        self.channels, self.kinds = (np.array([size]) for size in self.tables.code.shape[1:3])
        self.wear = np.array([settings.retention.fatigue])
        self.risk_above = np.array([settings.retention.risk_above])
        self.settles, self.lasts = np.array([self.onboarding_steps]), np.array([self.loyal_steps])
        law = settings.retention
        stays = np.array([0.0, law.issue])
        safe = np.array([0.0, law.protection])
        loyal = np.array([law.loyal if stage == "loyal" else 0.0 for stage in STAGES])
        self.log_hazard = (stays[None, :, None] - loyal[:, None, None] - safe).ravel()  # stage, trouble, protection
        self.recurring = CUSTOMER * weeks
        self.log_stay = np.array([np.log1p(-settings.retention.leave_per_week) * weeks])
        self.back = np.array([-np.expm1(np.log1p(-settings.retention.win_back_per_week) * weeks)])
        self.comes_back = settings.retention.win_back_per_week > 0.0
        self.renews = np.array([max(self.renewal_steps, 1)])
        self.fixed_leaving = not settings.retention.leave_per_week
        care = settings.care or Care(source="assumption: nothing goes wrong")
        fresh = np.array([stage in ("onboarding", "won_back") for stage in STAGES])
        rate = care.issues_per_week * weeks * np.where(fresh, care.onboarding_factor, 1.0) * CUSTOMER
        heals = -np.expm1(-care.self_healing_per_week * weeks)
        self.turns = np.column_stack([-np.expm1(-rate), np.full(len(rate), heals)]).ravel()  # by stage and trouble

    def met(self, persona: Ints, u_channel: Floats, u_hour: Floats) -> Met:
        """Where and when customers are met, by uniforms (n,) each."""
        channel: Ints = (u_channel[:, None] < self.tables.attention[persona]).argmax(axis=1)
        hour = (24.0 * u_hour).astype(np.int64)
        return Met(channel, hour, self.tables.awake[channel, hour])

    def foresee(self, profile: Ints, persona: Ints, u: Floats) -> Foreseen:
        """What no decision changes, from uniforms (WORLD, n)."""
        met = self.met(persona, u[Purpose.CHANNEL], u[Purpose.HOUR])
        kind = None if self.events is None else life_events.drawn(self.events, profile, u[Purpose.LIFE_EVENT])
        return Foreseen(u, met, kind)

    def moment(self, state: State, met: Met) -> None:
        """Let customers be met here and now, with all that follows."""
        state.channel[:], state.hour[:] = met.channel, met.hour
        reachable = self.consents(state) & met.awake
        if self.capped:
            reachable = reachable & (np.bitwise_count(state.contacts) < self.cap)
        state.reachable[:] = reachable
        half = (state.stage * self.channels + met.channel) * self.kinds + state.event
        state.code[:] = half + half + state.issue  # as `Tables.code` lays it out

    def consents(self, state: State) -> Bools:
        """Whether the customer agrees to the channel of the moment, bool (N,)."""
        agreed: Bools = (state.consent >> state.channel & ONE).astype(np.bool_)
        return agreed

    def awake(self, state: State) -> Bools:
        """Whether the channel may be used at this hour, bool (N,)."""
        return self.tables.awake[state.channel, state.hour]

    def step(self, state: State, arm: Ints, chance: Floats, foreseen: Foreseen | None) -> Outcome:
        """The whole period; `chance` is that of a response to `arm`; `foreseen` where it was drawn before."""
        t = state.t
        if foreseen is None:
            foreseen = self.foresee(state.profile, state.persona, uniforms(state.stream, t + 1))
        u = foreseen.u
        now, later = self.clock[t : t + 1], self.clock[t + 1 : t + 2]
        contacted = arm.astype(np.bool_)
        responded = u[Purpose.RESPONSE] < chance
        rows = responded.nonzero()[0]
        delay_s, reward = self._answers(state, rows, u)
        value = (state.margin + self.base_margin) * self.recurring[state.stage]
        value = value - self.cost[state.channel * self.arms + arm]
        if len(rows):
            self._take(state, arm, rows, value)
        also: dict[str, Floats | Ints | Bools] = {"opted_out": self._tire(state, contacted, u[Purpose.OPT_OUT])}
        if self.settings.purchases is not None:
            also["amount"] = self._buy(state, u, value)
        trouble = state.stage + state.stage + state.issue
        hazard = self._hazard(state, trouble, now)
        left, joins = self._leave(state, responded, hazard, u[Purpose.CHURN], later)
        if self.settings.care is not None:
            state.issue ^= u[Purpose.ISSUE] < self.turns[trouble]  # troubles come and heal
        if foreseen.kind is not None:
            self._happen(state, foreseen.kind, later)
        self._move(state, joins, left, hazard, later)
        self.moment(state, foreseen.met)
        return Outcome(arm, responded, delay_s, reward, value, left, also)

    def _answers(self, state: State, rows: Ints, u: Floats) -> tuple[Floats, Floats]:
        """When the responses of these rows come, NaN elsewhere, and whether within the horizon; (N,) each."""
        delay_s = np.empty(len(state))
        delay_s.fill(np.nan)
        reward = np.zeros(len(state))
        if len(rows):
            after = self.delays.sample(state.channel[rows], u[Purpose.DELAY_PART, rows], u[Purpose.DELAY, rows])
            delay_s[rows] = after
            reward[rows] = after <= self.horizon_s
        return delay_s, reward

    def _take(self, state: State, arm: Ints, rows: Ints, value: Floats) -> None:
        """What the responses of these rows change: money, ownership, protection, troubles."""
        taken, tables = arm[rows], self.tables
        value[rows] += tables.value[taken]
        state.owned[rows] |= tables.bought[taken]
        state.margin[rows] += tables.margin[taken]
        state.protected[rows] = np.maximum(state.protected[rows], state.t + 1 + self.protect_steps[taken])
        state.issue[rows] &= ~tables.solves[taken]

    def _tire(self, state: State, contacted: Bools, u: Floats) -> Bools:
        """Fatigue, the contacts in the window, and consents withdrawn; who opted out, bool (N,)."""
        state.contacts[:] = (state.contacts + state.contacts + contacted) & self.window
        out = contacted & (u < fatigue.opt_out_chance(state.fatigue, self.opt_out, self.opt_out_growth))
        rows = out.nonzero()[0]
        if len(rows):
            state.consent[rows] &= ~(1 << state.channel[rows])
        state.fatigue[:] = state.fatigue * self.decay + contacted * self.tables.weight[state.channel]
        return out

    def _buy(self, state: State, u: Floats, value: Floats) -> Floats:
        """BG/NBD purchases of this step and what they earn; amounts, float64 (N,)."""
        law = self.settings.purchases
        assert law is not None  # noqa: S101 - the caller asks only where there is a law
        amounts = np.zeros(len(state))
        mean = state.rate * (self.weeks * (state.alive & CUSTOMER[state.stage]))
        rows = (u[Purpose.PURCHASES] > np.exp(-mean)).nonzero()[0]
        if len(rows):
            count, gone = purchases.purchases_within(
                mean[rows], state.leave[rows], u[Purpose.PURCHASES, rows], u[Purpose.DROPOUT, rows]
            )
            amounts[rows] = purchases.amounts(state.amount[rows], count, u[Purpose.AMOUNT, rows], law)
            state.purchases[rows] += count
            state.last_purchase[rows] = state.t + 1
            state.alive[rows[gone]] = False
            value[rows] += law.margin * amounts[rows]
        return amounts

    def _leave(self, state: State, responded: Bools, hazard: Floats, u: Floats, later: Ints) -> tuple[Bools, Bools]:
        """Who leaves and who comes, bool (N,) each."""
        customer = CUSTOMER[state.stage]
        if self.fixed_leaving:
            left = np.zeros(len(u), dtype=np.bool_)
        else:
            left = customer & (u >= np.exp(self.log_stay * hazard))
        if self.renewal_steps:
            age = (state.joined - later) % self.renews
            due = (customer > age.astype(np.bool_)).nonzero()[0]
            if len(due):
                kept = 1.0 - contracts.leaving(state.theta[due], hazard[due])
                left[due] = u[due] >= kept * np.exp(self.log_stay * hazard[due])
        if self.lapse_steps:
            left |= customer & ~state.alive & (state.t + 1 - state.last_purchase >= self.lapse_steps)
        joins = responded > customer  # prospects and lost customers
        if self.comes_back:
            joins = joins | ((state.stage == LOST) & (u < self.back))
        return left, joins

    def _hazard(self, state: State, trouble: Ints, now: Ints) -> Floats:
        """exp(issue I + fatigue F - protection P - loyal L), float64 (N,); trouble: 2 stage + I."""
        exponent = self.log_hazard[trouble + trouble + (state.protected > now)]
        hazard: Floats = np.exp(exponent + self.wear * state.fatigue)
        return hazard

    def _happen(self, state: State, kind: Ints, later: Ints) -> None:
        """Windows of life events close, and new ones open."""
        state.event[:] = state.event * (state.event_until > later)
        rows = kind.nonzero()[0]
        if len(rows):
            state.event[rows] = kind[rows]
            state.event_until[rows] = later + self.event_steps[kind[rows]]

    def _move(self, state: State, joins: Bools, left: Bools, hazard: Floats, later: Ints) -> None:
        """The life cycle, and what begins and ends with it; `later` is the next step."""
        stage = moved(
            state.stage,
            later - state.since,
            joins=joins,
            leaves=left,
            at_risk=hazard > self.risk_above,
            onboarding_steps=self.settles,
            loyal_steps=self.lasts,
        )
        changed = stage != state.stage
        if np.count_nonzero(changed):
            state.since[changed] = later
            state.stage[:] = stage
        if np.count_nonzero(joins):
            state.joined[joins] = later
            state.last_purchase[joins] = later
            state.alive[joins] = True
        if np.count_nonzero(left):
            state.issue[left] = False
            state.owned[left] = 0
            state.margin[left] = 0.0
