"""How much each feature of a context matters to the model that serves, over recent events of one channel.

A score is, exactly, a sum of terms (see `learn.compile`). Of a feature's terms c(k) over an event's K eligible actions,
what all of them gain alike decides nothing; the rest is what the feature moves them apart:

    score(f) = mean over events of  1/K sum_k | c_f(k) - mean_k c_f |      (0 where an event has not got the feature)

in the unit of the reward. Actions' features cannot be told apart that way: their own terms stand together.
"""

import re
from collections import defaultdict

import msgspec
import numpy as np

from bandit_nba.decide.columns import Floats
from bandit_nba.decide.explain.why import Additive
from bandit_nba.decide.features.featuriser import Featuriser
from bandit_nba.decide.inline import arms_of, decoded
from bandit_nba.errors import RefusedError
from bandit_nba.online.replica import Replica
from serve.personalizer.admin_wire import FeatureScore
from serve.personalizer.judging import events

MOST_EVENTS = 1_000
"""The newest are taken."""

CONTEXT, ACTION = "context", "action"
_PAIR = " x "
_END = re.compile(r"[=?]")
_END_OF_WORD = re.compile(r"[=~]")


class Weighed(msgspec.Struct, frozen=True):
    """What an importance job has found."""

    words: str
    scores: list[FeatureScore] = []


def weighed(replica: Replica, channel: str, words: str, *, since_s: float, until_s: float) -> Weighed:
    """Scores of features, the weightiest first. words: the set that undeclared context features go to.

    Raises
    ------
    RefusedError
        If no model serves, or there is no event.
    """
    scorer = replica.feed.current()
    version = scorer.version
    if not isinstance(scorer, Additive):
        raise RefusedError("no model serves", where="model", hint="the first serves once events have matured")
    log = events(replica, channel, since_s=since_s, until_s=until_s)
    log = log.at(np.arange(max(0, len(log) - MOST_EVENTS), len(log)))
    workspace = replica.workspace
    featuriser = Featuriser(workspace.policy.features, workspace.catalogue.facts)
    contexts = featuriser.contexts(log.facts, log.channels)
    sizes: dict[tuple[str, str], float] = defaultdict(float)
    brought = np.full(len(log), -1) if log.brought is None else log.brought
    for which in np.unique(brought).tolist():
        arms = workspace.catalogue.arms if which < 0 else arms_of(decoded(log.actions[which]))
        place = {arm.id: k for k, arm in enumerate(arms)}
        features = featuriser.arms(arms)
        for row in np.flatnonzero(brought == which).tolist():
            cells = log.arm[log.indptr[row] : log.indptr[row + 1]]
            eligible = [place[log.arms[code]] for code in cells.tolist() if log.arms[code] in place]
            if not eligible:
                continue
            found = scorer.terms(contexts, features, row)
            beside = found.contributions[:, eligible]
            of_feature: dict[tuple[str, str], Floats] = {}
            for t, name in enumerate(found.names[1:], start=1):  # the constant is the same for all
                key = (ACTION, "(all)") if t == 1 else (CONTEXT, _feature(name, words))
                of_feature[key] = of_feature.get(key, np.zeros(len(eligible))) + beside[t]
            for key, part in of_feature.items():
                sizes[key] += float(np.abs(part - part.mean()).mean())
    scores = [
        FeatureScore(feature_name=name, namespace=namespace, score=size / len(log))
        for (namespace, name), size in sorted(sizes.items(), key=lambda item: (-item[1], item[0]))
    ]
    return Weighed(f"Model {version} over {len(log):,} events.", scores)


def _feature(term: str, words: str) -> str:
    """The feature that a term is about: "context=device.os=ios" is about "device.os", a pair about both."""
    return _PAIR.join(_single(part, words) for part in term.split(_PAIR))


def _single(term: str, words: str) -> str:
    inside = f"{words}="
    if words and term.startswith(inside):
        return _END_OF_WORD.split(term[len(inside) :], maxsplit=1)[0]
    return _END.split(term, maxsplit=1)[0]
