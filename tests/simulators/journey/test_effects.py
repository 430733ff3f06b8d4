"""What is configured is found again in logs by independent estimates: uplift types, fatigue, delays, events, churn."""

from typing import Any

import numpy as np
import pytest

import simulators
from simulators.journey import JourneyWorld, State, rollout
from simulators.journey.contracts import survival
from simulators.journey.draws import Purpose, streams, uniform
from simulators.journey.uplift import TYPES, kept_and_room
from simulators.world import Outcome

QUIET: dict[str, object] = {"calendar.yearly_amplitude": 0.0}


def _world(**overrides: Any) -> JourneyWorld:
    made = simulators.make("telco-journey", seed=2, overrides={**QUIET, **overrides})
    assert isinstance(made, JourneyWorld)
    return made


def _randomised(world: JourneyWorld, n: int, steps: int) -> dict[str, np.ndarray[Any, Any]]:
    """A randomised log as columns: one row per customer and step."""
    rows: dict[str, list[Any]] = {
        name: [] for name in ("kind", "arm", "responded", "fatigue", "channel", "delay_s", "stage")
    }

    def watch(state: State, arm: Any, outcome: Outcome) -> None:
        rows["kind"].append(state.kind)
        rows["fatigue"].append(state.fatigue)
        rows["channel"].append(state.channel)
        rows["stage"].append(state.stage)
        rows["arm"].append(arm)
        rows["responded"].append(outcome.responded)
        rows["delay_s"].append(outcome.delay_s)

    rollout.play(world, rollout.at_random, n=n, steps=steps, watch=watch)
    return {name: np.concatenate(parts) for name, parts in rows.items()}


@pytest.fixture(scope="module")
def log() -> dict[str, np.ndarray[Any, Any]]:
    return _randomised(_world(), 30_000, 12)


def test_the_four_types_respond_as_their_names_say(log: dict[str, np.ndarray[Any, Any]]) -> None:
    """Difference in means of a randomised log, by type; seed 2, the signs hold at 5 standard errors."""
    contacted = log["arm"] > 0
    lift, z, organic = {}, {}, {}
    for i, name in enumerate(TYPES):
        rows = (log["kind"] == i) & (log["stage"] == 2)
        with_it, without = log["responded"][rows & contacted], log["responded"][rows & ~contacted]
        lift[name] = with_it.mean() - without.mean()
        z[name] = lift[name] / np.sqrt(with_it.var() / len(with_it) + without.var() / len(without))
        organic[name] = without.mean()

    assert z["persuadable"] > 5
    assert z["do_not_disturb"] < -5
    assert abs(lift["lost_cause"]) < 0.1 * lift["persuadable"]
    assert organic["sure_thing"] > 5 * organic["persuadable"]
    assert organic == pytest.approx(
        {"persuadable": 0.01, "sure_thing": 0.12, "lost_cause": 0.005, "do_not_disturb": 0.06}, rel=0.1
    )
    assert lift["do_not_disturb"] == pytest.approx(-0.7 * 0.06, rel=0.15)


def test_a_contact_keeps_and_fills_by_hand() -> None:
    """o = .2, harm .7 keeps .2 x .3 = .06; gain .5 fills up to .5 x .8 = .4; no action keeps all and fills nothing."""
    kept, room = kept_and_room(np.array([[0.2]]), np.array([[0.0, 0.5]]), np.array([[0.0, 0.7]]))

    assert kept[0, 0].tolist() == pytest.approx([0.2, 0.06])
    assert room[0, 0].tolist() == pytest.approx([0.0, 0.4])


def test_delays_are_criteos_mixture(log: dict[str, np.ndarray[Any, Any]]) -> None:
    """35 % within an hour and 50 % within a day on e-mail, within 4 standard errors; others as configured."""
    world = _world()
    for c, channel in enumerate(world.channels):
        delays = log["delay_s"][(log["channel"] == c) & log["responded"]]
        for hours in (1.0, 24.0, 168.0):
            share = float(world.delays.within(hours * 3600.0)[c])
            error = 4 * np.sqrt(share * (1 - share) / len(delays)) + 1e-9
            assert abs((delays <= hours * 3600.0).mean() - share) < error
            if channel == "email" and hours < 100:
                assert share == pytest.approx({1.0: 0.35, 24.0: 0.50}[hours], abs=0.01)


def test_fatigue_lowers_what_a_contact_gains() -> None:
    """The ratio of lifts of tired and rested persuadables is exp(-response F), estimated from two equal plays."""
    world = _world(**{"fatigue.response": 0.4, "limits.contacts": 62, "fatigue.opt_out": 0.0})
    gains = {}
    for tired in (0.0, 2.0):
        state = world.start(60_000)
        state.fatigue[:] = tired
        which = (state.kind == 0) & (state.stage == 2)
        arm = rollout.at_random(world, state)
        none = world.step(state.copy(), np.zeros(len(state), dtype=np.int64)).responded[which & (arm > 0)]
        gains[tired] = world.step(state, arm).responded[which & (arm > 0)].mean() - none.mean()

    assert gains[2.0] / gains[0.0] == pytest.approx(np.exp(-0.8), rel=0.15)


def test_fatigue_halves_in_its_half_life_and_rises_with_each_contact() -> None:
    world = _world(**{"fatigue.half_life_weeks": 2.0})
    state = world.start(5_000)
    state.fatigue[:] = 4.0
    for _ in range(4):
        world.step(state, np.zeros(5_000, dtype=np.int64))
    assert np.allclose(state.fatigue, 1.0)

    before, channel = state.fatigue.copy(), state.channel.copy()
    arm = rollout.at_random(world, state)
    world.step(state, arm)
    weight = np.array([t.fatigue for t in world.settings.touchpoints])
    assert np.allclose(state.fatigue, before * 2**-0.5 + weight[channel] * (arm > 0))


def test_tired_customers_withdraw_their_consent() -> None:
    """Chance opt_out exp(growth F) at a contact: .01 and .01 e^2 = .0739, within 4 standard errors."""
    world = _world(**{"fatigue.opt_out": 0.01, "fatigue.opt_out_growth": 1.0})
    for tired in (0.0, 2.0):
        state = world.start(80_000)
        state.fatigue[:] = tired
        arm, channel = rollout.at_random(world, state), state.channel.copy()
        outcome = world.step(state, arm)
        opted_out = outcome.also["opted_out"][arm > 0]
        p = 0.01 * np.exp(tired)

        assert abs(opted_out.mean() - p) < 4 * np.sqrt(p * (1 - p) / len(opted_out))
        gone = np.asarray(outcome.also["opted_out"], dtype=bool)
        assert not (state.consent[gone] >> channel[gone] & 1).any()
        assert not np.asarray(outcome.also["opted_out"])[arm == 0].any()


def test_life_events_come_at_their_rate_and_stay_for_their_window() -> None:
    """Journeys abroad: 1.5 a year; 30,000 customers for 26 weeks, new windows within 4 standard errors of the law."""
    world = _world()
    state = world.start(30_000)
    kinds = [e.name for e in world.settings.life_events]
    travel = 1 + kinds.index("travel")
    opened = 0
    per_step = float(np.diff(world.dynamics.events, axis=1, prepend=0.0)[state.profile, travel - 1].mean())
    for _ in range(26):
        world.step(state, np.zeros(len(state), dtype=np.int64))
        opened += int(((state.event == travel) & (state.event_until == state.t + 3)).sum())
    expected = 26 * len(state) * per_step

    assert per_step == pytest.approx(1 - np.exp(-1.5 / 52.18), rel=0.05)
    assert abs(opened - expected) < 4 * np.sqrt(expected)
    assert state.event_until[state.event == travel].max() == state.t + 3


def test_a_cohort_leaves_at_renewals_as_sbg_says() -> None:
    """Everybody joins at step 0, no troubles, no contacts: after 1, 2, 3 renewals S(n); 15,000 customers, |z| < 4."""
    world = _world(
        **{
            "steps": 160,
            "care.issues_per_week": 0.0,
            "retention.loyal": 0.0,
            "retention.win_back_per_week": 0.0,
            "uplift.stages": {"churned": -20.0},
        }
    )
    state = world.start(15_000)
    state.stage[:], state.joined[:], state.issue[:] = 2, 0, False
    left = np.zeros(len(state), dtype=bool)
    assert world.settings.contract is not None
    for t in range(156):
        left |= world.step(state, np.zeros(len(state), dtype=np.int64)).left
        if (t + 1) % 52 == 0:
            expected = float(survival((t + 1) // 52, world.settings.contract))
            assert abs((~left).mean() - expected) < 4 * np.sqrt(expected * (1 - expected) / len(state))


def test_solved_troubles_keep_customers() -> None:
    """After-sales service: with twice the troubles more customers leave; technical help taken ends a trouble."""
    world = _world()
    help_arm = [a.id for a in world.catalogue.arms].index("technical_help")
    state = world.start(40_000)
    state.issue[:] = state.stage > 0
    where, when = (uniform(state.stream, 0, purpose) for purpose in (Purpose.CHANNEL, Purpose.HOUR))
    world.dynamics.moment(state, world.dynamics.met(state.persona, where, when))
    arm = np.where(world.eligible(state)[:, help_arm], help_arm, 0)
    outcome = world.step(state, arm)
    solved = outcome.responded & (arm == help_arm)

    assert solved.sum() > 500
    assert state.issue[solved].mean() < 0.1  # only troubles that came anew
    assert state.issue[~outcome.responded & (arm == help_arm)].mean() > 0.8
    calm, hard = (
        rollout.play(_world(**{"care.issues_per_week": rate, "retention.issue": 1.5}), rollout.nothing, n=8_000)
        for rate in (0.0, 0.1)
    )
    assert hard.by_step["left"].sum() > 1.05 * calm.by_step["left"].sum()


def test_uniforms_are_uniform_and_independent() -> None:
    """Kolmogorov-Smirnov-like bound at 4 standard errors for 20 bins, and no correlation between neighbours."""
    start = streams((7, 1), np.arange(50_000))
    a, b = uniform(start, 3, Purpose.RESPONSE), uniform(start, 3, Purpose.DELAY)
    c, d = uniform(start, 4, Purpose.RESPONSE), uniform(streams((7, 2), np.arange(50_000)), 3, Purpose.RESPONSE)
    counts = np.histogram(a, bins=20, range=(0, 1))[0]

    assert np.abs(counts - 2_500).max() < 4.5 * np.sqrt(2_500 * 0.95)
    for other in (b, c, d, np.roll(a, 1)):
        assert abs(np.corrcoef(a, other)[0, 1]) < 4 / np.sqrt(50_000)
