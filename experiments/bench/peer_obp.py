"""The peer: Open Bandit Pipeline's SNIPS and doubly robust, each with its bootstrap interval of 100 rounds.

Development only. Nothing of it is installed for this: its wheel (package sb-obp, fetched by name into the user's cache
folder) is read in place, and only its files of estimators are loaded. The package's own `__init__` imports plotting and
neural networks that no estimator here uses, which would be unfair to its memory.
"""

import importlib
import importlib.machinery
import importlib.util
import sys
import types
import warnings
from typing import Any

import numpy as np

from experiments.bench.ope import Log, run_alone
from experiments.ope.open_bandit_data import cache_folder, package_place

BOOTSTRAPS = 100


def part(name: str) -> Any:
    """The module `obp.ope.NAME`, without what its package would import beside it.

    Raises
    ------
    RefusedError
        If sb-obp is neither installed nor to be fetched.
    """
    if f"obp.ope.{name}" in sys.modules:
        return sys.modules[f"obp.ope.{name}"]
    place = package_place(cache_folder())
    for package, folder in (("obp", place / "obp"), ("obp.ope", place / "obp" / "ope")):
        module = types.ModuleType(package)
        module.__path__ = [str(folder)]
        module.__spec__ = importlib.machinery.ModuleSpec(package, None, is_package=True)
        sys.modules.setdefault(package, module)
    if importlib.util.find_spec("torch") is not None:
        return _loaded(name)
    # Named in signatures only; the estimators for arrays call nothing of it. scipy looks for it by name, so it goes.
    torch: Any = types.ModuleType("torch")
    torch.Tensor = torch.tensor = type("Tensor", (), {})
    sys.modules["torch"] = torch
    try:
        return _loaded(name)
    finally:
        del sys.modules["torch"]


def _loaded(name: str) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # of the escapes in its docstrings
        return importlib.import_module(f"obp.ope.{name}")


def theirs(log: Log) -> tuple[float, float]:
    """Values and intervals of the policy that the log holds; the values come back."""
    module = part("estimators")
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
