"""Judge a workspace's own policies: logging, uniform, a frozen model, and single arms."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import msgspec
import numpy as np

from bandit_nba.decide.columns import Floats
from bandit_nba.errors import RefusedError, UnknownIdError
from bandit_nba.evaluate.judge import best_fixed, judge
from bandit_nba.evaluate.log import LoggedDecisions
from bandit_nba.evaluate.policies import Fixed, JudgedPolicy, Learned, LoggingPolicy, Uniform
from bandit_nba.evaluate.result import Estimate
from bandit_nba.evaluate.slate_log import judge_slates, logging_policy, read_slates, uniform_places
from bandit_nba.evaluate.stored import read_log
from bandit_nba.learn.guard import verified
from bandit_nba.learn.manifest import Manifest
from bandit_nba.settings import nearest
from bandit_nba.store.archive.restore import Archive
from bandit_nba.store.database import Database
from bandit_nba.store.registry import models
from bandit_nba.workspace import open_workspace

JUDGED_SHARE = 0.25
"""By default the newest model is judged that leaves this share of the decisions to judge it on."""


class PolicyFound(msgspec.Struct, frozen=True, rename="camel"):
    """One policy's estimates by estimator."""

    policy: str
    estimates: Mapping[str, Estimate]


class Found(msgspec.Struct, frozen=True, rename="camel"):
    """Everything `nba evaluate` shows; `judged` decisions, `left_out` by why, `imported` of those judged by origin."""

    model: str
    judged: int
    left_out: Mapping[str, int]
    policies: Sequence[PolicyFound]
    imported: Mapping[str, int] = {}


def judge_workspace(
    directory: Path,
    *,
    model: str = "",
    fixed: Sequence[str] = (),
    alpha: float = 0.05,
    now_s: float,
    rng: np.random.Generator,
) -> Found:
    """Judge the logging policy, uniform, the model's greedy policy and "always ARM", all on the same decisions.

    Raises
    ------
    RefusedError
        If no decision was made after the model had learned.
    UnknownIdError
        If there is no such model or arm.
    """
    workspace = open_workspace(directory)
    database = Database.open(workspace.database_url, create=False)
    try:
        archive = Archive(workspace.archive_folder)
        log = read_log(database, workspace.rewards, workspace.catalogue.facts, now_s=now_s, archive=archive)
        with database.read() as connection:
            known = [row.manifest for row in models.listing(connection, limit=100_000)]
            manifest = _chosen(known, model, log.decided_at)
            scorer = verified(models.read(connection, manifest.version))
    finally:
        database.close()
    late = log.between(manifest.learned_until)
    if not len(late):
        raise RefusedError("no decision was made after the model had learned", got=manifest.version)
    arms = workspace.catalogue.arms
    names = [arm.id for arm in arms]
    for arm in fixed:
        if arm not in names:
            raise UnknownIdError("no such arm", where="--fixed", got=arm, hint=nearest(arm, names))
    policies: list[JudgedPolicy] = [LoggingPolicy(), Uniform(arms), *(Fixed(arm, arms=arms) for arm in fixed)]
    early = log.between(-np.inf, manifest.learned_until)
    if len(early):
        found_range = workspace.rewards.range
        policies.append(
            best_fixed(
                early,
                names,
                features=workspace.policy.features,
                reward_range=found_range,
                catalogue=arms,
                rng=rng,
            )
        )
    policies.append(
        Learned(scorer, arms, workspace.policy, learned_until=manifest.learned_until, name="learned, greedy")
    )
    judged = judge(
        late, policies, features=workspace.policy.features, alpha=alpha, reward_range=workspace.rewards.range, rng=rng
    )
    found = [PolicyFound(policy=j.policy, estimates=j.estimates) for j in judged]
    return Found(
        model=manifest.version, judged=len(late), left_out=log.left_out, policies=found, imported=imported_rows(late)
    )


def judge_slate_log(directory: Path, *, alpha: float = 0.05, now_s: float, rng: np.random.Generator) -> Found:
    """Judge the logging policy and uniform places on the slates of a workspace, by every estimator that holds there.

    Raises
    ------
    RefusedError
        If there is no slate.
    """
    workspace = open_workspace(directory)
    database = Database.open(workspace.database_url, create=False)
    try:
        archive = Archive(workspace.archive_folder)
        slates = read_slates(database, workspace.rewards, now_s=now_s, archive=archive)
    finally:
        database.close()
    names = ["ips", *(["pseudo_inverse"] if slates.independent.all() else [])]
    names += [] if slates.unplaced.any() else ["cascade"]
    policies = {"logging": logging_policy, "uniform": uniform_places}
    found = [
        PolicyFound(
            policy=title,
            estimates={name: judge_slates(slates, one, estimator=name, alpha=alpha, rng=rng) for name in names},
        )
        for title, one in policies.items()
    ]
    return Found(model="", judged=len(slates), left_out=slates.left_out, policies=found)


def imported_rows(log: LoggedDecisions) -> dict[str, int]:
    """How many rows of a log were imported, by where they came from."""
    if log.origin is None:
        return {}
    counts = np.bincount(log.origin.codes, minlength=len(log.origin.values)).tolist()
    return {name: count for name, count in zip(log.origin.values, counts, strict=True) if name and count}


def _chosen(known: Sequence[Manifest], model: str, decided_at: Floats) -> Manifest:
    """The model named, or by default the newest that leaves `JUDGED_SHARE` of the decisions to judge it on."""
    if model:
        for manifest in known:
            if manifest.version == model:
                return manifest
        versions = [manifest.version for manifest in known]
        raise UnknownIdError("no such model", where="--model", got=model, hint=nearest(model, versions))
    latest = float(np.quantile(decided_at, 1.0 - JUDGED_SHARE))
    for manifest in known:
        if manifest.learned_until < latest:
            return manifest
    raise RefusedError("no model is old enough to be judged", hint="models are published as decisions mature; wait")
