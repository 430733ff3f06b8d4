"""A journey world keeps its contract: same bytes by seed, exact truth, rules that agree with the product's."""

from typing import Any

import numpy as np
import pytest

import simulators
from bandit_nba.catalogue.rules import compile_rules
from bandit_nba.decide.eligibility.stages import eligible
from bandit_nba.errors import InputError, SettingsError
from simulators.journey import JourneyWorld, named, rollout
from simulators.journey import world as journey_world
from simulators.world import Outcome


@pytest.fixture(scope="module")
def telco() -> JourneyWorld:
    made = simulators.make("telco-journey", seed=1)
    assert isinstance(made, JourneyWorld)
    return made


def _log(world: JourneyWorld, n: int, steps: int, replication: int = 0) -> bytes:
    """Everything that happened, as bytes."""
    parts: list[bytes] = []

    def watch(_: object, arm: object, outcome: Outcome) -> None:
        parts.append(np.asarray(arm).tobytes())
        parts.extend(np.asarray(a).tobytes() for a in (outcome.responded, outcome.delay_s, outcome.value, outcome.left))

    rollout.play(world, rollout.at_random, n=n, steps=steps, replication=replication, watch=watch)
    return b"".join(parts)


def test_equal_seeds_give_equal_bytes_and_others_do_not(telco: JourneyWorld) -> None:
    log = _log(telco, 500, 20)

    assert log == _log(simulators.make("telco-journey", seed=1), 500, 20)
    assert log != _log(simulators.make("telco-journey", seed=2), 500, 20)
    assert log != _log(telco, 500, 20, replication=1)


def test_how_customers_are_cut_into_batches_changes_nothing(
    telco: JourneyWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    few, many = telco.start(100), telco.start(1_000)
    monkeypatch.setattr(journey_world, "CHUNK", 77)
    cut = telco.start(1_000)
    for _ in range(10):
        telco.step(few, rollout.at_random(telco, few))
        telco.step(cut, rollout.at_random(telco, cut))
    monkeypatch.undo()
    for _ in range(10):
        telco.step(many, rollout.at_random(telco, many))

    for a, b, c in zip(few.digest_arrays(), many.digest_arrays(), cut.digest_arrays(), strict=True):
        assert b.tobytes() == c.tobytes()
        assert a.tobytes() == b[:100].tobytes()


@pytest.mark.parametrize("name", sorted(named.WORLDS))
def test_a_customer_is_the_same_among_ten_and_among_a_thousand(name: str) -> None:
    """Latent numbers, too: buying rates, chances of leaving, mean amounts, chances of renewal."""
    world = simulators.make(name, seed=1)
    few, many = world.start(10), world.start(1_000)

    for a, b in zip(few.digest_arrays(), many.digest_arrays(), strict=True):
        assert a.tobytes() == b[:10].tobytes()


def test_contacts_that_cost_nothing_are_made_when_the_budget_is_spent() -> None:
    """Every other customer is offered what costs 1, the others what is free; the budget pays for a tenth."""
    overrides = {"limits": {"source": "assumption: a test", "budget_per_1000": 50.0}, "actions.gift.cost": 1.0}
    world = simulators.make("fatigue-trap", seed=1, overrides=overrides)
    free, gift = 1, [arm.id for arm in world.catalogue.arms].index("gift")
    state = world.start(1_000)
    wanted = np.where(np.arange(1_000) % 2, gift, free)
    arm = np.where(world.eligible(state)[np.arange(1_000), wanted], wanted, 0)
    done = world.step(state, arm).arm

    assert (done == gift).sum() == 50
    assert ((done == free) == (arm == free)).all()


def test_the_products_rules_leave_exactly_the_eligible_arms(telco: JourneyWorld) -> None:
    state, rules = telco.start(2_000), compile_rules(telco.catalogue)
    for _ in range(12):
        found = eligible(telco.catalogue, rules, telco.requests(state))

        assert found.failures == {}
        assert np.array_equal(found.mask, telco.eligible(state))
        telco.step(state, rollout.at_random(telco, state))


def test_q_is_the_mean_reward_of_each_arm(telco: JourneyWorld) -> None:
    """Monte Carlo over 400 replications of 400 customers after five steps; seed 1, |z| < 4.5 for 13 arms (1e-4)."""
    state = telco.start(400)
    for _ in range(5):
        telco.step(state, rollout.at_random(telco, state))
    mask, q = telco.eligible(state), telco.q(state)
    rows, arms = np.nonzero(mask)
    total = np.zeros(len(rows))
    for r in range(400):
        here = state.at(rows)
        here.stream = journey_world.streams((99, r), here.customer + 10_000 * arms)
        total += telco.step(here, arms).reward
    for k in range(mask.shape[1]):
        of_arm = arms == k
        p = q[rows[of_arm], k]
        z = (total[of_arm].sum() - 400 * p.sum()) / np.sqrt(max((400 * p * (1 - p)).sum(), 1.0))
        assert abs(z) < 4.5


def test_a_better_chance_never_loses_a_response(telco: JourneyWorld) -> None:
    """Common random numbers: where q of one arm is higher, its response is never missing where the other's is there."""
    state = telco.start(3_000)
    p, mask = telco.responses.chances(state), telco.eligible(state)
    best = np.where(mask, p, -np.inf).argmax(axis=1)
    with_best = telco.step(state.copy(), best).responded
    with_none = telco.step(state.copy(), np.zeros(3_000, dtype=np.int64)).responded

    assert not (with_none & ~with_best).any()


def test_the_best_fixed_action_earns_what_the_settings_say() -> None:
    world = simulators.make("telco-journey", seed=3, best_fixed=0.05)
    state = world.start(journey_world.CALIBRATED_ON)
    p, mask = world.responses.chances(state), world.eligible(state)
    fixed = np.where(mask, p, p[:, :1])[:, 1:].mean(axis=0)

    assert fixed.max() == pytest.approx(0.05, abs=1e-6)


def test_arms_that_are_not_eligible_are_refused(telco: JourneyWorld) -> None:
    state = telco.start(50)
    mask = telco.eligible(state)
    row = int(np.argmax(~mask.all(axis=1)))
    arm = np.zeros(50, dtype=np.int64)
    arm[row] = int(np.argmin(mask[row]))
    with pytest.raises(InputError, match=rf"arm\[{row}\]: the arm is not eligible"):
        telco.step(state, arm)
    with pytest.raises(InputError, match="no such arm"):
        telco.step(state, arm - 1)
    with pytest.raises(InputError, match="one arm for each customer"):
        telco.step(state, arm[:10])


def test_options_are_checked() -> None:
    with pytest.raises(SettingsError, match="unknown world"):
        simulators.make("telco-jurney", seed=1)
    with pytest.raises(SettingsError, match="unknown option"):
        simulators.make("telco-journey", sed=1)
    with pytest.raises(SettingsError, match="missing option"):
        simulators.make("telco-journey")
    with pytest.raises(SettingsError, match="no such place"):
        simulators.make("telco-journey", seed=1, overrides={"fatigue.halflife_weeks": 4.0, "fatige.response": 1.0})
    with pytest.raises(SettingsError, match="half_life_weeks"):
        simulators.make("telco-journey", seed=1, overrides={"fatigue.half_life_weeks": -4.0})
    with pytest.raises(SettingsError, match="no level gives this response"):
        simulators.make("telco-journey", seed=1, best_fixed=0.85)


@pytest.mark.parametrize(
    ("world", "options", "message"),
    [
        ("telco-journey", {"seed": "a"}, "world telco-journey: seed: is not allowed; got 'a'; allowed: a whole number"),
        ("telco-journey", {"seed": 1.5}, "seed: is not allowed; got 1.5; allowed: a whole number"),
        ("telco-journey", {"seed": True}, "seed: is not allowed; got True"),
        ("telco-journey", {"seed": 1, "steps": "x"}, "steps: is not allowed; got 'x'; allowed: a whole number"),
        ("telco-journey", {"seed": 1, "overrides": 3}, "overrides: is not allowed; got 3; allowed: a table"),
        ("telco-journey", {"seed": 1, "overrides": {4: 3}}, "overrides: 4: is not allowed; got 4; allowed: text"),
        ("telco-journey", {"seed": 1, "best_fixed": float("nan")}, "best_fixed: is not a finite number"),
        ("fatigue-trap", {"seed": 1, "wear": "hihg"}, "wear: is not allowed; got 'hihg'; allowed: .*\"high\""),
        ("drift", {"seed": 1, "kind": 3}, "kind: is not allowed; got 3; allowed: .*gradual"),
        ("telco", {"seed": 1, "horizon_s": "x"}, "horizon_s: is not allowed; got 'x'; allowed: a (finite )?number"),
        ("telco", {"seed": 1, "kind": {"mainz": 2}}, "kind: unknown key; got 'mainz'; allowed: mains, steps, pairs"),
        (
            "telco",
            {"seed": 1, "kind": {"mains": -1}},
            "kind: mains: is not allowed; got -1; allowed: a whole number from 0",
        ),
        ("bakeoff", {"dataset": 3}, "dataset: is not allowed; got 3; allowed: text"),
        ("bakeoff", {"noise": None}, "noise: is not allowed"),
    ],
)
def test_an_option_of_a_wrong_type_is_named_with_what_is_allowed(
    world: str, options: dict[str, Any], message: str
) -> None:
    with pytest.raises(SettingsError, match=message):
        simulators.make(world, **options)


def test_numbers_of_numpy_are_numbers() -> None:
    assert simulators.make("telco-journey", seed=np.int64(3), best_fixed=np.float64(0.1), steps=2).seed == 3
