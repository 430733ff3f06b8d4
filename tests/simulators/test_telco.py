"""The Telco world is of its declared kind for every seed, repeatable, and its truth is what its customers do."""

import numpy as np
import pytest

from bandit_nba.catalogue.action import NO_ACTION
from bandit_nba.errors import InputError, SettingsError
from simulators import make, worlds
from simulators.calibration import fixed_values
from simulators.telco import TelcoWorld
from simulators.telco_population import FACTS, telco_customers
from simulators.truth import best_fixed, deterministic, oracle, uniform, value


@pytest.fixture(scope="module")
def world() -> TelcoWorld:
    return TelcoWorld(seed=1)


@pytest.mark.parametrize("seed", [*range(30), 12_345])
def test_every_seed_makes_a_world_of_the_same_kind(seed: int) -> None:
    """Best fixed action's mean response 5-15 %, oracle / best fixed 1.7-2.1, many arms best for somebody."""
    world = TelcoWorld(seed=seed)
    fixed = best_fixed(world.q, world.eligible)
    best = oracle(world.q, world.eligible)
    fixed_value = value(world.q, deterministic(np.full(len(best), fixed), world.eligible))
    oracle_value = value(world.q, deterministic(best, world.eligible))
    used = np.bincount(best, minlength=world.q.shape[1]) / len(best)

    assert 0.05 <= fixed_value <= 0.15
    assert 1.7 <= oracle_value / fixed_value <= 2.1
    assert (used >= 0.02).sum() >= 5
    assert used[0] == 0.0
    assert value(world.q, uniform(world.eligible)) < 0.85 * fixed_value
    assert ((world.q[:, 1:] > 0.0) & (world.q[:, 1:] < 1.0)).all()
    assert world.calibration.best_fixed == pytest.approx(fixed_value, abs=1e-9)
    assert world.calibration.oracle == pytest.approx(oracle_value, abs=1e-9)
    assert fixed_values(world.q, world.eligible).argmax() == fixed


def test_the_same_seed_gives_the_same_world_and_draws_byte_for_byte() -> None:
    def play(seed: int) -> bytes:
        world, rng = TelcoWorld(seed=seed), np.random.default_rng(7)
        customers = world.sample_customers(rng, 500)
        accepted, delay_s = world.respond(rng, customers, np.full(500, 11))
        return b"".join(a.tobytes() for a in (world.q, customers, accepted, delay_s))

    assert play(3) == play(3)
    assert play(3) != play(4)


def test_truth_is_the_mean_response_of_a_monte_carlo_run(world: TelcoWorld) -> None:
    """Seed 5; a correct truth lies outside five standard errors with probability 6e-7."""
    rng = np.random.default_rng(5)
    n = 200_000
    customers = world.sample_customers(rng, n)
    q, mask = world.q[customers], world.eligible[customers]
    for probability in (uniform(mask), deterministic(oracle(q, mask), mask)):
        arms = (rng.random((n, 1)) > probability.cumsum(axis=1)).sum(axis=1)
        accepted, _ = world.respond(rng, customers, arms)

        assert mask[np.arange(n), arms].all()
        assert accepted.mean() == pytest.approx(value(q, probability), abs=5 * accepted.std() / np.sqrt(n))


def test_each_cell_responds_at_its_own_rate(world: TelcoWorld) -> None:
    """Seed 6: Pearson's chi-square over all arms of one customer stays below its 1 - 1e-6 quantile (15 cells: 57)."""
    n = 20_000
    rng = np.random.default_rng(6)
    q = world.q[42, 1:]
    rates = np.array([world.respond(rng, np.full(n, 42), np.full(n, k))[0].mean() for k in range(1, len(q) + 1)])
    chi_square = ((rates - q) ** 2 / (q * (1.0 - q) / n)).sum()

    assert chi_square < 57.0


def test_no_action_earns_nothing_and_has_no_delay(world: TelcoWorld) -> None:
    accepted, delay_s = world.respond(np.random.default_rng(0), np.arange(1000), np.zeros(1000, dtype=np.int64))

    assert not accepted.any()
    assert np.isnan(delay_s).all()
    assert (world.q[:, 0] == 0.0).all()


def test_delays_lie_within_the_horizon() -> None:
    world = TelcoWorld(seed=2, horizon_s=10.0)
    rng = np.random.default_rng(8)
    customers = world.sample_customers(rng, 50_000)
    accepted, delay_s = world.respond(rng, customers, oracle(world.q, world.eligible)[customers])

    assert (np.isfinite(delay_s) == accepted).all()
    assert delay_s[accepted].min() >= 0.0
    assert delay_s[accepted].max() < 10.0 * world.delays.latest < 10.0


def test_rules_leave_each_customer_some_arms_but_not_all(world: TelcoWorld) -> None:
    counts = world.eligible.sum(axis=1)

    assert world.eligible[:, 0].all()
    assert 5 <= counts.mean() <= 13
    assert counts.min() >= 2
    assert counts.max() <= world.eligible.shape[1]
    assert counts.std() > 1.0


def test_nobody_is_offered_what_they_have_or_cannot_use(world: TelcoWorld) -> None:
    column = {arm.id: k for k, arm in enumerate(world.catalogue.arms)}
    for profile, mask in zip(world.customers.profiles, world.eligible, strict=True):
        owned = profile["owned"]
        assert isinstance(owned, tuple)
        for product in ("online_security", "online_backup", "device_protection", "streaming_tv", "streaming_movies"):
            assert mask[column[product]] == (product not in owned and profile["internet"] != "No")
        assert mask[column["fiber_upgrade"]] == (profile["internet"] == "DSL")
        assert mask[column["second_line"]] == ("phone" in owned and "multiple_lines" not in owned)
        assert mask[column["support_plan"]] == ("tech_support" not in owned and profile["internet"] != "No")
        assert mask[column["automatic_payment"]] == (profile["payment"] in ("Electronic check", "Mailed check"))


def test_the_catalogue_has_many_kinds_of_actions(world: TelcoWorld) -> None:
    actions = world.catalogue.actions

    assert world.catalogue.arms[0].id == NO_ACTION
    assert len(actions) >= 12
    assert len({a.group for a in actions}) >= 4
    assert {a.kind for a in actions} == {"offer", "service", "information", "retention"}
    assert world.catalogue.facts == FACTS


def test_ids_never_become_facts() -> None:
    customers = telco_customers()
    cells = {str(v) for profile in customers.profiles for v in profile.values()}

    assert len(set(customers.ids)) == len(customers) == 7043
    assert not cells & set(customers.ids)
    assert all(set(profile) == set(FACTS) for profile in customers.profiles)


def test_requests_carry_the_facts_of_the_customers_named(world: TelcoWorld) -> None:
    index = np.array([488, 3, 3, 7042])
    requests = world.requests(index, ids=["a", "b", "c", "d"], decided_at=np.arange(4.0))

    assert requests.customers == [world.customers.ids[i] for i in index]
    for row, i in enumerate(index):
        known = {name: v for name, v in world.customers.profiles[i].items() if v is not None}
        assert requests.facts.row(row) == known
    assert "total_charges" not in requests.facts.row(0)  # row 489 of the table has no bill yet


def test_worlds_are_made_by_name() -> None:
    assert {"telco", "telco-journey"} <= set(worlds())
    assert isinstance(make("telco", seed=1), TelcoWorld)


def test_a_wrong_name_or_option_is_refused_with_a_hint() -> None:
    with pytest.raises(SettingsError, match='did you mean "telco"'):
        make("telko", seed=1)
    with pytest.raises(SettingsError, match='did you mean "seed"'):
        make("telco", sead=1)
    with pytest.raises(SettingsError, match="missing option"):
        make("telco")
    with pytest.raises(InputError, match="seed"):
        make("telco", seed=-1)
