"""Estimates from shards are those of one pass: value, ends, effective size and warnings."""

import numpy as np
import pytest

from bandit_nba.errors import InputError, RefusedError
from bandit_nba.evaluate import accumulate, estimate, estimate_shards
from bandit_nba.evaluate.shards import estimate_merged

PLANS = [
    ("ips", "gaussian"),
    ("snips", "student_t"),
    ("dr", "gaussian"),
    ("sndr", "gaussian"),
    ("dm", "student_t"),
    ("cressie_read", "gaussian"),
    ("ips", "cressie_read"),
    ("snips", "cressie_read"),
    ("cressie_read", "cressie_read"),
]


def columns(n=4_000, *, customers=None, seed=3):
    rng = np.random.default_rng(seed)
    found = {
        "weights": rng.choice([0.1, 0.6, 1.4, 2.9], n, p=[0.3, 0.3, 0.3, 0.1]),
        "rewards": (rng.random(n) < 0.1).astype(float),
        "q_logged": rng.random(n),
        "q_policy": rng.random(n),
    }
    return found if customers is None else {**found, "groups": np.sort(rng.integers(0, customers, n))}


def cut(given, starts):
    """Shards of the columns that begin at `starts`."""
    ends = [*starts[1:], len(given["weights"])]
    return [{name: column[i:j] for name, column in given.items()} for i, j in zip(starts, ends, strict=True)]


@pytest.mark.parametrize("customers", [None, 500])
@pytest.mark.parametrize(("name", "interval"), PLANS)
def test_shards_give_what_one_pass_gives(name, interval, customers):
    given = columns(customers=customers)
    starts = [0, 7, 1_000, 3_999]
    if customers:
        wanted = np.searchsorted(given["groups"], [0, 3, 200, 499])  # whole customers
        starts = wanted.tolist()
    options = {"alpha": 0.1, "weight_range": (0.0, 3.0)}

    found = estimate_shards(cut(given, starts), {name: interval}, **options)[name]
    expected = estimate(**given, estimator=name, interval=interval, **options)

    assert found.value == pytest.approx(expected.value, abs=1e-12)
    # a variance as a quadratic form of correlated moments loses some digits; half widths here are about .01
    assert (found.low, found.high) == pytest.approx((expected.low, expected.high), abs=1e-8)
    assert found.ess == pytest.approx(expected.ess, rel=1e-12)
    assert (found.n, found.warnings) == (expected.n, expected.warnings)


def test_warnings_are_those_of_one_pass_where_propensities_are_wrong():
    given = columns() | {"weights": np.random.default_rng(0).choice([0.1, 1.5], 4_000)}

    found = estimate_shards(cut(given, [0, 900, 3_000]), {"snips": "gaussian"})["snips"]

    assert found.warnings == estimate(given["weights"], given["rewards"]).warnings
    assert "the mean weight is" in found.warnings[0]


def test_what_sums_cannot_give_is_refused():
    ips = accumulate([1.0, 2.0], [0.0, 5.0], estimator="ips")
    dr = accumulate([1.0, 2.0], [0.0, 1.0], q_logged=[0.0, 0.0], q_policy=[0.0, 0.0], estimator="dr")

    with pytest.raises(InputError, match="sums cannot give"):
        estimate_merged(ips, interval="bootstrap")
    with pytest.raises(InputError, match="inside reward_range"):
        estimate_merged(ips, interval="cressie_read")
    with pytest.raises(RefusedError, match="unclipped weights"):
        estimate_merged(dr, interval="cressie_read")
    with pytest.raises(InputError, match="el needs all weights"):
        estimate_shards([{"weights": [1.0], "rewards": [1.0]}], {"el": "gaussian"})
    with pytest.raises(InputError, match="no decision"):
        estimate_shards([], {"ips": "gaussian"})
    with pytest.raises(InputError, match=r"weights\[1\]"):
        estimate_shards([{"weights": [1.0, -1.0], "rewards": [1.0, 0.0]}], {"ips": "gaussian"})


def test_options_without_effect_are_refused_and_may_be_given_by_estimator():
    given = {**columns(300, customers=60), "q_logged": np.full(300, 0.4), "q_policy": np.full(300, 0.5)}
    both = {"ips": "gaussian", "dros": "gaussian"}

    with pytest.raises(InputError, match="no effect on dros"):
        estimate_shards([given], both, clip=2.0)
    with pytest.raises(InputError, match="no effect on ips"):
        estimate_shards([given], both, shrinkage=1.0)
    with pytest.raises(InputError, match="snips was not asked for"):
        estimate_shards([given], both, clip={"snips": 2.0}, shrinkage={"dros": 1.0})
    with pytest.raises(InputError, match="dros needs its shrinkage"):
        estimate_shards([given], both)

    found = estimate_shards([given], both, clip={"ips": 2.0}, shrinkage={"dros": np.inf})
    plain = {name: values for name, values in given.items() if not name.startswith("q_")}
    assert found["ips"].value == pytest.approx(estimate(**plain, estimator="ips", clip=2.0).value, abs=1e-12)
    assert found["dros"].value == pytest.approx(estimate(**given, estimator="dr").value, abs=1e-12)


def test_replay_from_shards_is_that_of_the_decisions_that_match():
    given = {**columns(300, customers=60), "policy_match": np.arange(300) % 5 == 0}
    given["policy_match"][:40] = False  # the first shard has none
    wanted = np.searchsorted(given["groups"], [0, 4, 30]).tolist()

    found = estimate_shards(cut(given, wanted), {"replay": "student_t"})["replay"]
    expected = estimate(**given, estimator="replay", interval="student_t")

    assert found.value == pytest.approx(expected.value, abs=1e-12)
    assert (found.low, found.high) == pytest.approx((expected.low, expected.high), abs=1e-12)
    assert (found.n, found.ess, found.warnings) == (expected.n, expected.ess, expected.warnings)
    nobody = {**given, "policy_match": np.zeros(300, dtype=bool)}
    with pytest.raises(RefusedError, match="replay"):
        estimate_shards(cut(nobody, wanted), {"replay": "gaussian"})


@pytest.mark.parametrize("seed", range(5))
def test_few_customers_who_repeat_widen_cressie_read_alike(seed):
    given = columns(90, customers=30, seed=seed)
    wanted = np.searchsorted(given["groups"], [0, 10, 20]).tolist()
    options = {"weight_range": (0.0, 50.0)}

    found = estimate_shards(cut(given, wanted), {"cressie_read": "cressie_read"}, **options)["cressie_read"]
    expected = estimate(**given, estimator="cressie_read", interval="cressie_read", **options)

    assert (found.low, found.high) == pytest.approx((expected.low, expected.high), abs=1e-10)
