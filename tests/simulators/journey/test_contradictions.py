"""What would end in nonsense is refused with place, value and what is allowed, and without a warning of numpy."""

import datetime
from typing import Any

import numpy as np
import pytest

import simulators
from bandit_nba.errors import InputError, NbaError, SettingsError
from simulators.journey import JourneyWorld, rollout

TEST = "assumption: a test"
EVENT = {"source": TEST, "per_year": 1.0, "window_weeks": 1.0}
BUYING = {"source": TEST, "r": 1.0, "alpha": 1.0, "a": 1.0, "b": 2.0, "p": 1.0, "q": 2.0, "v": 1.0}
BARE = {f"personas.{p}.{kind}": {} for p in ("busy", "relaxed") for kind in ("numbers", "categories", "flags")}


def _world(**overrides: Any) -> JourneyWorld:
    made = simulators.make("fatigue-trap", seed=1, overrides=overrides)
    assert isinstance(made, JourneyWorld)
    return made


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        ({"start": "2023-13-01"}, "start: is no date .*; got '2023-13-01'; allowed: a date and time such as"),
        ({"step_days": 1e9}, "step_days: ends after the year 9999; got 1000000000.0"),
        ({"steps": 0}, "steps: is not allowed; got 0"),
        ({"personas.busy.share": 0.0, "personas.relaxed.share": 0.0}, "personas.share: all are zero"),
        ({"personas.busy.name": "relaxed"}, "personas: two have this name.*; got 'relaxed'"),
        ({"personas.busy.match": {"plan": "plus"}}, "personas.busy.match: there is no given population.*Hint: made-up"),
        ({"personas.busy.numbers": {"consent": {"median": 1.0}}}, "busy.numbers.consent: is a fact of the world's own"),
        ({"personas.busy.flags": {"owned": 0.5}}, "busy.flags.owned: is a fact of the world's own.*Hint: rename it"),
        ({"personas.busy.flags": {"age": 0.5}}, "busy.flags.age: stands under numbers, too"),
        ({"personas.busy.numbers": {"age": {"median": 1.0, "spread": 400.0}}}, r"spread: is not allowed; got 400.0"),
        (BARE, "personas: no persona has a fact. Hint: give one of numbers"),
        ({"touchpoints.push.fatigue": 1e9}, "opt_out_growth: the exponent is too large; got .*at every step"),
        ({"touchpoints.push.appeal": 1e6}, "appeal: is not allowed; got 1000000.0; allowed: .*-300"),
        ({"touchpoints.push.consent": 0.0}, "uplift.best_fixed: no level gives .*; got 0.08; allowed: 0.0.* to 0.0"),
        ({"uplift.organic.persuadable": 1.0}, "organic.persuadable: is not allowed; got 1.0"),
        ({"uplift.type_sharpness": 1e9}, "type_sharpness: is not allowed"),
        ({"uplift.stages": {"active": 1e6}}, "uplift.stages.active: is not allowed"),
        ({"fatigue.opt_out_growth": 1e9}, "fatigue.opt_out_growth: the exponent is too large"),
        ({"retention.leave_per_week": 1.0}, "leave_per_week: is not allowed; got 1.0"),
        ({"retention.win_back_per_week": 1.0}, "win_back_per_week: is not allowed; got 1.0"),
        ({"retention.issue": 1e9}, "retention.fatigue: the exponent is too large"),
        ({"purchases": {**BUYING, "r": 1e6}}, "purchases.r: customers buy too often; got 1000000.0"),
        ({"calendar": {"source": TEST, "yearly_amplitude": 1e9}}, "yearly_amplitude: is too large; got 1000000000.0"),
        ({"life_events": [{**EVENT, "name": "none"}]}, "life_events.none: is a name of its own"),
        ({"life_events": [{**EVENT, "name": "issue"}]}, "life_events.issue: is a name of its own"),
        ({"life_events": [{**EVENT, "name": "e", "trait": "age", "weight": 1e9}]}, "weight: is not allowed"),
        ({"actions.gift.id": "no_action"}, 'actions.3. "no_action".id: is reserved'),
        ({"actions.gift.id": "extra_film"}, "actions: two have this name, each action needs its own; got 'extra_film'"),
        ({"actions.gift.kind": "none"}, "kind: only the built-in no action has this kind"),
        ({"actions.gift.group": "none"}, "groups.none: is reserved"),
        ({"actions.gift.arrives": 10, "actions.gift.retires": 5}, "gift.retires: retires before it arrives; got 5"),
        ({"actions.gift.arrives": 10**7}, "arrives: is not allowed; got 10000000"),
        ({"actions.gift.only_in_event": True}, "gift.only_in_event: names no event"),
        ({"actions.gift.owned_as": 'a" in x'}, "owned_as: is not allowed; got 'a\" in x'"),
    ],
)
def test_impossible_settings_are_named(overrides: dict[str, Any], message: str) -> None:
    with pytest.raises(SettingsError, match=message):
        _world(**overrides)


def test_the_first_step_is_in_utc_wherever_the_machine_stands(monkeypatch: pytest.MonkeyPatch) -> None:
    import time

    found = []
    for zone in ("UTC", "Asia/Tokyo"):
        monkeypatch.setenv("TZ", zone)
        time.tzset()
        found.append(_world(start="2024-03-01T00:00:00").start_s)
    monkeypatch.undo()
    time.tzset()

    assert found == [datetime.datetime(2024, 3, 1, tzinfo=datetime.UTC).timestamp()] * 2


@pytest.mark.parametrize("seed", [0, 2**70, np.uint64(2**63)])
def test_large_seeds_are_seeds(seed: Any) -> None:
    assert len(simulators.make("fatigue-trap", seed=seed).start(3)) == 3


def test_calls_that_cannot_be_answered_are_refused_before_anything_is_played() -> None:
    world = _world()
    state = world.start(5)
    calls: list[tuple[Any, str]] = [
        (lambda: world.start(0), "n: a world needs customers; got 0"),
        (lambda: world.start(2.5), "n: is no whole number; got 2.5"),  # type: ignore[arg-type]
        (lambda: world.start(True), "n: is no whole number; got True"),
        (lambda: world.start(3, replication="a"), "replication: is no whole number; got 'a'"),  # type: ignore[arg-type]
        (lambda: world.step(state, np.zeros(5)), "arm: holds no whole numbers; got 'float64'"),
        (lambda: world.step(state, np.zeros(5, dtype=bool)), "arm: holds no whole numbers; got 'bool'"),  # type: ignore[arg-type]
        (lambda: world.step(state, [0] * 5), "arm: holds no whole numbers; got 'list'"),  # type: ignore[arg-type]
        (lambda: rollout.play(world, rollout.nothing, n=2, steps=10**9), "steps: cannot play so many.*1 to 104"),
        (lambda: rollout.play(world, rollout.nothing, n=2, steps=0), "steps: cannot play so many steps; got 0"),
        (
            lambda: rollout.play(world, rollout.always("gfit"), n=2),
            'no such arm; got .gfit.. Hint: did you mean "gift"',
        ),
        (
            lambda: rollout.compare(world, rollout.nothing, rollout.myopic, n=2, replications=0),
            "replications: nothing to play; got 0",
        ),
        (
            lambda: rollout.action_values(world, state, follow=rollout.nothing, steps=1, replications=0),
            "replications: nothing to play",
        ),
        (lambda: rollout.action_values(world, state, follow=rollout.nothing, steps=105), "steps: cannot play so many"),
    ]
    for call, message in calls:
        with pytest.raises(InputError, match=message):
            call()
    assert state.t == 0


def test_of_one_customer_there_is_a_mean_and_no_error() -> None:
    value = rollout.compare(_world(), rollout.myopic_money, rollout.nothing, n=1, steps=3)

    assert np.isfinite(value.mean)
    assert np.isnan(value.se)


def test_every_error_is_the_products_own() -> None:
    """Names that are nearly right get a hint, whichever part of the settings they stand in."""
    for place in ("personas.busi.share", "touchpoints.pusch.cost", "actions.gfit.value", "fatige.response"):
        with pytest.raises(NbaError, match="did you mean"):
            _world(**{place: 1.0})
