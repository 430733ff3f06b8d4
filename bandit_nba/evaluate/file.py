"""Judge policies on a log file, without a workspace: logging, uniform, the best fixed arm, and single arms."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import ceil
from pathlib import Path

import numpy as np

from bandit_nba.decide.features.names import CHANNEL, is_name
from bandit_nba.decide.policy import FeatureSettings, Number
from bandit_nba.errors import InputError, RefusedError, SettingsError, UnknownIdError
from bandit_nba.evaluate.formats.read import Format, read_file
from bandit_nba.evaluate.formats.row import Rejected
from bandit_nba.evaluate.judge import best_fixed, judge
from bandit_nba.evaluate.log import LoggedDecisions
from bandit_nba.evaluate.policies import Fixed, JudgedPolicy, LoggingPolicy, Uniform
from bandit_nba.evaluate.reward_model import FOLDS
from bandit_nba.evaluate.workspace import Found, PolicyFound
from bandit_nba.settings import nearest

EARLY_SHARE = 0.25
"""Of the decisions, the earliest: they choose the best fixed arm, and the others judge it."""

LEAST = ceil(FOLDS / EARLY_SHARE)

MOST_ARMS_TRIED = 50


@dataclass(frozen=True)
class FileFound:
    """What was found, and the rows that could not be used."""

    found: Found
    rejected: Sequence[Rejected]


def judge_file(
    path: Path,
    *,
    kind: Format | None = None,
    columns: Mapping[str, str] | None = None,
    fixed: Sequence[str] = (),
    alpha: float = 0.05,
    reward_range: tuple[float, float] | None = None,
    rng: np.random.Generator,
) -> FileFound:
    """Judge every policy on the same rows: the later ones, whose reward no choice of a policy has seen.

    reward_range: of possible rewards; without it rewards must lie in [0, 1].

    Raises
    ------
    SettingsError
        If the format is not known, a column is missing, or the range of rewards is not told.
    RefusedError
        If no row can be used.
    UnknownIdError
        If a fixed arm is none of the file.
    """
    log, rejected = read_file(path, kind=kind, columns=columns)
    low, high = reward_range or (0.0, 1.0)
    if not (low <= log.reward.min() and log.reward.max() <= high):
        raise SettingsError(
            "rewards lie outside their range",
            where="--reward-range",
            got=f"{log.reward.min():g} to {log.reward.max():g}",
            allowed=f"{low:g} to {high:g}",
            hint="tell the smallest and the largest reward that is possible: --reward-range LOW,HIGH",
        )
    for arm in fixed:
        if arm not in log.arms:
            raise UnknownIdError("no such arm", where="--fixed", got=arm, hint=nearest(arm, log.arms))
    if len(log) < LEAST:
        raise RefusedError(
            "too few decisions to judge policies on",
            where=str(path),
            got=len(log),
            allowed=f"at least {LEAST}; a verdict needs about a hundred rewarded ones",
            hint="log more decisions first",
        )
    features = features_of(log)
    early_until = float(np.quantile(log.decided_at, EARLY_SHARE))
    early, late = log.between(-np.inf, early_until), log.between(early_until)
    if not len(late):
        raise RefusedError("all decisions have the same time", got=len(log), hint="leave out the column of times")
    policies: list[JudgedPolicy] = [LoggingPolicy(), Uniform(), *(Fixed(arm) for arm in fixed)]
    if len(log.arms) <= MOST_ARMS_TRIED:
        policies.append(best_fixed(early, log.arms, features=features, reward_range=(low, high), rng=rng))
    judged = judge(late, policies, features=features, alpha=alpha, reward_range=(low, high), rng=rng)
    found = [PolicyFound(policy=one.policy, estimates=one.estimates) for one in judged]
    return FileFound(Found(model="", judged=len(late), left_out=log.left_out, policies=found), rejected)


def features_of(log: LoggedDecisions) -> FeatureSettings:
    """What a reward model may see of a log of which nothing is declared: every fact, numbers in their own spread."""
    names = [name for name in log.facts.columns if is_name(name) and name != CHANNEL]
    numbers = {}
    for name in names:
        column = log.facts.columns[name]
        if log.facts.schema[name] == "number" and isinstance(column, np.ndarray) and np.isfinite(column).any():
            numbers[name] = Number(scale=float(np.clip(np.nanmax(np.abs(column)), 1e-6, 1e9)))
    return FeatureSettings(customer=tuple(names), numbers=numbers, interactions=("UA",), channel=False)


def parsed_range(text: str) -> tuple[float, float] | None:
    """LOW,HIGH as two numbers, None for nothing; raises `InputError` for anything else."""
    if not text:
        return None
    try:
        low, high = (float(part) for part in text.split(","))
    except ValueError:
        raise InputError("is no range", where="--reward-range", got=text, allowed="LOW,HIGH") from None
    if not low < high:
        raise InputError("is no range", where="--reward-range", got=text, allowed="LOW below HIGH")
    return low, high
