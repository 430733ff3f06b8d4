"""Long-term values by rollouts: against closed forms where there are any, and with honest errors."""

import contextlib
from typing import Any

import numpy as np
import pytest

import simulators
from bandit_nba.errors import SettingsError
from simulators.journey import JourneyWorld, named, rollout, trap
from simulators.journey.named import settings_of
from simulators.journey.sensitivity import assumptions, effect, times


def _trap(**options: Any) -> JourneyWorld:
    made = simulators.make("fatigue-trap", seed=1, **options)
    assert isinstance(made, JourneyWorld)
    return made


def test_money_without_action_is_its_closed_form() -> None:
    """Nobody buys, 0.4 % leave a week for good: E = sum_t 5 d^t .996^t; 8,000 customers, |z| < 4."""
    never: dict[str, object] = {f"uplift.organic.{t}": 0.0 for t in ("persuadable", "sure_thing", "lost_cause")}
    world = _trap(overrides={**never, "uplift.organic.do_not_disturb": 0.0, "retention.risk_above": 100.0})
    value = rollout.play(world, rollout.nothing, n=8_000).value
    stays = world.discount * (1 - 0.004)
    expected = 5.0 * (1 - stays**104) / (1 - stays)

    assert abs(value.mean - expected) < 4 * value.se


def test_common_random_numbers_make_differences_sharp() -> None:
    """The difference needs less than half of the customers that independent plays need, and agrees with them."""
    world = _trap(wear="none")
    difference = rollout.compare(world, rollout.myopic_money, rollout.nothing, n=3_000, steps=26)
    one = rollout.play(world, rollout.myopic_money, n=3_000, steps=26, replication=5).value
    other = rollout.play(world, rollout.nothing, n=3_000, steps=26, replication=6).value
    apart = np.hypot(one.se, other.se)

    assert difference.se**2 < 0.5 * apart**2
    assert abs((one.mean - other.mean) - difference.mean) < 4 * np.hypot(apart, difference.se)


def test_action_values_of_one_step_are_its_expected_money() -> None:
    """With one step, long-term values are money(x, a) plus what every customer brings; 30 replications, |z| < 4."""
    world = _trap(wear="high")
    state = world.start(300)
    mean, se = rollout.action_values(world, state, follow=rollout.nothing, steps=1, replications=60)
    mask = world.eligible(state)
    gap = (mean - mean[:, :1] - (world.money(state) - world.money(state)[:, :1]))[mask]
    error = np.sqrt(se**2 + se[:, :1] ** 2)[mask]

    assert np.isnan(mean[~mask]).all()
    assert abs(gap.sum()) < 4 * np.sqrt((error**2).sum())


@pytest.mark.parametrize("name", ["telco-journey", "bank-inbound"])
def test_action_values_are_those_of_the_moment_at_which_they_are_asked(name: str) -> None:
    """Also at step 0: replications change what comes, not the channel and hour of now, on which q and costs depend."""
    world = simulators.make(name, seed=1)
    state = world.start(3_000)
    mean, se = rollout.action_values(world, state, follow=rollout.nothing, steps=1, replications=30)
    mask, due = world.eligible(state), world.money(state)
    gap = (mean - mean[:, :1] - (due - due[:, :1]))[mask]
    error = np.sqrt(se**2 + se[:, :1] ** 2)[mask]

    assert np.array_equal(np.isfinite(mean), mask)
    assert abs(gap.sum()) < 4 * np.sqrt((error**2).sum())


def test_contacts_cost_the_future_where_they_wear() -> None:
    """Long-term values of an offer, against none, fall from no wear to high wear, with the same chances."""
    gains = []
    for wear in ("none", "high"):
        world = _trap(wear=wear)
        state = world.start(400)
        mean, _ = rollout.action_values(world, state, follow=rollout.myopic_money, steps=26, replications=2)
        gains.append(float(np.nanmean(mean[:, 1] - mean[:, 0])))

    assert gains[0] > gains[1]


def test_regret_is_what_the_best_arm_would_have_added() -> None:
    world = _trap()
    best = rollout.play(world, rollout.myopic, n=500, steps=5, regret=True)
    chance = rollout.play(world, rollout.at_random, n=500, steps=5, regret=True)

    assert best.regret.max() == 0.0
    assert chance.regret.min() >= 0.0
    assert chance.by_step["regret"].sum() == pytest.approx(chance.regret.mean())
    assert chance.regret.mean() > 0.01


def test_assumptions_are_found_and_can_be_varied() -> None:
    found = assumptions("telco-journey")

    assert found["fatigue.half_life_weeks"] == 3.0
    assert "contract.alpha" not in found  # it has a source
    assert found["contract.renewal_weeks"] == 52.0  # which says that this is none of it
    assert found["touchpoints.email.consent"] == 0.7
    assert "touchpoints.email.delays" not in found
    assert found["uplift.stages.prospect"] == -1.0
    assert found["life_events.moving.per_year"] == 0.1
    assert found["personas.restless.types.persuadable"] == 0.45
    assert found["actions.welcome_offer.value"] == 40.0
    assert found["limits.contacts"] == 3
    assert found["base_margin"] == 4.0
    assert not {"uplift.best_fixed", "steps", "step_days", "population.profiles"} & set(found)
    half = effect("fatigue-trap", "retention.leave_per_week", 0.002, seed=1, n=200, steps=20)
    whole = effect("fatigue-trap", "retention.leave_per_week", 0.004, seed=1, n=200, steps=20)
    assert half is not None
    assert whole is not None
    assert half.base > whole.base
    assert effect("fatigue-trap", "uplift.organic.sure_thing", 7.0, seed=1, n=200, steps=20) is None


@pytest.mark.parametrize("name", sorted(named.WORLDS))
def test_every_assumption_of_every_world_can_be_varied(name: str) -> None:
    """Each place leads back to its number, halved and doubled ones too, unless they are out of range and say so."""
    import msgspec

    plain = msgspec.to_builtins(settings_of(name))
    found = assumptions(name)
    assert {p.split(".")[0] for p in found} > {"personas", "touchpoints", "actions", "uplift", "fatigue", "retention"}
    for place, value in found.items():
        assert msgspec.to_builtins(settings_of(name, {place: value})) == plain
        changed = []
        for factor in (0.5, 2.0):
            with contextlib.suppress(SettingsError):
                changed.append(settings_of(name, {place: times(value, factor)}))
        assert changed, place


def test_lists_are_varied_as_a_whole() -> None:
    parts = [{"share": 0.4, "mean_hours": 2.0}, {"share": 0.6, "mean_hours": 9.0}]

    assert times(parts, 2.0) == [{"share": 0.4, "mean_hours": 4.0}, {"share": 0.6, "mean_hours": 18.0}]  # type: ignore[arg-type]
    assert times([0.1, 0.0, -0.3], 0.5) == [0.05, 0.0, -0.15]
    assert times(3, 0.5) == 2


@pytest.mark.slow
def test_patience_pays_where_contacts_are_costly() -> None:
    """The table of docs/worlds.md: at least 20 % more where wear is moderate or high, nothing where there is none."""
    found = {wear: trap.judge(wear, n=4_000) for wear in ("none", "moderate", "high")}

    assert found["none"].lift <= 0.0
    for wear in ("moderate", "high"):
        assert found[wear].gain.interval[0] / found[wear].myopic > 0.15
        assert found[wear].lift >= 0.20
