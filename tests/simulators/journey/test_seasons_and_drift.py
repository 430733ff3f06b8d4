"""What time does to responses: seasons by hand, and tastes that turn without growing."""

import datetime
import math

import numpy as np
import pytest

import simulators
from simulators.journey import JourneyWorld
from simulators.journey.calendar import season
from simulators.journey.drift import angle, turned
from simulators.journey.settings import Calendar, Drift

SOURCE = "assumption: a test"


def test_the_year_has_its_peak_and_half_a_year_later_its_trough() -> None:
    """amplitude x cos(2 pi (week - peak) / 52.18); 1 January 2024 is week 0, a peak in week 10 is day 70."""
    law = Calendar(source=SOURCE, yearly_amplitude=0.4, peak_week=10.0)
    found = season(law, start=datetime.datetime(2024, 1, 1, tzinfo=datetime.UTC), step_days=1.0, steps=365)

    assert int(found.argmax()) == 70
    assert found[70] == pytest.approx(0.4)
    assert found[0] == pytest.approx(0.4 * math.cos(2 * math.pi * 10 / (365.25 / 7)))
    assert int(found.argmin()) in (252, 253)  # 70 + 182.6
    later = season(law, start=datetime.datetime(2024, 1, 15, tzinfo=datetime.UTC), step_days=7.0, steps=20)
    assert np.allclose(later, found[14 : 14 + 140 : 7])  # the same days, by weeks from the 15th on


def test_weekdays_are_those_of_the_calendar() -> None:
    """3 January 2024 was a Wednesday."""
    law = Calendar(source=SOURCE, weekdays=(0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6))
    start = datetime.datetime(2024, 1, 3, tzinfo=datetime.UTC)

    assert season(law, start=start, step_days=1.0, steps=8) == pytest.approx([0.2, 0.3, 0.4, 0.5, 0.6, 0.0, 0.1, 0.2])
    assert season(law, start=start, step_days=7.0, steps=3).tolist() == [0.0, 0.0, 0.0]


def test_the_season_moves_what_customers_do_by_themselves_and_what_contacts_gain() -> None:
    """q(x, 0) is the organic chance x exp(season), where nothing else is of the time."""
    world = simulators.make("fatigue-trap", seed=2, overrides={"calendar": {"source": SOURCE, "yearly_amplitude": 0.5}})
    assert isinstance(world, JourneyWorld)
    state = world.start(500)
    first = world.q(state)
    for t in (13, 26, 39):
        state.t = t
        ratio = np.exp(world.responses.season[t] - world.responses.season[0])
        here = world.q(state)
        assert np.allclose(here[:, 0], first[:, 0] * ratio)
        assert ((here[:, 1:] > first[:, 1:]) == (ratio > 1)).mean() > 0.9
    assert np.ptp(world.responses.season[:52]) == pytest.approx(1.0, abs=0.01)


def test_how_far_tastes_have_turned() -> None:
    """A quarter turn over 10 steps from step 5 on; at once; never."""
    gradual = Drift(source=SOURCE, kind="gradual", at_step=5, over_steps=10)
    abrupt = Drift(source=SOURCE, kind="abrupt", at_step=5)

    assert [angle(gradual, t) for t in (0, 4, 5, 10, 15, 40)] == pytest.approx(
        [0.0, 0.0, 0.0, math.pi / 4, math.pi / 2, math.pi / 2]
    )
    assert [angle(abrupt, t) for t in (4, 5, 99)] == pytest.approx([0.0, math.pi / 2, math.pi / 2])
    assert angle(Drift(source=SOURCE), 50) == angle(None, 50) == 0.0


def test_turning_keeps_the_variance_of_tastes() -> None:
    """cos^2 + sin^2 = 1: of independent tastes of variance 1 at every angle; 200,000 of them, 2 %; seed 5."""
    rng = np.random.default_rng(5)
    old, new = rng.normal(size=200_000), rng.normal(size=200_000)

    for by in (0.0, math.pi / 8, math.pi / 4, math.pi / 2):
        assert turned(old, new, by).var() == pytest.approx(1.0, rel=0.02)
    assert np.allclose(turned(old, new, math.pi / 4), (old + new) / math.sqrt(2))


def test_only_the_tastes_of_drifting_arms_turn_and_all_the_way() -> None:
    """After it a drifting arm's logit is level + appeal + heterogeneity x the new taste, the others' is the old one."""
    world = simulators.make("drift", seed=3, kind="abrupt", overrides={"calendar.yearly_amplitude": 0.0})
    assert isinstance(world, JourneyWorld)
    law = world.settings.drift
    assert law is not None
    responses = world.responses
    state = world.start(300)
    before = responses._taste(state, None).copy()
    state.t = law.at_step
    after = responses._taste(state, None)
    drifts = responses.drifts
    wanted = responses.level + responses.appeal + world.settings.uplift.heterogeneity * responses.tastes[1]

    assert 0 < drifts.sum() < len(drifts)
    assert np.array_equal(after[:, ~drifts], before[:, ~drifts])
    assert np.allclose(after[:, drifts], wanted[state.profile][:, drifts])
    assert not np.allclose(after[:, drifts], before[:, drifts])
    arm = np.full(300, int(np.flatnonzero(drifts)[0]))
    assert np.allclose(responses._taste(state, arm), after[np.arange(300), arm])
