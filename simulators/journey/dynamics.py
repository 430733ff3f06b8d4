"""What a period does to customers, once their decision was carried out."""

from dataclasses import dataclass

import numpy as np

from bandit_nba.decide.batch import Bools, Floats, Ints
from simulators.journey import contracts, fatigue, life_events, purchases
from simulators.journey.delays import ChannelDelays
from simulators.journey.draws import Purpose, uniforms
from simulators.journey.lifecycle import CUSTOMER, In, moved
from simulators.journey.settings import JourneySettings, Limits
from simulators.journey.state import State
from simulators.journey.tables import Tables
from simulators.world import Outcome


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
        self.window = (1 << (limits.within_steps if limits else Limits(source="assumption").within_steps)) - 1
        self.cap = limits.contacts if limits else 62
        self.decay = fatigue.decay(settings.fatigue, weeks=weeks)
        self.silent = not self.tables.quiet.any()

    def moment(self, state: State, u_channel: Floats, u_hour: Floats) -> None:
        """Where and when each customer is met next: channel, hour, and all that follows from them."""
        state.channel[:] = (u_channel[:, None] >= self.tables.attention[state.persona]).sum(axis=1)
        np.minimum(state.channel, len(self.tables.weight) - 1, out=state.channel)
        state.hour[:] = 24.0 * u_hour
        state.reachable[:] = self.consents(state)
        if not self.silent:
            state.reachable[:] &= self.awake(state)
        if self.cap < 62:
            state.reachable[:] &= np.bitwise_count(state.contacts) < self.cap
        state.code[:] = self._code(state)

    def consents(self, state: State) -> Bools:
        """Whether the customer agrees to the channel of the moment, bool (N,)."""
        return (state.consent >> state.channel & 1).astype(np.bool_)

    def awake(self, state: State) -> Bools:
        """Whether the channel may be used at this hour, bool (N,)."""
        return ~self.tables.quiet[state.channel, state.hour]

    def step(self, state: State, arm: Ints, chance: Floats, u: Floats | None) -> Outcome:
        """The whole period; `chance` is that of a response to `arm`."""
        t = state.t
        u = uniforms(state.stream, t + 1) if u is None else u
        contacted = arm > 0
        was_customer = CUSTOMER[state.stage]
        responded = u[Purpose.RESPONSE] < chance
        delay_s, reward = self._answers(state, responded, u)
        value = was_customer * ((state.margin + self.settings.base_margin) * self.weeks)
        value -= self.tables.cost[state.channel, arm]
        self._take(state, arm, responded, value)
        also: dict[str, Floats | Ints | Bools] = {"opted_out": self._tire(state, contacted, u[Purpose.OPT_OUT])}
        if self.settings.purchases is not None:
            also["amount"] = self._buy(state, u, value)
        left, joins = self._leave(state, responded, u[Purpose.CHURN])
        self._care(state, u[Purpose.ISSUE])
        self._happen(state, u[Purpose.LIFE_EVENT])
        state.t = t + 1
        self._move(state, joins, left)
        self.moment(state, u[Purpose.CHANNEL], u[Purpose.HOUR])
        state.t = t  # the world counts steps; chunks of it share the count
        return Outcome(arm, responded, delay_s, reward, value, left, also)

    def _answers(self, state: State, responded: Bools, u: Floats) -> tuple[Floats, Floats]:
        delay_s = np.full(len(responded), np.nan)
        reward = np.zeros(len(responded))
        rows = np.flatnonzero(responded)
        if len(rows):
            after = self.delays.sample(state.channel[rows], u[Purpose.DELAY_PART, rows], u[Purpose.DELAY, rows])
            delay_s[rows] = after
            reward[rows] = after <= self.horizon_s
        return delay_s, reward

    def _take(self, state: State, arm: Ints, responded: Bools, value: Floats) -> None:
        """What a response changes: money, ownership, protection, troubles."""
        rows = np.flatnonzero(responded)
        if not len(rows):
            return
        taken, tables = arm[rows], self.tables
        value[rows] += tables.value[taken]
        state.owned[rows] |= tables.bought[taken]
        state.margin[rows] += tables.margin[taken]
        state.protected[rows] = np.maximum(state.protected[rows], self.protect_steps[taken])
        state.issue[rows] &= ~tables.solves[taken]

    def _tire(self, state: State, contacted: Bools, u: Floats) -> Bools:
        """Fatigue, the contacts in the window, and consents withdrawn; who opted out, bool (N,)."""
        law = self.settings.fatigue
        state.contacts <<= 1
        state.contacts |= contacted
        state.contacts &= self.window
        out = contacted.copy()
        rows = np.flatnonzero(contacted)
        if len(rows):
            tired = state.fatigue[rows]
            leaves = u[rows] < fatigue.opt_out_chance(tired, law)
            out[rows] = leaves
            gone = rows[leaves]
            state.consent[gone] &= ~(1 << state.channel[gone])
        state.fatigue *= self.decay
        state.fatigue += contacted * self.tables.weight[state.channel]
        return out

    def _buy(self, state: State, u: Floats, value: Floats) -> Floats:
        """BG/NBD purchases of this step and what they earn; amounts, float64 (N,)."""
        law = self.settings.purchases
        assert law is not None  # noqa: S101 - the caller asks only where there is a law
        amounts = np.zeros(len(state))
        mean = state.rate * (self.weeks * (state.alive & CUSTOMER[state.stage]))
        rows = np.flatnonzero(u[Purpose.PURCHASES] > np.exp(-mean))
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

    def _leave(self, state: State, responded: Bools, u: Floats) -> tuple[Bools, Bools]:
        """Who leaves and who comes, bool (N,) each."""
        law = self.settings.retention
        hazard = self._hazard(state)
        customer = CUSTOMER[state.stage]
        stays = np.exp(np.log1p(-law.leave_per_week) * self.weeks * hazard)
        left = customer & (u >= stays)
        if self.renewal_steps:
            age = state.t + 1 - state.joined
            due = np.flatnonzero(customer & (age % self.renewal_steps == 0))
            if len(due):
                kept = 1.0 - contracts.leaving(state.theta[due], hazard[due])
                left[due] = u[due] >= kept * stays[due]
        if self.lapse_steps:
            left |= customer & ~state.alive & (state.t + 1 - state.last_purchase >= self.lapse_steps)
        outside = ~customer
        joins = outside & responded
        if law.win_back_per_week:
            back = -np.expm1(np.log1p(-law.win_back_per_week) * self.weeks)
            joins |= (state.stage == In.CHURNED) & (u < back)
        return left, joins

    def _hazard(self, state: State) -> Floats:
        """exp(issue I + fatigue F - protection P - loyal L), float64 (N,)."""
        law = self.settings.retention
        exponent = law.fatigue * state.fatigue
        exponent += law.issue * state.issue
        exponent -= law.protection * (state.protected > 0)
        exponent -= law.loyal * (state.stage == In.LOYAL)
        return np.exp(exponent, out=exponent)

    def _care(self, state: State, u: Floats) -> None:
        """Troubles heal and come; those of a service are solved when it is taken."""
        law = self.settings.care
        if law is None:
            return
        rate = law.issues_per_week * self.weeks
        arrives = np.where(self.tables.fresh[state.stage], rate * law.onboarding_factor, rate * CUSTOMER[state.stage])
        heals = law.self_healing_per_week * self.weeks
        state.issue[:] = np.where(state.issue, u >= -np.expm1(-heals), u < -np.expm1(-arrives))

    def _happen(self, state: State, u: Floats) -> None:
        """Windows of life events close, and new ones open."""
        if self.events is None:
            return
        state.event_left -= state.event > 0
        state.event *= state.event_left > 0
        kind = life_events.drawn(self.events, state.profile, u)
        rows = np.flatnonzero(kind)
        if len(rows):
            state.event[rows] = kind[rows]
            state.event_left[rows] = self.event_steps[kind[rows]]

    def _move(self, state: State, joins: Bools, left: Bools) -> None:
        """The life cycle, and what begins and ends with it; `state.t` is the next step already."""
        stage = moved(
            state.stage,
            state.t - 1 - state.since,
            joins=joins,
            leaves=left,
            at_risk=self._hazard(state) > self.settings.retention.risk_above,
            onboarding_steps=self.onboarding_steps,
            loyal_steps=self.loyal_steps,
        )
        changed = stage != state.stage
        state.since[changed] = state.t
        state.joined[joins] = state.t
        state.last_purchase[joins] = state.t
        state.alive[joins] = True
        state.issue[left] = False
        state.owned[left] = 0
        state.margin[left] = 0.0
        state.protected -= state.protected > 0
        state.stage[:] = stage

    def _code(self, state: State) -> Ints:
        code = state.stage * len(self.tables.weight) + state.channel
        code *= len(self.event_steps)
        code += state.event
        code *= 2
        code += state.issue
        return code
