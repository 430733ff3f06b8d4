"""A journey world: who the customers are, what they do, and the exact truth about it."""

from collections.abc import Iterator

import numpy as np

from bandit_nba.catalogue import Catalogue
from bandit_nba.decide.batch import Requests
from bandit_nba.decide.columns import Bools, Coded, Column, Facts, Floats, Ints
from bandit_nba.errors import InputError
from simulators.journey import contracts, purchases
from simulators.journey.calendar import season
from simulators.journey.catalogue import ASSUMED, journey_catalogue, starting
from simulators.journey.contradictions import contradictions
from simulators.journey.delays import ChannelDelays
from simulators.journey.draws import Purpose, episode, streams, uniforms
from simulators.journey.drift import drifting
from simulators.journey.dynamics import Dynamics, Foreseen
from simulators.journey.life_events import per_step
from simulators.journey.lifecycle import CUSTOMER, STAGES
from simulators.journey.population import event_rates, member_sets, population, type_shares, utility
from simulators.journey.responses import Responses, level_of
from simulators.journey.settings import JourneySettings, Limits
from simulators.journey.state import State
from simulators.journey.tables import tables
from simulators.journey.uplift import draw_types
from simulators.tastes import TasteKind
from simulators.world import Outcome

CHUNK = 8_192
"""Customers that are worked on at once: their arrays stay in the processor's cache; results do not depend on it."""
CALIBRATED_ON = 4_096
APPEAL = 0.6  # where an action names no appeal, it is drawn within +- this, in logits


class JourneyWorld:
    """One seed's world of these settings; a `simulators.world.Journey`.

    Equal seed and settings give equal bytes, however many customers are played at once. Everything random about the
    world itself is drawn here, before any learner sees it.

    Raises
    ------
    SettingsError
        If the settings contradict each other.
    """

    def __init__(self, settings: JourneySettings, *, seed: int, name: str = "journey") -> None:
        if seed < 0:
            raise InputError("is out of range", where="seed", got=seed, allowed="0 or more")
        for problem in contradictions(settings):
            raise problem
        self.name, self.settings, self.seed = name, settings, seed
        rng = np.random.default_rng([0x10E7, seed])
        self.people = population(settings, rng)
        self.catalogue: Catalogue = journey_catalogue(settings, self.people.facts.schema)
        self.channels = tuple(t.channel for t in settings.touchpoints)
        self.steps = settings.steps
        self.weeks = settings.step_days / 7.0
        self.step_s = settings.step_days * 86_400.0
        self.horizon_s = settings.horizon_hours * 3_600.0
        self.discount = float(settings.discount_per_year ** (self.weeks * 7.0 / 365.25))
        first = starting(settings)
        self.start_s = first.timestamp()
        self.tables = tables(settings, self.people.products)
        self.delays = ChannelDelays([t.delays for t in settings.touchpoints], where=self.channels)
        self.limits = settings.limits or Limits(source=ASSUMED)
        self.type_shares = type_shares(settings, self.people, rng)
        groups = ("none", *(a.group for a in settings.actions))
        tastes = [utility(self.people, groups, rng, TasteKind()) for _ in range(2)]
        drawn = rng.uniform(-APPEAL, APPEAL, len(groups))
        appeal = np.array(
            [0.0, *(d if a.appeal is None else a.appeal for a, d in zip(settings.actions, drawn[1:], strict=True))]
        )
        self.responses = Responses(
            settings=settings,
            tables=self.tables,
            within=self.delays.within(self.horizon_s),
            season=season(settings.calendar, start=first, step_days=settings.step_days, steps=settings.steps + 1),
            appeal=appeal,
            tastes=(tastes[0], tastes[1]),
            drifts=drifting(settings.drift, rng, len(groups)),
        )
        rates = event_rates(settings.life_events, self.people)
        self.dynamics = Dynamics(
            settings=settings,
            tables=self.tables,
            delays=self.delays,
            events=per_step(rates, weeks=self.weeks) if settings.life_events else None,
            horizon_s=self.horizon_s,
            weeks=self.weeks,
        )
        self.responses.set_level(self._level())

    @property
    def couples_customers(self) -> bool:
        """Whether what is done to one customer may keep another from being contacted: where there is a budget."""
        return self.limits.budget_per_1000 > 0.0

    def start(self, n: int, *, replication: int = 0) -> State:
        """Customers 0 .. n - 1 at step 0. Another replication: the same customers, other chances.

        Raises
        ------
        InputError
            If there are no customers, or a number is not whole.
        """
        whole("n", n)
        whole("replication", replication)
        if n < 1:
            raise InputError("a world needs customers", where="n", got=n, allowed="at least 1")
        people, tables_, settings = self.people, self.tables, self.settings
        customer = np.arange(n, dtype=np.int64)
        who = uniforms(streams((self.seed, 0xC0), customer), 0, count=6)
        profile = np.minimum((who[0] * len(people)).astype(np.int64), len(people) - 1)
        persona = people.persona[profile]
        stage = np.minimum((who[1][:, None] >= tables_.stages[persona]).sum(axis=1), len(STAGES) - 1).astype(np.int64)
        is_customer = CUSTOMER[stage]
        tenure = self._tenure(profile, who[2])
        rate, leave, amount, theta = self._latent(n, np.where(is_customer, tenure, 0))
        consent = np.zeros(n, dtype=np.int64)
        agrees = uniforms(streams((self.seed, 0xC0), customer), 1, count=len(self.channels)) < tables_.consent[:, None]
        for c, agreed in enumerate(agrees):
            consent |= np.where(agreed, 1 << c, 0)
        state = State(
            t=0,
            customer=customer,
            stream=streams((self.seed, 0x57E9, replication), customer),
            profile=profile,
            persona=persona,
            kind=draw_types(self.type_shares[profile], who[3]),
            rate=rate,
            leave=leave,
            amount=amount,
            theta=theta,
            stage=stage,
            since=-np.floor(who[4] * self.dynamics.onboarding_steps).astype(np.int64),
            joined=np.where(is_customer, -tenure, 0),
            last_purchase=np.where(is_customer, -np.minimum(tenure, np.floor(who[5] * 13).astype(np.int64)), 0),
            purchases=np.zeros(n, dtype=np.int64),
            alive=is_customer.copy(),
            owned=np.where(is_customer, people.owned[profile], 0),
            margin=np.zeros(n),
            fatigue=np.zeros(n),
            contacts=np.zeros(n, dtype=np.int64),
            consent=consent,
            event=np.zeros(n, dtype=np.int64),
            event_until=np.zeros(n, dtype=np.int64),
            issue=np.zeros(n, dtype=np.bool_),
            protected=np.zeros(n, dtype=np.int64),
            channel=np.zeros(n, dtype=np.int64),
            hour=np.zeros(n, dtype=np.int64),
            reachable=np.zeros(n, dtype=np.bool_),
            code=np.zeros(n, dtype=np.int64),
        )
        for k, offer in enumerate(settings.actions, start=1):
            if offer.owned_as:
                state.margin += np.where(state.owned & tables_.bought[k], offer.margin, 0.0)
        for part in self._parts(state):
            u = uniforms(part.stream, 0, first=Purpose.CHANNEL, count=2)
            self.dynamics.moment(part, self.dynamics.met(part.persona, u[0], u[1]))
        return state

    def channel(self, state: State) -> Ints:
        """The channel of this step, index into `channels`, int64 (N,)."""
        return state.channel

    def facts(self, state: State) -> Facts:
        """Profiles, and what has changed since: stage, recency, contacts, open events, ownership; all copies."""
        static = self.people.facts
        columns: dict[str, Column] = dict(static.at(state.profile).columns)
        customer = CUSTOMER[state.stage]
        weeks = self.weeks
        columns |= {
            "stage": Coded(codes=state.stage.copy(), values=STAGES),
            "tenure_weeks": np.where(customer, (state.t - state.joined) * weeks, 0.0),
            "recency_weeks": np.where(customer, (state.t - state.last_purchase) * weeks, np.nan),
            "purchases": state.purchases.astype(np.float64),
            "recent_contacts": np.bitwise_count(state.contacts).astype(np.float64),
            "event": Coded(codes=state.event.copy(), values=("none", *(e.name for e in self.settings.life_events))),
            "issue": state.issue.astype(np.float64),
            "consent": self.dynamics.consents(state).astype(np.float64),
            "awake": self.dynamics.awake(state).astype(np.float64),
            "owned": member_sets(state.owned, self.people.products),
        }
        return Facts(size=len(state), schema=self.catalogue.facts, columns=columns)

    def eligible(self, state: State) -> Bools:
        """Bool (N, K): what the catalogue's rules leave; "no action" always."""
        return self.responses.eligible(state)

    def q(self, state: State) -> Floats:
        """q(x, a), float64 (N, K): exact chance of a response within the horizon, were arm a taken now."""
        out = np.empty((len(state), len(self.catalogue.arms)))
        for start in range(0, len(state), CHUNK):
            part = state.rows(start, start + CHUNK)
            out[start : start + CHUNK] = self.responses.q(part)
        return out

    def money(self, state: State) -> Floats:
        """Expected money of this step that each arm brings at once, float64 (N, K): chance x value - cost."""
        earned: Floats = self.responses.chances(state) * self.tables.value - self.tables.cost[state.channel]
        return earned

    def again(self, state: State, replication: int) -> State:
        """Copies of these customers at the same moment, who meet other chances from now on."""
        here = state.copy()
        here.stream[:] = streams((self.seed, 0x57E9, replication), here.customer)
        return here

    def afresh(self, state: State, replication: int) -> State:
        """As `again` for customers at step 0, whose first moment is another one, too: as `start` would meet them."""
        here = self.again(state, replication)
        u = uniforms(here.stream, 0, first=Purpose.CHANNEL, count=2)
        self.dynamics.moment(here, self.dynamics.met(here.persona, u[0], u[1]))
        return here

    def step(self, state: State, arm: Ints) -> Outcome:
        """Do arm (N,) for each customer and let the period pass; `state` is changed in place.

        Raises
        ------
        InputError
            If an arm is not eligible, the shape is wrong, or the episode is over.
        """
        if state.t >= self.steps:
            raise InputError("the episode is over", where="step", got=state.t, allowed=f"0 to {self.steps - 1}")
        if not isinstance(arm, np.ndarray) or not np.issubdtype(arm.dtype, np.integer):
            kind = arm.dtype if isinstance(arm, np.ndarray) else type(arm).__name__
            raise InputError("holds no whole numbers", where="arm", got=str(kind), allowed="an int64 array (N,)")
        if arm.shape != (len(state),):
            raise InputError("one arm for each customer", where="arm", got=arm.shape, allowed=f"({len(state)},)")
        self.responses.check(state, arm)
        arm = self._within_budget(state, arm)
        if len(state) <= CHUNK:
            return self.advance(state, arm, self.responses.chosen(state, arm))
        outcome = _joined([self._part_step(part, arm[at]) for part, at in self._slices(state)])
        state.t += 1
        return outcome

    def advance(self, state: State, arm: Ints, chance: Floats, foreseen: Foreseen | None = None) -> Outcome:
        """As `step`, for arms known to be eligible and affordable, whose chances of a response are known, too.

        foreseen: what no decision changes, where it was drawn before, as for one customer's whole episode.
        """
        outcome = self.dynamics.step(state, arm, chance, foreseen)
        state.t += 1
        return outcome

    def requests(self, state: State, *, prefix: str = "") -> Requests:
        """Requests of all customers at this step, as the library takes them; ids are "prefix + step - customer"."""
        numbers = state.customer.tolist()
        step = f"{prefix}{state.t}-"
        n = len(numbers)
        return Requests(
            ids=[f"{step}{i}" for i in numbers],
            customers=[f"c{i}" for i in numbers],
            channels=Coded(codes=state.channel.copy(), values=self.channels),
            decided_at=np.full(n, self.start_s + state.t * self.step_s),
            facts=self.facts(state),
            readable=np.ones(n, dtype=np.bool_),
        )

    def _part_step(self, part: State, arm: Ints) -> Outcome:
        return self.dynamics.step(part, arm, self.responses.chosen(part, arm), None)

    def foresee(self, state: State, steps: int) -> Foreseen:
        """What no decision changes in so many steps of one customer, from step 0 on."""
        one = np.zeros(steps, dtype=np.int64)
        u = episode(state.stream, steps)[:, :, 0].T
        return self.dynamics.foresee(state.profile[one], state.persona[one], np.ascontiguousarray(u))

    def _slices(self, state: State) -> Iterator[tuple[State, slice]]:
        for start in range(0, len(state), CHUNK):
            at = slice(start, min(start + CHUNK, len(state)))
            yield state.rows(at.start, at.stop), at

    def _parts(self, state: State) -> Iterator[State]:
        return (part for part, _ in self._slices(state))

    def _within_budget(self, state: State, arm: Ints) -> Ints:
        """Contacts that the step's money pays for, in a random order of customers; the others become "no action".

        The first that the money does not pay for ends the spending; contacts that cost nothing are always made.
        """
        budget = self.limits.budget_per_1000 * len(state) / 1000.0
        if budget <= 0.0:
            return arm
        cost = self.tables.cost[state.channel, arm]
        if cost.sum() <= budget:
            return arm
        order = np.argsort(uniforms(state.stream, state.t + 1, first=Purpose.BUDGET, count=1)[0], kind="stable")
        paid = np.zeros(len(arm), dtype=np.bool_)
        paid[order] = (np.cumsum(cost[order]) <= budget) | (cost[order] == 0.0)
        return np.where(paid, arm, 0)

    def _tenure(self, profile: Ints, u: Floats) -> Ints:
        """Steps since customers joined: the profile's months where it has them, else up to four years."""
        months = self.people.facts.columns.get("tenure_months")
        weeks = u * 208.0
        if isinstance(months, np.ndarray):
            weeks = np.nan_to_num(months)[profile] * (365.25 / 12.0 / 7.0)
        return np.floor(weeks / self.weeks).astype(np.int64)

    def _latent(self, n: int, tenure: Ints) -> tuple[Floats, Floats, Floats, Floats]:
        """BG/NBD, Gamma-Gamma and sBG of customers 0 .. n - 1; each from an own generator: n does not matter."""
        rate, leave, amount, theta = (np.zeros(n) for _ in range(4))
        if self.settings.purchases is not None:
            law = self.settings.purchases
            rngs = [np.random.default_rng([0x1A7, self.seed, i]) for i in range(3)]
            rate = purchases.draw_rates(rngs[0], n, law)
            leave = purchases.draw_leaving(rngs[1], n, law)
            amount = purchases.draw_amounts(rngs[2], n, law)
        if self.settings.contract is not None:
            contract, rng = self.settings.contract, np.random.default_rng([0x1A7, self.seed, 3])
            renewed = tenure // self.dynamics.renewal_steps if contract.stock == "survivors" else None
            theta = contracts.draw_customers(rng, n, contract, renewed=renewed)
        return rate, leave, amount, theta

    def _level(self) -> float:
        """The level at which the best fixed action is answered as often as the settings say, at the start."""
        target = self.settings.uplift.best_fixed
        state = self.start(CALIBRATED_ON)
        return level_of(self.responses, state, target)


def whole(name: str, number: object) -> None:
    """Refuse what is no whole number.

    Raises
    ------
    InputError
        If it is not; a truth value is none.
    """
    if isinstance(number, bool) or not isinstance(number, int | np.integer):
        raise InputError("is no whole number", where=name, got=number, allowed="an int")


def _joined(parts: list[Outcome]) -> Outcome:
    names = parts[0].also
    return Outcome(
        arm=np.concatenate([p.arm for p in parts]),
        responded=np.concatenate([p.responded for p in parts]),
        delay_s=np.concatenate([p.delay_s for p in parts]),
        reward=np.concatenate([p.reward for p in parts]),
        value=np.concatenate([p.value for p in parts]),
        left=np.concatenate([p.left for p in parts]),
        also={name: np.concatenate([p.also[name] for p in parts]) for name in names},
    )
