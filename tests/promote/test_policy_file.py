"""A written policy reads back as the same policy, whatever it holds."""

import datetime

import msgspec
import numpy as np
import pytest

from bandit_nba.decide.policy import Policy
from bandit_nba.promote.policy_file import policy_toml
from bandit_nba.promote.space import LEAST_FLOOR, space
from bandit_nba.settings import parse
from simulators.telco_workspace import telco_policy

RICH = {
    "name": 'quo"te\\ \n#[x]',
    "features": {
        "customer": ["a", "b"],
        "numbers": {"a b": {"scale": 72.0, "bins": [1.0, 2.5e-7]}, "plain": {}},
        "interactions": ["UA", "URA"],
    },
    "exploration": {"kind": "softmax", "temperature": 1e-9, "floor": 0.05},
    "learning": {"options": {"coin": True, "learning_rate": 1.0, "ignore_linear": "UR"}},
    "arbitration": {
        "use_value": True,
        "levers": [{"group": "g", "lever": 2.0, "valid_from": datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC)}],
        "context_weights": [{"fact": "f", "values": {"x y": 0.5}}],
    },
    "baseline": {"kind": "segment_campaign", "fact": "f", "campaigns": []},
    "mixture": {
        "experiment": "e",
        "challengers": [{"name": "bold", "share": 0.1, "exploration": {"kind": "greedy"}}],
    },
    "priors": {"default": {"rate": 0.05, "strength": 20.0}},
}


@pytest.mark.parametrize(
    "policy",
    [
        pytest.param(Policy(), id="defaults"),
        pytest.param(msgspec.convert(RICH, Policy), id="rich"),
        pytest.param(parse(telco_policy(), Policy, where="policy.toml"), id="telco"),
    ],
)
def test_a_written_policy_reads_back_as_the_same(policy: Policy) -> None:
    text = policy_toml(policy, comments=["two\nlines = 1"])

    again = parse(text, Policy, where="written.toml")

    assert again == policy
    assert again.version == policy.version


def test_every_policy_of_a_search_is_another_one_and_explores() -> None:
    base = parse(telco_policy(), Policy, where="policy.toml")

    found = space(
        base, {"contract": "category", "note": "text", "new": "number"}, most=80, rng=np.random.default_rng(1)
    )

    assert len({policy.version for policy in found}) == len(found) == 80
    assert all(policy.exploration.floor >= LEAST_FLOOR for policy in found)
    assert not any("note" in policy.features.customer for policy in found)
    assert any("new" in policy.features.customer for policy in found)
    assert found[0].features == base.features
    assert found[0].learning == base.learning


def test_the_same_seed_gives_the_same_search() -> None:
    base = Policy()

    first, again = (space(base, {}, most=20, rng=np.random.default_rng(5)) for _ in range(2))

    assert first == again
