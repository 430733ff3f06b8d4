"""`python -m experiments.ope.digits`: scikit-learn's digits as a bandit, beside the published errors.

A classifier's mistakes make a bandit whose truth is known (Dudik et al. 2011): the arms are the ten digits, the reward
is 1 for the right one. The logging policy follows a logistic regression in a share .4 of the cases and is uniform
otherwise, the judged policy follows a random forest in a share .9. Relative error |V/truth - 1| of every estimator.
"""

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import msgspec
import numpy as np
import typer
from rich import box
from rich.console import Console
from rich.table import Table
from sklearn.datasets import load_digits
from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import train_test_split
from threadpoolctl import threadpool_limits

from bandit_nba.evaluate import estimate
from bandit_nba.evaluate.cross_fit import cross_fit
from bandit_nba.evaluate.sample import FloatArray, IntArray
from bandit_nba.evaluate.tuning import tune

ARMS = 10
FOLDS = 3
LOGGED_SHARE, JUDGED_SHARE = 0.4, 0.9
JUDGED_PART = 0.7  # of the images; the classifiers learn from the rest
# Name there, name here, and the mean and standard deviation over 30 runs that Open Bandit Pipeline's example on
# multi-class data publishes for these shares and kinds of models.
PUBLISHED = {
    "dm": ("dm", 0.436541, 0.017629),
    "ipw": ("ips", 0.030288, 0.024506),
    "snipw": ("snips", 0.022764, 0.017917),
    "dr": ("dr", 0.016156, 0.012679),
    "sndr": ("sndr", 0.022082, 0.016865),
    "switch-dr": ("switch_dr", 0.034657, 0.018575),
    "dr-os": ("dros", 0.015868, 0.012537),
}


@dataclass(frozen=True)
class DigitsLog:
    """n images that were answered by the logging policy.

    images: pixels (n, 64). arm: the answer (n,). reward: 1 where it is right (n,). logged, judged: probabilities of
    every answer under either policy (n, 10). truth: the judged policy's chance of the right answer.
    """

    images: FloatArray
    arm: IntArray
    reward: FloatArray
    logged: FloatArray
    judged: FloatArray
    truth: float


@dataclass(frozen=True)
class DigitsResult:
    """Relative errors over all seeds by estimator, published names, float64 (seeds,) each."""

    errors: dict[str, FloatArray]

    @property
    def dm_worst(self) -> int:
        """Seeds in which the direct method errs most."""
        others = np.max([error for name, error in self.errors.items() if name != "dm"], axis=0)
        return int((self.errors["dm"] > others).sum())

    @property
    def dm_times(self) -> float:
        """Mean error of the direct method over the largest mean error of another estimator."""
        others = max(float(error.mean()) for name, error in self.errors.items() if name != "dm")
        return float(self.errors["dm"].mean()) / others


class WeakBoosting:
    """The published reward model's kind: 30 small steps of boosted trees, too few to leave the mean far behind."""

    def __init__(self) -> None:
        self._trees = HistGradientBoostingClassifier(
            max_iter=30, learning_rate=0.01, max_depth=5, min_samples_leaf=10, early_stopping=False, random_state=12345
        )

    def fit(self, features: FloatArray, arms: IntArray, rewards: FloatArray, weights: FloatArray) -> "WeakBoosting":
        """Learn rewards of 0 and 1 from pixels and the arm, one column each."""
        self._trees.fit(_with_arm(features, arms), rewards.astype(np.int64), sample_weight=weights)
        return self

    def predict(self, features: FloatArray, arms: IntArray) -> FloatArray:
        """Chance of reward 1, (n,)."""
        return np.asarray(self._trees.predict_proba(_with_arm(features, arms))[:, 1], dtype=np.float64)


def digits_log(seed: int) -> DigitsLog:
    """Split, fit both classifiers on 30 % of the images, and log one answer for each of the others."""
    pixels, digit = load_digits(return_X_y=True)
    learn, images, label, right = train_test_split(pixels, digit, test_size=JUDGED_PART, random_state=seed)
    logger = LogisticRegression(C=100, max_iter=10_000).fit(learn / 16, label)
    forest = RandomForestClassifier(n_estimators=30, max_depth=5, min_samples_leaf=10, random_state=seed)
    logged = _mostly(logger.predict(images / 16), LOGGED_SHARE)
    judged = _mostly(forest.fit(learn, label).predict(images), JUDGED_SHARE)
    rng = np.random.default_rng([0xD161, seed])
    arm = (logged.cumsum(axis=1) > rng.random((len(right), 1))).argmax(axis=1)
    truth = float(judged[np.arange(len(right)), right].mean())
    return DigitsLog(images, arm, (arm == right).astype(np.float64), logged, judged, truth)


def relative_errors(seed: int) -> dict[str, float]:
    """|V/truth - 1| of every estimator on one log; switch-dr and dr-os tune themselves by SLOPE on that log."""
    with threadpool_limits(1):
        log = digits_log(seed)
        model = cross_fit(
            log.images,
            log.arm,
            log.reward,
            n_arms=ARMS,
            model=WeakBoosting,
            folds=FOLDS,
            rng=np.random.default_rng(seed),
        )
    rows = np.arange(len(log.arm))
    weights = log.judged[rows, log.arm] / log.logged[rows, log.arm]
    q: dict[str, Any] = {"q_logged": model.q_logged, "q_policy": model.under(log.judged)}
    options: dict[str, dict[str, Any]] = {
        name: {} if name in ("ips", "snips") else q for name, *_ in PUBLISHED.values()
    }
    for name, option in (("switch_dr", "clip"), ("dros", "shrinkage")):
        options[name] = q | {option: tune(weights, log.reward, **q, estimator=name, method="slope").value}
    return {
        published: abs(estimate(weights, log.reward, estimator=name, **options[name]).value / log.truth - 1)
        for published, (name, *_) in PUBLISHED.items()
    }


def run(seeds: int) -> DigitsResult:
    """Seeds 0 .. seeds - 1, with progress on the standard error."""
    found = []
    for seed in range(seeds):
        found.append(relative_errors(seed))
        if (seed + 1) % 10 == 0:
            print(f"{seed + 1} of {seeds} seeds", file=sys.stderr)
    return DigitsResult({name: np.array([errors[name] for errors in found]) for name in PUBLISHED})


def table(result: DigitsResult) -> Table:
    """Mean and standard deviation, measured and published."""
    n = len(result.errors["dm"])
    made = Table(title=f"Relative error over {n} seeds (published: 30)", box=box.SIMPLE_HEAD, title_justify="left")
    for name in ("estimator", "mean", "sd", "published mean", "published sd"):
        made.add_column(name, justify="left" if name == "estimator" else "right", no_wrap=True)
    for name, (_, mean, sd) in PUBLISHED.items():
        errors = result.errors[name]
        made.add_row(name, f"{errors.mean():.4f}", f"{_sd(errors):.4f}", f"{mean:.4f}", f"{sd:.4f}")
    return made


def document(result: DigitsResult) -> dict[str, Any]:
    """The same for machines."""
    return {
        "seeds": len(result.errors["dm"]),
        "dmWorstInSeeds": result.dm_worst,
        "dmTimesTheNextWorst": result.dm_times,
        "estimators": {
            name: {
                "mean": float(errors.mean()),
                "sd": _sd(errors),
                "publishedMean": PUBLISHED[name][1],
                "publishedSd": PUBLISHED[name][2],
            }
            for name, errors in result.errors.items()
        },
    }


def main(
    *,
    seeds: Annotated[int, typer.Option(min=1, help="How many splits of the images.")] = 100,
    json: Annotated[str, typer.Option(help="Write the numbers here, too; - prints them alone.")] = "",
) -> None:
    """Errors of seven estimators on digits as a bandit, beside the published ones.

    Examples:

      python -m experiments.ope.digits

      python -m experiments.ope.digits --seeds 20 --json digits.json
    """
    result = run(seeds)
    written = msgspec.json.format(msgspec.json.encode(document(result)), indent=2)
    if json == "-":
        print(written.decode())
        return
    console = Console()
    console.print(table(result))
    console.print(
        f"DM is worst in {result.dm_worst} of {seeds} seeds; its mean is {result.dm_times:.1f} times the next worst.",
        highlight=False,
    )
    if json:
        Path(json).write_bytes(written)


def _mostly(answer: IntArray, share: float) -> FloatArray:
    """`share` on the classifier's answer, the rest uniform: (n, 10)."""
    probability = np.full((len(answer), ARMS), (1 - share) / ARMS)
    probability[np.arange(len(answer)), answer] += share
    return probability


def _with_arm(features: FloatArray, arms: IntArray) -> FloatArray:
    return np.column_stack([features, np.eye(ARMS)[arms]])


def _sd(errors: FloatArray) -> float:
    return float(errors.std(ddof=1)) if len(errors) > 1 else 0.0


if __name__ == "__main__":
    typer.run(main)
