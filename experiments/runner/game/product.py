"""The product as a player: its engine decides, its VW learner learns, a compiled model is swapped in between."""

import hashlib
from collections.abc import Mapping
from typing import Any

import msgspec

from bandit_nba.decide.columns import Floats, Ints
from bandit_nba.decide.policy import Policy
from bandit_nba.decide.scoring import NoModel, Scorer
from bandit_nba.learn.compile import compiled
from bandit_nba.learn.ensemble import Ensemble
from bandit_nba.settings import convert
from experiments.runner.game.rounds import Game, engine_of


class Product:
    """Decides `batch` rounds with one model, learns them, swaps the model.

    So does a service that gets `batch` decisions between two models (`publish_every` in service.toml).

    options: tables of policy.toml (`learning`, `exploration`, `priors`, `features` to change the game's).
    """

    def __init__(self, game: Game, options: Mapping[str, Any], *, batch: int, seed: int) -> None:
        self.batch = batch
        self._game = game
        self.policy = product_policy(game, options)
        key = hashlib.blake2b(f"product:{seed}".encode(), digest_size=32).digest()
        self._engine = engine_of(game, self.policy, key=key)
        self._learner = Ensemble(self.policy.features, self.policy.learning, members=self.policy.ensemble)
        self._counts = dict.fromkeys((arm.id for arm in game.catalogue.arms), 0)
        self._learned = 0
        self._scorer: Scorer = NoModel()

    def decide(self, rows: slice) -> tuple[Ints, Floats]:
        """Arms and their probabilities, (n,) each."""
        made = self._engine.decide(self._game.requests.take(rows.start, rows.stop), self._scorer)
        return made.chosen, made.propensity

    def learn(self, rows: slice, chosen: Ints, rewards: Floats, propensities: Floats) -> None:  # noqa: ARG002 - unweighted
        """Learn these rounds and swap the model."""
        asked = self._game.requests.take(rows.start, rows.stop)
        contexts = self._engine.featuriser.contexts(asked.facts, asked.channels)
        self._learner.learn(contexts, self._engine.arm_features, chosen, rewards, list(asked.ids))
        self._learned += len(chosen)
        for k in chosen.tolist():
            self._counts[self._game.catalogue.arms[k].id] += 1
        self._scorer = compiled(
            self._learner.weights(),
            self._learner.member_weights(),
            self.policy.features,
            self.policy.learning,
            version=f"after-{self._learned}",
            examples_learned=self._learned,
            arm_examples=self._counts,
        )


def product_policy(game: Game, options: Mapping[str, Any]) -> Policy:
    """The game's features under the policy tables given."""
    tables = {name: value for name, value in options.items() if name not in ("kind", "batch", "features")}
    policy = convert(tables, Policy, where="sweep.toml: policy")
    changed = dict(options.get("features", {}))
    known = msgspec.to_builtins(game.features)
    if changed.pop("bins", True) is False:
        known["numbers"] = {name: {**number, "bins": []} for name, number in known["numbers"].items()}
    features = convert({**known, **changed}, type(game.features), where="sweep.toml: features")
    return msgspec.structs.replace(policy, features=features)
