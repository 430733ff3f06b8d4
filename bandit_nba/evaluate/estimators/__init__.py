"""One file per estimator; `build` makes one from its name and options."""

from collections.abc import Callable
from math import inf, isnan

from bandit_nba.errors import InputError
from bandit_nba.evaluate.estimators.cressie_read import CressieRead
from bandit_nba.evaluate.estimators.direct_method import DirectMethod
from bandit_nba.evaluate.estimators.doubly_robust import DoublyRobust
from bandit_nba.evaluate.estimators.dros import OptimisticShrinkage
from bandit_nba.evaluate.estimators.empirical_likelihood import fitted
from bandit_nba.evaluate.estimators.ips import Ips
from bandit_nba.evaluate.estimators.protocol import Estimator
from bandit_nba.evaluate.estimators.replay import Replay
from bandit_nba.evaluate.estimators.sndr import SelfNormalisedDoublyRobust
from bandit_nba.evaluate.estimators.snips import Snips
from bandit_nba.evaluate.estimators.subgaussian import SubGaussian
from bandit_nba.evaluate.estimators.switch_dr import SwitchDoublyRobust
from bandit_nba.evaluate.sample import Sample

CLIPPED: dict[str, Callable[[float], Estimator]] = {
    "ips": Ips,
    "snips": Snips,
    "dr": DoublyRobust,
    "sndr": SelfNormalisedDoublyRobust,
    "switch_dr": SwitchDoublyRobust,
}
SHRUNK: dict[str, Callable[[float], Estimator]] = {"dros": OptimisticShrinkage, "subgaussian": SubGaussian}
PLAIN: dict[str, Callable[[Sample], Estimator]] = {
    "replay": lambda _: Replay(),
    "dm": lambda _: DirectMethod(),
    "el": lambda sample: fitted(sample.weights, sample.weight_range),
    "cressie_read": lambda sample: CressieRead(sample.weight_range),
}
ESTIMATORS = ("replay", "ips", "snips", "dm", "dr", "sndr", "switch_dr", "dros", "subgaussian", "el", "cressie_read")


def build(name: str, sample: Sample, *, clip: float = inf, shrinkage: float | None = None) -> Estimator:
    """Make the estimator called `name` for a sample, or say which option does not fit it.

    `clip` belongs to ips, snips, dr, sndr (largest weight used) and switch_dr (largest weight trusted); `shrinkage` to
    dros (at least 0) and subgaussian (0 to 1).
    """
    if name not in ESTIMATORS:
        raise InputError("no such estimator", where="estimator", got=name, allowed=", ".join(ESTIMATORS))
    if isnan(clip) or clip <= 0:
        raise InputError("weights cannot be clipped there", where="clip", got=clip, allowed="above 0")
    if clip != inf and name not in CLIPPED:
        raise InputError(
            f"{name} does not clip", where="clip", got=clip, allowed=f"inf, or one of {', '.join(CLIPPED)}"
        )
    if shrinkage is not None and name not in SHRUNK:
        allowed = f"None, or one of {', '.join(SHRUNK)}"
        raise InputError(f"{name} does not shrink", where="shrinkage", got=shrinkage, allowed=allowed)
    if name in CLIPPED:
        return CLIPPED[name](clip)
    if name in SHRUNK:
        return SHRUNK[name](_checked_shrinkage(name, shrinkage))
    return PLAIN[name](sample)


def _checked_shrinkage(name: str, shrinkage: float | None) -> float:
    largest = 1.0 if name == "subgaussian" else inf
    if shrinkage is None or isnan(shrinkage) or not 0 <= shrinkage <= largest:
        raise InputError(f"{name} needs its shrinkage", where="shrinkage", got=shrinkage, allowed=f"0 to {largest:g}")
    return float(shrinkage)
