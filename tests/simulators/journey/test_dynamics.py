"""What a period does to customers, each law by hand: leaving, coming back, lapsing, buying, troubles and money."""

from typing import Any

import numpy as np
import pytest

import simulators
from simulators.journey import JourneyWorld, State, purchases, rollout
from simulators.journey.lifecycle import In

N = 60_000


def _world(name: str, **overrides: Any) -> JourneyWorld:
    made = simulators.make(name, seed=4, overrides=overrides)
    assert isinstance(made, JourneyWorld)
    return made


def _nothing(state: State) -> np.ndarray[Any, Any]:
    return np.zeros(len(state), dtype=np.int64)


def _near(found: float, expected: float, n: int) -> bool:
    """Within 4.5 standard errors of a share: 7 in a million for a sound law."""
    return abs(found - expected) < 4.5 * np.sqrt(expected * (1.0 - expected) / n)


@pytest.mark.parametrize(
    ("fatigue", "issue", "protected", "stage", "exponent"),
    [
        (0.0, False, 0, In.ACTIVE, 0.0),
        (4.0, False, 0, In.ACTIVE, 0.5 * 4.0 * 2 ** (-1 / 3)),  # a week of wear is off: the half life is three
        (0.0, True, 0, In.ACTIVE, 0.8),
        (0.0, False, 5, In.ACTIVE, -0.3),
        (0.0, False, 0, In.LOYAL, -0.6),
        (2.0, True, 5, In.LOYAL, 0.5 * 2.0 * 2 ** (-1 / 3) + 0.8 - 0.3 - 0.6),
    ],
)
def test_customers_leave_by_the_hazard(
    fatigue: float, issue: bool, protected: int, stage: int, exponent: float
) -> None:
    """1 - (1 - .02)^exp(issue I + fatigue F - protection P - loyal L), 60,000 customers."""
    world = _world("fatigue-trap", **{"retention.leave_per_week": 0.02, "retention.issue": 0.8, "retention.loyal": 0.6})
    state = world.start(N)
    state.fatigue[:], state.issue[:], state.protected[:], state.stage[:] = fatigue, issue, protected, stage
    left = world.step(state, _nothing(state)).left

    assert _near(float(left.mean()), 1.0 - 0.98 ** float(np.exp(exponent)), N)
    assert (state.stage[left] == In.CHURNED).all()


def test_the_lost_come_back_at_their_rate() -> None:
    world = _world("retail-lifecycle", **{"retention.win_back_per_week": 0.05, "uplift.stages": {"churned": -20.0}})
    state = world.start(N)
    state.stage[:] = In.CHURNED
    world.step(state, _nothing(state))

    assert _near(float((state.stage == In.WON_BACK).mean()), 0.05, N)
    assert state.alive[state.stage == In.WON_BACK].all()


def test_who_has_dropped_out_is_lost_after_the_lapse_and_not_before() -> None:
    world = _world("retail-lifecycle", **{"retention.leave_per_week": 0.0})
    law = world.settings.purchases
    assert law is not None
    lapse = round(law.lapse_weeks)
    for ago, lost in ((lapse - 1, 0.0), (lapse, 1.0)):
        state = world.start(500)
        state.stage[:], state.alive[:], state.last_purchase[:] = In.ACTIVE, False, 1 - ago
        assert world.step(state, _nothing(state)).left.mean() == lost
    state.stage[:], state.alive[:], state.last_purchase[:] = In.ACTIVE, True, 1 - 2 * lapse
    assert not world.step(state, _nothing(state)).left.any()  # silent, but alive


def test_customers_buy_as_bg_nbd_says() -> None:
    """Fresh customers of the shop, left alone for 39 weeks: E[X(39)] of the law; 40,000 customers, |z| < 4.5."""
    world = _world("retail-lifecycle", **{"retention.leave_per_week": 0.0, "purchases.lapse_weeks": 1e6})
    law = world.settings.purchases
    assert law is not None
    state = world.start(40_000)
    state.stage[:], state.alive[:], state.purchases[:] = In.ACTIVE, True, 0
    for _ in range(39):
        world.step(state, _nothing(state))
    z = (state.purchases.mean() - purchases.expected_purchases(39.0, law)) / (state.purchases.std() / np.sqrt(40_000))

    assert abs(z) < 4.5


def test_money_is_margin_and_value_less_cost() -> None:
    """Row by row: recurring margin of customers, the value of what was taken, a share of purchases, less contacts."""
    for name in ("retail-lifecycle", "telco-journey"):
        world = _world(name, **({"limits.budget_per_1000": 0.0} if name == "retail-lifecycle" else {}))
        settings, law = world.settings, world.settings.purchases
        offers = {offer.id: offer for offer in settings.actions}
        contact = {touchpoint.channel: touchpoint.cost for touchpoint in settings.touchpoints}
        ids = [arm.action.id for arm in world.catalogue.arms]
        state = world.start(3_000)
        for _ in range(3):
            world.step(state, rollout.at_random(world, state))
        arm, before = rollout.at_random(world, state), state.copy()
        outcome = world.step(state, arm)
        customer = np.isin(before.stage, [In.ONBOARDING, In.ACTIVE, In.LOYAL, In.AT_RISK, In.WON_BACK])
        expected = (before.margin + settings.base_margin) * customer * settings.step_days / 7.0
        organic = np.mean([o.value for o in settings.actions]) + 26.0 * np.mean([o.margin for o in settings.actions])
        expected += organic * (
            outcome.responded & (arm == 0)
        )  # who buys alone buys what the offers are worth on average
        for i, k in enumerate(arm.tolist()):
            if k:
                offer = offers[ids[k]]
                expected[i] += offer.value * outcome.responded[i] - offer.cost
                expected[i] -= contact[world.channels[before.channel[i]]]
        if law is not None:
            amount = np.asarray(outcome.also["amount"])
            assert (amount > 0).sum() > 30
            expected += law.margin * amount

        assert (arm > 0).sum() > 500
        assert np.allclose(outcome.value, expected, atol=1e-9)


def test_what_is_taken_pays_and_protects_from_then_on() -> None:
    """margin of the offer is added to what the customer brings each week, and protection lasts its weeks."""
    world = _world("telco-journey")
    offers = {offer.id: offer for offer in world.settings.actions}
    ids = [arm.action.id for arm in world.catalogue.arms]
    state = world.start(30_000)
    state.margin[:], state.protected[:] = 0.0, 0
    arm = rollout.at_random(world, state)
    outcome = world.step(state, arm)
    taken = outcome.responded & ~outcome.left & (arm > 0)
    margins = np.array([offers[ids[k]].margin if k else 0.0 for k in arm])
    weeks = np.array([offers[ids[k]].protects_weeks if k else 0.0 for k in arm])

    assert np.allclose(state.margin[taken], margins[taken])
    assert not state.margin[~outcome.responded].any()
    assert margins[taken].max() > 0
    assert weeks[taken].max() > 0
    until = 1 + np.ceil(weeks[taken])
    assert (state.protected[taken] == until).all()


def test_troubles_come_sooner_to_the_new_and_heal() -> None:
    """1 - exp(-.02), 1 - exp(-.02 x 2.5) while onboarding, and 1 - exp(-.3) heal; 60,000 customers each."""
    care = {"care.issues_per_week": 0.02, "care.onboarding_factor": 2.5, "care.self_healing_per_week": 0.3}
    world = _world("telco-journey", **care)
    for stage, issue, expected in (
        (In.ACTIVE, False, 1 - np.exp(-0.02)),
        (In.ONBOARDING, False, 1 - np.exp(-0.05)),
        (In.WON_BACK, False, 1 - np.exp(-0.05)),
        (In.CHURNED, False, 0.0),
        (In.ACTIVE, True, np.exp(-0.3)),
    ):
        state = world.start(N)
        state.stage[:], state.issue[:] = stage, issue
        left = world.step(state, _nothing(state)).left
        found = float(state.issue[~left].mean())
        assert _near(found, float(expected), int((~left).sum())) if expected else found == 0.0


def test_a_cap_counts_the_contacts_of_its_window() -> None:
    """At most two in four steps: never a third, and again one as soon as the first has left the window."""
    world = _world("telco-journey", **{"limits.contacts": 2, "limits.within_steps": 4})
    state = world.start(2_000)
    history = []
    for _ in range(10):
        arm = rollout.at_random(world, state)
        history.append(world.step(state, arm).arm > 0)
    contacted = np.array(history)
    windows = np.array([contacted[i : i + 4].sum(axis=0) for i in range(7)])

    assert windows.max() == 2
    assert (contacted[4:] & (windows[1:] == 2)).any()
