"""The benchmark against Open Bandit Pipeline: the same arrays, the same values, and what it says without the peer."""

import json
import os
import subprocess
import sys

import numpy as np
import pytest

from bandit_nba.errors import RefusedError
from experiments.bench import ope
from experiments.bench.ope import ARMS, logged, ours
from experiments.ope.open_bandit_data import cache_folder, package_place


@pytest.fixture
def peer():
    """Without the peer there is nothing to compare with: in CI that is a failure."""
    try:
        package_place(cache_folder())
    except RefusedError as error:
        if os.environ.get("CI"):
            raise
        pytest.skip(str(error))


def side(module, n, policies):
    command = [sys.executable, "-m", f"experiments.bench.{module}", str(n), str(policies)]
    return json.loads(subprocess.run(command, capture_output=True, text=True, timeout=200, check=True).stdout)


def test_the_log_is_a_log():
    log = logged(60_000)  # more than one chunk
    log.judge(0)
    first = log.policy.copy()
    log.judge(1)

    assert log.policy.sum(axis=1) == pytest.approx(1.0)
    assert not (first == log.policy).any()
    assert log.propensity.min() >= 0.3 / ARMS
    # the mean weight is 1 within five standard errors (fixed seeds; error rate 6e-7)
    weights = first[np.arange(60_000), log.arm] / log.propensity
    assert abs(weights.mean() - 1) < 5 * weights.std() / np.sqrt(60_000)
    # the true value of a policy: arms earn .02 + .06 a / 20, and every arm is as likely, .0485 on average
    snips, dr = ours(log)
    assert snips == pytest.approx(0.0485, abs=0.01)
    assert dr == pytest.approx(0.0485, abs=0.01)


@pytest.mark.usefixtures("peer")
def test_both_sides_find_the_same_values():
    mine, theirs = side("ope", 4_000, 2), side("peer_obp", 4_000, 2)

    assert mine["snips"] == pytest.approx(theirs["snips"], abs=1e-12)
    assert mine["dr"] == pytest.approx(theirs["dr"], abs=1e-12)
    assert len(mine["seconds"]) == len(theirs["seconds"]) == 2


def test_without_the_peer_the_message_says_so(monkeypatch, capsys):
    def missing(_):
        raise RefusedError("the package could not be fetched", hint="install it")

    monkeypatch.setattr(ope, "package_place", missing)
    monkeypatch.setattr(ope, "_child", lambda *_, **__: ope.Side([0.1, 0.2], 100.0, 150.0, [], []))
    found = ope.measure(quick=True)

    assert found["ratio"] is None
    assert "could not be fetched" in found["peer"]
    assert "could not be fetched" in capsys.readouterr().err
    assert found["ours_working_mb"] == 50.0


@pytest.mark.usefixtures("peer")
@pytest.mark.slow
def test_ten_times_as_fast_with_less_memory():
    found = ope.measure(quick=True)
    print(json.dumps(found, indent=2))

    assert found["ratio"] >= 10
    assert found["memory_ratio"] > 1
    assert found["time_exponent"] < 1.3  # of 10,000 to 100,000 decisions; a quadratic step would show as 2
