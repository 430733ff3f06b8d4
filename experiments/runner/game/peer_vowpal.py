"""The peer: VW's own explorers (`--cb_explore_adf`), told every reward before the next round."""

from collections.abc import Mapping
from typing import Any, cast

import numpy as np
import numpy.typing as npt
from vowpal_wabbit_next import CBLabel, Example, Workspace

from bandit_nba.decide.columns import Floats, Ints
from bandit_nba.decide.scoring import FeatureRows
from experiments.runner.game.rounds import Game

LETTERS = "URA"


class VowpalExplorer:
    """options["args"]: VW's words beyond `--cb_explore_adf`; features, crosses and bits are the game's.

    Costs are -reward, as in the product's adapter; "no action" is one of the arms.
    """

    batch = 1

    def __init__(self, game: Game, options: Mapping[str, Any], *, seed: int) -> None:
        crosses = [word for cross in game.features.interactions for word in ("--interactions", cross)]
        fixed = ["--cb_explore_adf", "--quiet", "--random_seed", str(seed), "-b", str(game.features.bits)]
        self._vw = Workspace([*fixed, *crosses, *map(str, options["args"])])
        self._game = game
        self._rng = np.random.default_rng([0x7E57, seed])
        bits = game.features.bits
        self._contexts = _Rows(game.situation.contexts, bits)
        self._arm_features = _Rows(game.situation.arm_features, bits)
        self._arms = [self._arm_features.example(k, CBLabel()) for k in range(len(game.catalogue.arms))]

    def decide(self, rows: slice) -> tuple[Ints, Floats]:
        """One round: the arm drawn from VW's distribution, and its probability."""
        eligible = np.flatnonzero(self._game.mask[rows.start])
        shared = self._contexts.example(rows.start, CBLabel(shared=True))
        pairs = cast(list[tuple[int, float]], self._vw.predict_one([shared, *(self._arms[k] for k in eligible)]))
        chances = np.array([chance for _, chance in pairs])
        drawn = int(np.searchsorted(chances.cumsum(), self._rng.random() * chances.sum(), side="right"))
        place, chance = pairs[min(drawn, len(pairs) - 1)]
        return np.array([eligible[place]]), np.array([chance])

    def learn(self, rows: slice, chosen: Ints, rewards: Floats, propensities: Floats) -> None:
        """Learn the round by all arms that were possible, the chosen one labelled."""
        arm = int(chosen[0])
        label = CBLabel(label=(0, 0.0 - float(rewards[0]), float(propensities[0])))
        shared = self._contexts.example(rows.start, CBLabel(shared=True))
        arms = [
            self._arm_features.example(k, label) if k == arm else self._arms[k]
            for k in np.flatnonzero(self._game.mask[rows.start]).tolist()
        ]
        self._vw.learn_one([shared, *arms])


class _Rows:
    """Features by namespace, ready to be pushed."""

    def __init__(self, rows: FeatureRows, bits: int) -> None:
        letters = np.frombuffer(rows.namespaces.encode("ascii"), dtype=np.uint8)[rows.terms]
        hashes = (rows.hashes & np.uint32((1 << bits) - 1)).astype(np.uint64)[rows.terms]
        self._parts = []
        for letter in LETTERS:
            kept = (letters == ord(letter)) & (rows.values != 0.0)
            before = np.concatenate([[0], np.cumsum(kept)])[rows.indptr]
            values: npt.NDArray[np.float32] = np.ascontiguousarray(rows.values[kept], dtype=np.float32)
            if len(values):
                self._parts.append((letter, before.tolist(), np.ascontiguousarray(hashes[kept]), values))

    def example(self, row: int, label: CBLabel) -> Example:
        """A new example of this row: VW changes those that it has learned."""
        made = Example()
        made.set_label(label)
        for letter, before, hashes, values in self._parts:
            low, high = before[row], before[row + 1]
            if high > low:
                push = cast(Any, made[letter].push_many_features)
                push(hashes[low:high], values[low:high])
        return made
