"""One cell of a bandit sweep: a policy plays a scenario's rounds, and what it earned is measured on the way."""

from collections.abc import Mapping
from functools import lru_cache
from typing import Any, Protocol

import msgspec
import numpy as np

from bandit_nba.decide.columns import Floats, Ints
from bandit_nba.errors import InputError, SettingsError
from experiments.runner.game.baselines import baseline
from experiments.runner.game.product import Product
from experiments.runner.game.rounds import Game, make_game
from experiments.runner.own_policy import own
from experiments.runner.results import Measure
from experiments.runner.sweep import Cell

POINTS = 30  # of a learning curve
BATCH = 10  # rounds between two updates, unless a policy says otherwise


class Player(Protocol):
    """Decides `batch` rounds, then learns them."""

    @property
    def batch(self) -> int:
        """Rounds decided together."""

    def decide(self, rows: slice) -> tuple[Ints, Floats]:
        """Arms and the probabilities with which they were drawn, (n,) each."""

    def learn(self, rows: slice, chosen: Ints, rewards: Floats, propensities: Floats) -> None:
        """Learn rounds that were decided earlier, in their order."""


def play(cell: Cell) -> list[Measure]:
    """Reward, regret and choices of one run; see `measures`."""
    game = game_of(cell.scenario_options, seed=cell.seed, rounds=cell.rounds)
    player = make_player(game, cell.policy_options, seed=cell.seed)
    delay = int(cell.scenario_options.get("delay", 0))
    chosen, reward = run(game, player, delay=delay)
    return measures(game, chosen, reward)


def run(game: Game, player: Player, *, delay: int = 0) -> tuple[Ints, Floats]:
    """Arms and rewards of all rounds; a reward is known `delay` rounds after its decision."""
    n = len(game)
    chosen, propensity, reward = np.zeros(n, dtype=np.int64), np.ones(n), np.zeros(n)
    learned = 0
    for low in range(0, n, player.batch):
        rows = slice(low, min(low + player.batch, n))
        chosen[rows], propensity[rows] = player.decide(rows)
        _must_be_possible(game, rows, chosen[rows])
        reward[rows] = game.rewards(rows, chosen[rows])
        while learned + player.batch <= rows.stop - delay:
            done = slice(learned, learned + player.batch)
            player.learn(done, chosen[done], reward[done], propensity[done])
            learned = done.stop
    return chosen, reward


def _must_be_possible(game: Game, rows: slice, chosen: Ints) -> None:
    """An arm that the customer may not have would earn what nobody can.

    Raises
    ------
    InputError
        With the first such round.
    """
    mask = game.mask[rows]
    known = (chosen >= 0) & (chosen < mask.shape[1])
    possible = known & mask[np.arange(len(mask)), np.where(known, chosen, 0)]
    if not possible.all():
        i = int(possible.argmin())
        raise InputError("the arm is not eligible", where=f"round {rows.start + i}", got=int(chosen[i]))


def measures(game: Game, chosen: Ints, reward: Floats) -> list[Measure]:
    """reward, regret: per decision so far, at each point of the curve; the regret is that of the true expectation.

    total: sum of rewards. expected, late: mean true expectation of all rounds, of the last fifth. uniform, best_fixed,
    oracle: true values, and of the last fifth with "late_" before them.
    """
    n = len(game)
    rows = np.arange(n)
    expected = game.q[rows, chosen]
    points = np.unique(np.linspace(n / POINTS, n, POINTS).astype(np.int64))
    earned, lost = np.cumsum(reward), np.cumsum(game.best - expected)
    found = [Measure("reward", float(earned[t - 1] / t), float(t)) for t in points.tolist()]
    found += [Measure("regret", float(lost[t - 1]), float(t)) for t in points.tolist()]
    even = np.where(game.mask, game.q, 0.0).sum(axis=1) / game.mask.sum(axis=1)
    fixed = np.where(game.mask[:, game.best_fixed], game.q[:, game.best_fixed], game.q[:, 0])
    late = slice(n - max(1, n // 5), n)
    found += [
        Measure("total", float(earned[-1])),
        Measure("rounds", float(n)),
        Measure("expected", float(expected.mean())),
        Measure("late", float(expected[late].mean())),
        Measure("uniform", float(even.mean())),
        Measure("best_fixed", float(fixed.mean())),
        Measure("oracle", float(game.best.mean())),
        Measure("late_uniform", float(even[late].mean())),
        Measure("late_oracle", float(game.best[late].mean())),
    ]
    share = np.bincount(chosen, minlength=game.q.shape[1]) / n
    found += [Measure("share", float(s), label=arm.id) for s, arm in zip(share, game.catalogue.arms, strict=True)]
    return found


def make_player(game: Game, options: Mapping[str, Any], *, seed: int) -> Player:
    """kind: product, uniform, best_fixed, segments, segments_known, vowpal, linucb, lints or own; the rest is its own.

    own: what `player(game, *, seed, **options)` of `file` gives, a `Player`; it may look at game.situation, not at q.

    Raises
    ------
    SettingsError
        If the kind is not one of these.
    """
    kind, batch = str(options.get("kind", "")), int(options.get("batch", BATCH))
    if kind == "product":
        return Product(game, options, batch=batch, seed=seed)
    if kind in ("uniform", "best_fixed", "segments", "segments_known"):
        return baseline(game, options, seed=seed)
    if kind == "vowpal":
        from experiments.runner.game.peer_vowpal import VowpalExplorer

        return VowpalExplorer(game, options, seed=seed)
    if kind in ("linucb", "lints"):
        from experiments.runner.game.peer_mabwiser import MabwiserLinear

        return MabwiserLinear(game, options, batch=batch, seed=seed)
    if kind == "own":
        player: Player = own(options, "player", game, seed=seed)
        return player
    kinds = "product, uniform, best_fixed, segments, segments_known, vowpal, linucb, lints, own"
    raise SettingsError("no such player", where="sweep.toml: policies.options.kind", got=kind, allowed=kinds)


def game_of(options: Mapping[str, Any], *, seed: int, rounds: int) -> Game:
    """The scenario's rounds, made once for the policies that play them one after the other."""
    return _game(msgspec.json.encode(options, order="sorted"), seed, rounds)


@lru_cache(maxsize=2)
def _game(options: bytes, seed: int, rounds: int) -> Game:
    return make_game(msgspec.json.decode(options), seed=seed, rounds=rounds)
