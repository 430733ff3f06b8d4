"""What a period does to customers, once their decision was carried out."""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from bandit_nba.decide.batch import Bools, Floats, Ints
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


class Foreseen(NamedTuple):
    """What no decision changes in one step of n customers, or in n steps of one.

    u: uniforms (WORLD, n). channel, hour: of the next moment. kind: of a new life event, 0 for none; None in worlds
    without.
    """

    u: Floats
    channel: Ints
    hour: Ints
    kind: Ints | None

    def at(self, t: int) -> "Foreseen":
        """Step t of one customer."""
        kind = None if self.kind is None else self.kind[t : t + 1]
        return Foreseen(self.u[:, t : t + 1], self.channel[t : t + 1], self.hour[t : t + 1], kind)


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
        self.wear = np.array([settings.retention.fatigue])
        self.risk_above = np.array([settings.retention.risk_above])
        self.settles, self.lasts = np.array([self.onboarding_steps]), np.array([self.loyal_steps])
        self.silent = bool(self.tables.awake.all())
        law = settings.retention
        stays = np.array([0.0, law.issue])
        safe = np.array([0.0, law.protection])
        loyal = np.array([law.loyal if stage == "loyal" else 0.0 for stage in STAGES])
        self.log_hazard = stays[None, :, None] - loyal[:, None, None] - safe  # by stage, trouble, protection
        self.recurring = CUSTOMER * weeks
        self.log_stay = float(np.log1p(-settings.retention.leave_per_week) * weeks)
        self.back = np.array([-np.expm1(np.log1p(-settings.retention.win_back_per_week) * weeks)])
        self.comes_back = settings.retention.win_back_per_week > 0.0
        self.renews = np.array([max(self.renewal_steps, 1)])
        self.fixed_leaving = not settings.retention.leave_per_week
        care = settings.care or Care(source="assumption: nothing goes wrong")
        fresh = np.array([stage in ("onboarding", "won_back") for stage in STAGES])
        rate = care.issues_per_week * weeks * np.where(fresh, care.onboarding_factor, 1.0) * CUSTOMER
        self.trouble = -np.expm1(-rate)
        self.heals = float(-np.expm1(-care.self_healing_per_week * weeks))

    def met(self, persona: Ints, u_channel: Floats, u_hour: Floats) -> tuple[Ints, Ints]:
        """Where and when customers are met: channel and hour, int64 (n,) each."""
        channel: Ints = (u_channel[:, None] < self.tables.attention[persona]).argmax(axis=1)
        return channel, (24.0 * u_hour).astype(np.int64)

    def foresee(self, profile: Ints, persona: Ints, u: Floats) -> Foreseen:
        """What no decision changes, from uniforms (WORLD, n)."""
        channel, hour = self.met(persona, u[Purpose.CHANNEL], u[Purpose.HOUR])
        kind = None if self.events is None else life_events.drawn(self.events, profile, u[Purpose.LIFE_EVENT])
        return Foreseen(u, channel, hour, kind)

    def moment(self, state: State, channel: Ints, hour: Ints) -> None:
        """Let customers be met here and now, with all that follows."""
        state.channel[:] = channel
        state.hour[:] = hour
        reachable = self.consents(state)
        if not self.silent:
            reachable &= self.awake(state)
        if self.capped:
            reachable &= np.bitwise_count(state.contacts) < self.cap
        state.reachable[:] = reachable
        state.code[:] = self.tables.code[state.stage, state.channel, state.event, state.issue.view(np.int8)]

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
        now, later = np.array([t]), np.array([t + 1])
        contacted = arm > 0
        responded = u[Purpose.RESPONSE] < chance
        delay_s, reward = self._answers(state, responded, u)
        value = (state.margin + self.settings.base_margin) * self.recurring[state.stage]
        value -= self.tables.cost[state.channel, arm]
        self._take(state, arm, responded, value)
        also: dict[str, Floats | Ints | Bools] = {"opted_out": self._tire(state, contacted, u[Purpose.OPT_OUT])}
        if self.settings.purchases is not None:
            also["amount"] = self._buy(state, u, value)
        hazard = self._hazard(state, now)
        left, joins = self._leave(state, responded, hazard, u[Purpose.CHURN], later)
        self._care(state, u[Purpose.ISSUE])
        if foreseen.kind is not None:
            self._happen(state, foreseen.kind, later)
        self._move(state, joins, left, hazard, later)
        self.moment(state, foreseen.channel, foreseen.hour)
        return Outcome(arm, responded, delay_s, reward, value, left, also)

    def _answers(self, state: State, responded: Bools, u: Floats) -> tuple[Floats, Floats]:
        delay_s = np.empty(len(responded))
        delay_s.fill(np.nan)
        reward = np.zeros(len(responded))
        rows = responded.nonzero()[0]
        if len(rows):
            after = self.delays.sample(state.channel[rows], u[Purpose.DELAY_PART, rows], u[Purpose.DELAY, rows])
            delay_s[rows] = after
            reward[rows] = after <= self.horizon_s
        return delay_s, reward

    def _take(self, state: State, arm: Ints, responded: Bools, value: Floats) -> None:
        """What a response changes: money, ownership, protection, troubles."""
        rows = responded.nonzero()[0]
        if not len(rows):
            return
        taken, tables = arm[rows], self.tables
        value[rows] += tables.value[taken]
        state.owned[rows] |= tables.bought[taken]
        state.margin[rows] += tables.margin[taken]
        state.protected[rows] = np.maximum(state.protected[rows], state.t + 1 + self.protect_steps[taken])
        state.issue[rows] &= ~tables.solves[taken]

    def _tire(self, state: State, contacted: Bools, u: Floats) -> Bools:
        """Fatigue, the contacts in the window, and consents withdrawn; who opted out, bool (N,)."""
        state.contacts += state.contacts
        state.contacts |= contacted
        state.contacts &= self.window
        out = u < fatigue.opt_out_chance(state.fatigue, self.settings.fatigue)
        out &= contacted
        rows = out.nonzero()[0]
        if len(rows):
            state.consent[rows] &= ~(1 << state.channel[rows])
        state.fatigue *= self.decay
        state.fatigue += contacted * self.tables.weight[state.channel]
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
            age = state.joined - later
            age %= self.renews
            due = (customer > age.astype(np.bool_)).nonzero()[0]
            if len(due):
                kept = 1.0 - contracts.leaving(state.theta[due], hazard[due])
                left[due] = u[due] >= kept * np.exp(self.log_stay * hazard[due])
        if self.lapse_steps:
            left |= customer & ~state.alive & (state.t + 1 - state.last_purchase >= self.lapse_steps)
        joins = responded > customer  # prospects and lost customers
        if self.comes_back:
            joins |= (state.stage == LOST) & (u < self.back)
        return left, joins

    def _hazard(self, state: State, now: Ints) -> Floats:
        """exp(issue I + fatigue F - protection P - loyal L), float64 (N,)."""
        protected = state.protected > now
        exponent: Floats = self.log_hazard[state.stage, state.issue.view(np.int8), protected.view(np.int8)]
        exponent += self.wear * state.fatigue
        return np.exp(exponent, out=exponent)

    def _care(self, state: State, u: Floats) -> None:
        """Troubles heal and come."""
        if self.settings.care is not None:
            state.issue[:] = np.where(state.issue, u >= self.heals, u < self.trouble[state.stage])

    def _happen(self, state: State, kind: Ints, later: Ints) -> None:
        """Windows of life events close, and new ones open."""
        state.event *= state.event_until > later
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
