"""The gate: its one sequence is exact by enumeration, tighter than two, valid at all times."""

import itertools

import numpy as np
import pytest

from bandit_nba.errors import InputError
from bandit_nba.evaluate.gate import gain_sequence, gate


def champion_log(rng, n, gain):
    """A log of a uniform champion over two arms; the challenger moves .3 of the mass to arm 1; truth .3 * gap."""
    gap = gain / 0.3
    arm = rng.integers(0, 2, n)
    rewards = (rng.random(n) < 0.4 + np.where(arm == 1, gap / 2, -gap / 2)).astype(float)
    return np.where(arm == 1, 1.6, 0.4), rewards


def test_the_term_has_mean_half_of_one_plus_the_gain_and_never_leaves_its_range():
    # all arms and rewards of one decision, by full enumeration; weights up to 7
    champion, challenger = np.array([0.1, 0.6, 0.3]), np.array([0.7, 0.1, 0.2])
    success = np.array([0.9, 0.3, 0.5])
    gain = float(((challenger - champion) * success).sum())
    up = down = 0.0
    for arm, reward in itertools.product(range(3), (0.0, 1.0)):
        chance = champion[arm] * (success[arm] if reward else 1 - success[arm])
        w = challenger[arm] / champion[arm]
        x, y = (1 + (w - 1) * reward) / 2, (1 + (w - 1) * (1 - reward)) / 2
        assert x >= 0
        assert y >= 0
        up, down = up + chance * x, down + chance * y

    assert up == pytest.approx((1 + gain) / 2, abs=1e-12)
    assert down == pytest.approx((1 - gain) / 2, abs=1e-12)


def test_one_sequence_is_tighter_than_two():
    rng = np.random.default_rng(0)
    weights, rewards = champion_log(rng, 5000, 0.1)
    now = np.array([5000])

    one = gain_sequence(weights, rewards, now)
    two = gain_sequence(weights, rewards, now, champion_weights=np.ones(5000))

    assert one[0] > two[0]
    assert one[1] < two[1]
    assert one[0] < 0.1 < one[1]


@pytest.mark.parametrize("sequence", ["confidence_sequence", "robust_sequence"])
@pytest.mark.parametrize("gain", [0.0, 0.06])
def test_time_uniform_miscoverage(sequence, gain):
    # 150 logs of 1,500, alpha .2: at most 48 misses with chance 0.999 (binomial)
    times = np.unique(np.geomspace(5, 1500, 40).astype(int))
    misses = 0
    for seed in range(150):
        weights, rewards = champion_log(np.random.default_rng(seed), 1500, gain)
        low, high = gain_sequence(weights, rewards, times, alpha=0.2, sequence=sequence)
        misses += bool(((low > gain) | (high < gain)).any())

    assert misses <= 48


def test_promotes_a_better_rejects_a_worse_and_waits_for_an_equal_challenger():
    rng = np.random.default_rng(1)
    weights, rewards = champion_log(rng, 20_000, 0.12)

    verdicts = gate({"better": weights, "worse": 2 - weights, "same": np.ones(20_000)}, rewards)

    assert {verdict.challenger: verdict.action for verdict in verdicts} == {
        "better": "promote",
        "worse": "reject",
        "same": "wait",
    }
    assert "earns at least" in verdicts[0].reason
    assert verdicts[0].low < 0.12 < verdicts[0].high


def test_more_challengers_ask_for_more_evidence():
    rng = np.random.default_rng(2)
    weights, rewards = champion_log(rng, 5000, 0.1)

    alone = gate({"a": weights}, rewards)[0]
    many = gate({"a": weights, **{str(i): np.ones(5000) for i in range(19)}}, rewards)[0]
    strict = gate({"a": weights}, rewards, alpha=0.05 / 20)[0]

    assert many.low < alone.low
    assert (many.low, many.high) == (strict.low, strict.high)


def test_no_promotion_below_the_floor_of_effective_decisions():
    weights = np.zeros(10_000)
    weights[::100] = 100.0
    rewards = (weights > 0).astype(float)

    verdict = gate({"thin": weights}, rewards)[0]

    assert verdict.low > 0
    assert verdict.action == "wait"
    assert "are needed" in verdict.reason


def test_money_scales_the_ends():
    rng = np.random.default_rng(3)
    weights, rewards = champion_log(rng, 2000, 0.1)

    plain = gate({"a": weights}, rewards)[0]
    money = gate({"a": weights}, 20 * rewards - 5, reward_range=(-5.0, 15.0))[0]

    assert (money.low, money.high) == pytest.approx((20 * plain.low, 20 * plain.high), abs=1e-9)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"alpha": 1.0}, "alpha"),
        ({"sequence": "gaussian"}, "no such sequence"),
        ({"reward_range": (0, 0.5)}, r"rewards\["),
    ],
)
def test_wrong_options_are_refused(options, message):
    with pytest.raises(InputError, match=message):
        gate({"a": [1.0, 1.0]}, [0.0, 1.0], **options)


def test_no_challenger_is_refused():
    with pytest.raises(InputError, match="no challenger"):
        gate({}, [1.0])
