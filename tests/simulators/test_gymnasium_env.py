"""Journey worlds as gymnasium environments: its own checker, without a warning, and the same lives as in the batch."""

import warnings

import gymnasium
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env

import simulators
from bandit_nba.errors import InputError, SettingsError
from simulators.gymnasium_env import JourneyEnv, JourneyVectorEnv
from simulators.journey import JourneyWorld, named


@pytest.fixture(scope="module")
def telco() -> JourneyWorld:
    made = simulators.make("telco-journey", seed=1)
    assert isinstance(made, JourneyWorld)
    return made


@pytest.mark.parametrize("name", sorted(named.WORLDS))
def test_gymnasiums_checker_finds_nothing(name: str) -> None:
    env = gymnasium.make(f"nba/{name}-v0", world_options={"seed": 1}, customers=500)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        check_env(env.unwrapped)


def test_one_customer_lives_as_in_the_batch(telco: JourneyWorld) -> None:
    """Customer 17 under replication 3: rewards, ends and q as in the batch of 40, for arms chosen from the mask."""
    env = JourneyEnv(telco, customers=40)
    batch = telco.start(40, replication=3)
    _, info = env.reset(seed=0, options={"customer": 17, "replication": 3})
    rng = np.random.default_rng(0)
    for _ in range(telco.steps):
        arm = np.zeros(40, dtype=np.int64)
        arm[17] = rng.choice(np.flatnonzero(info["action_mask"]))

        assert np.array_equal(info["action_mask"].astype(bool), telco.eligible(batch)[17])
        assert np.allclose(info["q"], telco.q(batch)[17], rtol=1e-12, atol=0)
        outcome = telco.step(batch, arm)
        _, reward, terminated, truncated, info = env.step(arm[17])
        assert reward == pytest.approx(outcome.value[17], rel=1e-12)
        assert terminated == outcome.left[17]
        assert truncated == (batch.t == telco.steps)
        if terminated:
            break


def test_a_refused_action_is_no_action(telco: JourneyWorld) -> None:
    env = JourneyEnv(telco, customers=50)
    _, info = env.reset(seed=1)
    wrong = int(np.argmin(info["action_mask"]))
    options = {"customer": 3, "replication": 9}
    _, info = env.reset(options=options)
    wrong = int(np.argmin(info["action_mask"]))
    _, reward, *_, info = env.step(np.int64(wrong))
    env.reset(options=options)
    _, same, *_, info_of_nothing = env.step(np.int64(0))

    assert info["refused"] is np.True_ or info["refused"] is True
    assert not info_of_nothing["refused"]
    assert reward == same


def test_many_customers_side_by_side(telco: JourneyWorld) -> None:
    """Shapes and ends; a lost customer is replaced at the next step, which earns nothing and refuses nothing."""
    envs = JourneyVectorEnv(telco, num_envs=400)
    seen, info = envs.reset(seed=2)
    again, _ = envs.reset(seed=2)
    assert np.array_equal(seen, again)
    replaced = 0
    done = np.zeros(400, dtype=bool)
    for t in range(telco.steps + 2):
        assert envs.observation_space.contains(seen)
        rng = np.random.default_rng(t)
        arm = np.array([rng.choice(np.flatnonzero(mask)) for mask in info["action_mask"]])
        seen, reward, terminated, truncated, info = envs.step(arm)
        assert np.isfinite(reward).all()
        assert not (reward[done] != 0).any()
        assert truncated.all() == truncated.any() == (t == telco.steps - 1)
        replaced += int(done.sum()) if not truncated.any() else 0
        done = terminated | truncated
    assert replaced > 20


def test_the_registered_vector_environment() -> None:
    envs = gymnasium.make_vec("nba/fatigue-trap-v0", num_envs=8, vectorization_mode="vector_entry_point")
    seen, info = envs.reset(seed=0)

    assert seen.shape[0] == 8
    assert info["q"].shape == (8, 5)


def test_what_is_latent_is_not_observed(telco: JourneyWorld) -> None:
    env = JourneyEnv(telco)
    assert not {"kind", "fatigue", "theta", "rate", "leave"} & set(env.observer.names)
    assert len(env.observer.names) == len(set(env.observer.names)) == env.observation_space.shape[0]


def test_a_budget_is_no_matter_of_one_customer() -> None:
    with pytest.raises(SettingsError, match="shared by customers"):
        JourneyEnv(simulators.make("retail-lifecycle", seed=1))
    assert JourneyEnv("retail-lifecycle").world.limits.budget_per_1000 == 0.0
    with pytest.raises(SettingsError, match="no journey world"):
        JourneyEnv("telco", world_options={"seed": 1})
    with pytest.raises(SettingsError, match="not a choice"):
        JourneyEnv("drift", reward="happiness")  # type: ignore[arg-type]


@pytest.mark.parametrize("action", [-1, 13, 1_000])
def test_an_action_outside_of_the_space_is_none_of_the_last_ones(telco: JourneyWorld, action: int) -> None:
    assert len(telco.catalogue.arms) == 13
    env, envs = JourneyEnv(telco, customers=10), JourneyVectorEnv(telco, num_envs=3)
    env.reset(seed=0)
    envs.reset(seed=0)

    with pytest.raises(gymnasium.error.InvalidAction):
        env.step(np.int64(action))
    for wrong in ([0, 0, action], [0, 0], [0.0, 0.5, 0.0]):
        with pytest.raises(gymnasium.error.InvalidAction):
            envs.step(np.array(wrong))


def test_a_journey_that_has_ended_is_reset_first_and_no_other_customer_is_played(telco: JourneyWorld) -> None:
    env = JourneyEnv(telco, customers=10)
    env.reset(seed=0)
    while not any(env.step(np.int64(0))[2:4]):
        pass

    with pytest.raises(gymnasium.error.ResetNeeded):
        env.step(np.int64(0))
    for customer in (-1, 10):
        with pytest.raises(SettingsError, match="customer"):
            env.reset(options={"customer": customer})
    for options in ({"customer": 1.7}, {"customer": "3"}, {"replication": None}):
        with pytest.raises(InputError, match="is no whole number"):
            env.reset(options=options)
    assert env.reset(options={"customer": np.int64(3), "replication": 2})[1]["action_mask"][0] == 1
