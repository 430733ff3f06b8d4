"""Decisions as lines of dsjson from which Vowpal Wabbit computes the very features that our own learner pushes.

VW hashes a JSON string value "web" of "seg" as `segweb`, and a name of digits alone as a number. So every feature is
written as `"seg=web": 1`, and one whose name VW would read otherwise (blanks at its ends, a name too long to be kept)
by the number that VW's hash of digits turns into the same index.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import pairwise
from typing import Any

import msgspec
import numpy as np

from bandit_nba.catalogue import Arm, Catalogue, FactSchema
from bandit_nba.decide.columns import Coded, Facts, Floats
from bandit_nba.decide.features.featuriser import Featuriser
from bandit_nba.decide.features.hashing import feature_hash, namespace_hash
from bandit_nba.decide.inline import arms_of, decoded
from bandit_nba.decide.policy import FeatureSettings
from bandit_nba.decide.scoring import FeatureRows
from bandit_nba.evaluate.formats.dsjson import RECORD
from bandit_nba.store.log.chunk import LogChunk

_ENCODER = msgspec.json.Encoder()
_FACTS = msgspec.json.Decoder(dict[str, float | bool | str | tuple[str, ...] | None])
_NAMES = msgspec.json.Decoder(list[str])
_NUMBERS = msgspec.json.Decoder(list[float])


@dataclass(frozen=True)
class _Arms:
    features: Sequence[Mapping[str, Mapping[str, float]]]
    at: Mapping[str, int]


class DsjsonLines:
    """Writes lines under one feature definition.

    train: lines that teach VW what our learner learns, an unweighted regression: the chosen action alone, with label
    probability 1. Otherwise lines hold all eligible actions and the true propensity. Either way the `Record` beside
    what VW reads holds the true distribution.
    """

    def __init__(
        self,
        features: FeatureSettings,
        schema: FactSchema,
        *,
        catalogue: Callable[[str], Catalogue],
        train: bool = False,
    ) -> None:
        self._featuriser = Featuriser(features, schema)
        self._schema = schema
        self._catalogue = catalogue
        self._train = train
        self._eras: dict[str, _Arms] = {}

    def of(self, chunk: LogChunk, kept: Sequence[int], reward: Floats) -> Iterator[bytes]:
        """One line per row kept, in order, without line ends."""
        facts = [_FACTS.decode(chunk.facts[i] or b"{}") for i in kept]
        known = Facts.from_rows([{k: v for k, v in row.items() if k in self._schema} for row in facts], self._schema)
        codes: dict[str, int] = {}
        channel = np.array([codes.setdefault(chunk.channel[i], len(codes)) for i in kept], dtype=np.int64)
        contexts = _json_features(self._featuriser.contexts(known, Coded(codes=channel, values=tuple(codes))))
        for i, context, row, earned in zip(kept, contexts, facts, reward.tolist(), strict=True):
            yield _ENCODER.encode(self._line(chunk, i, context, row, earned))

    def _line(
        self, chunk: LogChunk, i: int, context: Mapping[str, Any], facts: Mapping[str, Any], reward: float
    ) -> dict[str, Any]:
        names, chances = _NAMES.decode(chunk.arms[i]), _NUMBERS.decode(chunk.probabilities[i])
        chosen = names.index(chunk.arm[i])
        arms = self._arms(chunk.catalogue_version[i], chunk.inline_actions[i])
        shown = [chosen] if self._train else list(range(len(names)))
        at = shown.index(chosen)
        order = [at, *(k for k in range(len(shown)) if k != at)]
        probability = 1.0 if self._train else chances[chosen]
        inline = chunk.inline_actions[i]
        return {
            "_label_cost": 0.0 - reward,
            "_label_probability": probability,
            "_label_Action": at + 1,
            "_labelIndex": at,
            "Timestamp": datetime.fromtimestamp(chunk.decided_at[i], UTC).isoformat(timespec="microseconds"),
            "Version": "1",
            "EventId": chunk.id[i],
            "a": [k + 1 for k in order],
            "c": {**context, "_multi": [self._action(arms, names[k]) for k in shown]},
            "p": [1.0] if self._train else [chances[k] for k in order],
            RECORD: {
                "arm": chunk.arm[i],
                "arms": names,
                "probabilities": chances,
                "facts": facts,
                "customer": chunk.customer[i],
                "channel": chunk.channel[i],
                "decidedAt": chunk.decided_at[i],
                "actions": None if inline is None else decoded(inline),
            },
        }

    def _action(self, arms: _Arms, name: str) -> Mapping[str, Any]:
        return {"_tag": name, **arms.features[arms.at[name]]} if name in arms.at else {"_tag": name}

    def _arms(self, version: str, inline: bytes | None) -> _Arms:
        if inline is not None:
            return self._described(arms_of(decoded(inline)))
        if version not in self._eras:
            self._eras[version] = self._described(self._catalogue(version).arms)
        return self._eras[version]

    def _described(self, arms: Sequence[Arm]) -> _Arms:
        return _Arms(list(_json_features(self._featuriser.arms(arms))), {arm.id: k for k, arm in enumerate(arms)})


def _json_features(rows: FeatureRows) -> Iterator[Mapping[str, Mapping[str, float]]]:
    """Each row as {namespace: {name: value}}; zeros are left out, as VW's parser does."""
    names = [_json_name(*term) for term in zip(rows.namespaces, rows.names, rows.hashes.tolist(), strict=True)]
    bounds, terms, values = rows.indptr.tolist(), rows.terms.tolist(), rows.values.tolist()
    for low, high in pairwise(bounds):
        spaces: dict[str, dict[str, float]] = {}
        for term, value in zip(terms[low:high], values[low:high], strict=True):
            if value != 0.0:
                spaces.setdefault(rows.namespaces[term], {})[names[term]] = value
        yield spaces


def _json_name(namespace: str, name: str, hashed: int) -> str:
    """A key whose index VW computes as ours: the name itself, or digits."""
    seed = namespace_hash(namespace)
    plain = name == name.strip() and name.isprintable() and feature_hash(name, seed=seed) == hashed
    return name if plain and not name.startswith("_") else str((hashed - seed) % 2**32)
