"""The peer: Open Bandit Pipeline's SNIPS and doubly robust, each with its bootstrap interval of 100 rounds.

Development only: `pip install --no-deps sb-obp`. Only its file of estimators is loaded; the package's own `__init__`
imports plotting and neural networks that no estimator here uses, which would be unfair to its memory.
"""

import importlib
import importlib.util
import sys
import types
from typing import Any

import numpy as np

from bandit_nba.errors import RefusedError
from experiments.bench.ope import Log, run_alone

BOOTSTRAPS = 100


def estimators() -> Any:
    """The module `obp.ope.estimators`, without what its package would import beside it.

    Raises
    ------
    RefusedError
        If neither sb-obp nor zr-obp is installed.
    """
    spec = importlib.util.find_spec("obp")
    if spec is None or spec.submodule_search_locations is None:
        raise RefusedError("Open Bandit Pipeline is not installed", hint="pip install --no-deps sb-obp")
    root = next(iter(spec.submodule_search_locations))
    for name, folder in (("obp", root), ("obp.ope", f"{root}/ope")):
        package = types.ModuleType(name)
        package.__path__ = [folder]
        sys.modules[name] = package
    if importlib.util.find_spec("torch") is None:
        # Named in signatures only; the estimators for arrays call nothing of it.
        torch: Any = types.ModuleType("torch")
        torch.Tensor = torch.tensor = type("Tensor", (), {})
        sys.modules["torch"] = torch
    return importlib.import_module("obp.ope.estimators")


def theirs(log: Log) -> tuple[float, float]:
    """Values and intervals of the policy that the log holds; the values come back."""
    module = estimators() if "obp.ope.estimators" not in sys.modules else sys.modules["obp.ope.estimators"]
    given = {
        "reward": log.reward,
        "action": log.arm,
        "pscore": log.propensity,
        "action_dist": log.policy[:, :, None],
    }
    with_model = given | {"estimated_rewards_by_reg_model": log.q[:, :, None]}
    snips, dr = module.SelfNormalizedInverseProbabilityWeighting(), module.DoublyRobust()
    values = (float(snips.estimate_policy_value(**given)), float(dr.estimate_policy_value(**with_model)))
    for estimator, data in ((snips, given), (dr, with_model)):
        found = estimator.estimate_interval(**data, n_bootstrap_samples=BOOTSTRAPS, random_state=0)
        if not all(np.isfinite(end) for end in found.values()):
            raise AssertionError("the peer found no interval")
    return values


if __name__ == "__main__":
    run_alone(theirs)
