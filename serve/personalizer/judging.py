"""Off-policy evaluation for Personalizer's clients: policies replayed on one channel's events, all on the same ones.

The summary is the self-normalised estimate with an interval robust to returning customers, as in `nba evaluate`. For
the series each policy keeps, per five minutes, the sums of 1, w, wr, w^2, w^2 r and w^2 r^2 (weight w, reward r). With
v = sum(wr) / sum(w) over any span, the estimate's variance there is, by the delta method,

    sum w^2 (r - v)^2 / (sum w)^2 = (sum w^2 r^2 - 2 v sum w^2 r + v^2 sum w^2) / (sum w)^2

which takes events as independent of each other. A model is judged only on events after the last one that it learned
from, so where one is judged, all policies are judged on those alone.
"""

from collections.abc import Iterator, Mapping, Sequence

import msgspec
import numpy as np

from bandit_nba.decide.columns import Floats
from bandit_nba.decide.policy import Exploration
from bandit_nba.decide.scoring import Scorer
from bandit_nba.errors import InputError, RefusedError
from bandit_nba.evaluate.judge import Judgement, judge
from bandit_nba.evaluate.log import LoggedDecisions
from bandit_nba.evaluate.policies import Fixed, JudgedPolicy, Learned, LoggingPolicy, Uniform
from bandit_nba.evaluate.stored import read_log
from bandit_nba.learn.manifest import Manifest
from bandit_nba.online.replica import Replica
from bandit_nba.promote.frozen import fits
from bandit_nba.store.archive.restore import Archive
from bandit_nba.store.registry import models
from serve.personalizer.admin_wire import Source, Summary

BUCKET_S = 300.0
JUDGED_SHARE = 0.25
ONLINE, BASELINE, RANDOM = "online", "baseline", "random"
_NO_ARM = "\x00"  # no action is called so: where it is not eligible, the first action is taken
_Z = 1.959963984540054  # 97.5 % of the normal distribution


class Sums(msgspec.Struct, frozen=True, array_like=True):
    """Sums over the events of five minutes."""

    at: float
    n: float
    w: float
    wr: float
    ww: float
    wwr: float
    wwrr: float


class Judged(msgspec.Struct, frozen=True):
    """One policy. exploration: of those that can be applied."""

    name: str
    source: Source
    summary: Summary
    sums: list[Sums]
    exploration: Exploration | None = None


class Found(msgspec.Struct, frozen=True):
    """What an evaluation has found. words: on what, and what could not be judged."""

    words: str
    policies: list[Judged] = []
    optimal: str = ""


def evaluated(
    replica: Replica, channel: str, *, since_s: float, until_s: float, custom: Sequence[str], search: bool
) -> Found:
    """Judge the log's own policy, the first action and an even draw; with a model, today's settings and others.

    custom: names for today's settings with a frozen model. search: also other explorations.

    Raises
    ------
    RefusedError
        If there is nothing to judge on.
    """
    log = events(replica, channel, since_s=since_s, until_s=until_s)
    workspace = replica.workspace
    arms = workspace.catalogue.arms
    judged: list[tuple[JudgedPolicy, Source, Exploration | None]] = [
        (LoggingPolicy(), "Online", None),
        (Fixed(_NO_ARM, name=BASELINE, arms=arms), "Baseline", None),
        (Uniform(arms), "Random", None),
    ]
    manifest = _frozen(replica, log) if custom or search else None
    if manifest is not None:
        log = log.between(manifest.learned_until)
        scorer: Scorer = models.load_scorer(replica.database, manifest.version)
        settings = dict.fromkeys(custom, workspace.policy.exploration)
        for source, wanted in (("Custom", settings), ("OfflineExperimentation", _others(replica) if search else {})):
            for name, exploration in wanted.items():
                policy = Learned(
                    scorer,
                    arms,
                    workspace.policy,
                    learned_until=manifest.learned_until,
                    exploration=exploration,
                    name=name,
                    reward_unit=workspace.rewards.unit,
                )
                judged.append((policy, "Custom" if source == "Custom" else "OfflineExperimentation", exploration))
    found = judge(
        log,
        [policy for policy, _, _ in judged],
        features=workspace.policy.features,
        estimators=("snips",),
        reward_range=workspace.rewards.range,
        rng=np.random.default_rng(0),
    )
    named = [ONLINE, BASELINE, RANDOM, *(policy.name for policy, _, _ in judged[3:])]
    policies = [
        Judged(name, source, _summary(one), _sums(log, one.weights), exploration)
        for name, one, (_, source, exploration) in zip(named, found, judged, strict=True)
    ]
    rivals = [one for one in policies if one.source not in ("Baseline", "Random")]
    best = max(rivals, key=lambda one: one.summary.confidence_interval[0])
    return Found(_words(log, manifest, asked=bool(custom or search)), policies, best.name)


def events(replica: Replica, channel: str, *, since_s: float, until_s: float) -> LoggedDecisions:
    """The matured events of one channel; of several slots the first. Raises `RefusedError` where there are none."""
    workspace = replica.workspace
    log = read_log(
        replica.database,
        workspace.rewards,
        workspace.catalogue.facts,
        now_s=replica.now_s(),
        since_s=since_s,
        until_s=until_s,
        slates=True,
        archive=Archive(workspace.archive_folder),
    )
    values = log.channels.values
    rows = np.flatnonzero(log.channels.codes == (list(values).index(channel) if channel in values else -1))
    if not len(rows):
        raise RefusedError("there are no matured events of this channel in that time", where=channel)
    return log.at(rows)


def points(sums: Sequence[Sums], *, since_s: float, until_s: float, every_s: float, rolling: bool) -> Iterator[Sums]:
    """Sums at the ends of intervals that have events: of the interval alone, or of all since `since_s`."""
    total = np.zeros(6)
    ends: dict[float, Floats] = {}
    for one in sums:
        if since_s <= one.at < until_s:
            end = (one.at // every_s + 1.0) * every_s
            values = np.array([one.n, one.w, one.wr, one.ww, one.wwr, one.wwrr])
            total = total + values
            ends[end] = ends.get(end, np.zeros(6)) + values if rolling else total
    for end, values in ends.items():
        yield Sums(end, *values.tolist())


def value_of(one: Sums, reward_range: tuple[float, float]) -> Summary | None:
    """The estimate over some sums, None where nothing has weight."""
    if one.w <= 0.0:
        return None
    low, high = reward_range
    value = one.wr / one.w
    variance = max(0.0, one.wwrr - 2.0 * value * one.wwr + value * value * one.ww) / (one.w * one.w)
    half = _Z * variance**0.5
    return Summary(expected_reward=value, confidence_interval=[max(low, value - half), min(high, value + half)])


def check_names(names: Sequence[str]) -> None:
    """Refuse names that could not be told apart from ours."""
    for i, name in enumerate(names):
        if name in (ONLINE, BASELINE, RANDOM) or name in names[:i]:
            raise InputError("stands for another policy already", where=f"policies[{i}].name", got=name)


def _summary(one: Judgement) -> Summary:
    found = one.estimates["snips"]
    return Summary(expected_reward=found.value, confidence_interval=[found.low, found.high])


def _sums(log: LoggedDecisions, w: Floats) -> list[Sums]:
    at, place = np.unique(np.floor(log.decided_at / BUCKET_S) * BUCKET_S, return_inverse=True)
    r = log.reward
    columns = [np.ones(len(log)), w, w * r, w * w, w * w * r, w * w * r * r]
    summed = [np.bincount(place, weights=column, minlength=len(at)) for column in columns]
    return [Sums(*values) for values in zip(at.tolist(), *(column.tolist() for column in summed), strict=True)]


def _frozen(replica: Replica, log: LoggedDecisions) -> Manifest | None:
    """The newest model of today's policy that leaves enough of the events to judge it on."""
    workspace = replica.workspace
    latest = float(np.quantile(log.decided_at, 1.0 - JUDGED_SHARE))
    with replica.database.read() as connection:
        known = [row.manifest for row in models.listing(connection, limit=100_000)]
    fitting = (
        m
        for m in known
        if m.learned_until < latest and fits(m, workspace.policy, workspace.catalogue, workspace.rewards)
    )
    return next(fitting, None)


def _others(replica: Replica) -> Mapping[str, Exploration]:
    """Other explorations to try: bolder and more careful ones of the same kind."""
    today = replica.workspace.policy.exploration
    replace = msgspec.structs.replace
    if today.kind == "squarecb":
        scales = (today.scale * 0.1, today.scale * 10.0)
        return {f"squarecb_scale_{scale:g}": replace(today, scale=scale) for scale in scales}
    if today.kind == "softmax":
        heats = (today.temperature * 0.1, today.temperature * 10.0)
        return {f"softmax_temperature_{heat:g}": replace(today, temperature=heat) for heat in heats}
    if today.kind in ("epsilon_greedy", "epsilon_decay"):
        shares = (today.epsilon * 0.5, min(1.0, today.epsilon * 2.0))
        return {f"{today.kind}_{share:g}": replace(today, epsilon=share) for share in shares}
    return {"squarecb": replace(today, kind="squarecb")}


def _words(log: LoggedDecisions, manifest: Manifest | None, *, asked: bool) -> str:
    left = ", ".join(f"{n:,} {why}" for why, n in log.left_out.items())
    words = f"Judged on {len(log):,} events" + (f"; left out: {left}" if left else "") + "."
    if manifest is not None:
        return f"{words} All came after the last that model {manifest.version} has learned from."
    return f"{words} No model is older than enough of them, so none could be judged." if asked else words
