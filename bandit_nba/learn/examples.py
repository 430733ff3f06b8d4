"""From logged decisions to what a regressor learns: features of the context and of the chosen arm, and the reward."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby

import msgspec
import numpy as np

from bandit_nba.catalogue import Arm, Catalogue, FactSchema
from bandit_nba.decide.columns import Coded, Floats, Ints
from bandit_nba.decide.features.featuriser import Featuriser
from bandit_nba.decide.inline import InlineAction, arms_of, decoded, encoded
from bandit_nba.decide.policy import FeatureSettings
from bandit_nba.decide.scoring import FeatureRows
from bandit_nba.errors import InputError, NbaError
from bandit_nba.learn.definition import RewardDefinition
from bandit_nba.learn.join import counted
from bandit_nba.learn.log import LoggedBatch
from bandit_nba.learn.logged_facts import LoggedFacts
from bandit_nba.learn.rewards import rewards

ROW_ERRORS = (NbaError, ValueError, TypeError, ArithmeticError, LookupError, RuntimeError)
"""What a damaged row may raise; a `StoreError` among them is no fault of a row."""


@dataclass(frozen=True)
class Examples:
    """N examples in learning order. chosen: int64 (N,), rows of `arms`. reward: float64 (N,), finite.

    ids: of the decisions.
    """

    contexts: FeatureRows
    arms: FeatureRows
    chosen: Ints
    reward: Floats
    ids: Sequence[str] = ()

    def __len__(self) -> int:
        return len(self.chosen)


@dataclass(frozen=True)
class _Era:
    """What a catalogue version says about decisions made under it. facts: those that still mean the same; the others
    are unknown."""

    facts: LoggedFacts
    arms: FeatureRows
    row_of: dict[str, int]


class ExampleMaker:
    """Makes examples under one feature and one reward definition.

    An arm has the features that the catalogue of its decision gave it, or the request that brought it. A fact that was
    declared with another kind then is unknown now.
    """

    def __init__(
        self,
        settings: FeatureSettings,
        schema: FactSchema,
        definition: RewardDefinition,
        *,
        catalogue: Callable[[str], Catalogue],
    ) -> None:
        self.featuriser = Featuriser(settings, schema)
        self._schema = schema
        self._definition = definition
        self._catalogue = catalogue
        self._eras: dict[str, _Era] = {}

    def examples(self, batch: LoggedBatch) -> Iterator[Examples]:
        """The batch as examples in the same order, cut where the catalogue's version changes or actions come inline.

        Raises
        ------
        InputError
            If a row does not hold what was logged: facts of another kind, an arm that its catalogue does not have.
        """
        reward = rewards(self._definition, counted(self._definition, batch.windows, batch.outcomes), size=len(batch))
        inline = batch.inline or [None] * len(batch)
        for (version, brought), rows in groupby(
            range(len(batch)), key=lambda i: (batch.catalogues[i], inline[i] is not None)
        ):
            era = self._era(version)
            run = list(rows)
            part = slice(run[0], run[-1] + 1)
            arms, chosen = self._brought(batch, run) if brought else (era.arms, _chosen(batch, part, era))
            yield Examples(
                contexts=self._contexts(batch, part, era),
                arms=arms,
                chosen=chosen,
                reward=reward[part],
                ids=batch.windows.ids[part],
            )

    def _brought(self, batch: LoggedBatch, rows: Sequence[int]) -> tuple[FeatureRows, Ints]:
        """The chosen actions of rows whose requests brought them, and each row's own; equal ones once."""
        places: dict[bytes, int] = {}
        arms: list[Arm] = []
        chosen = []
        for i in rows:
            action = _chosen_inline(batch.inline[i] or b"[]", batch.arms[i])
            place = places.setdefault(encoded([action]), len(arms))
            if place == len(arms):
                arms += arms_of([action])
            chosen.append(place)
        return self.featuriser.arms(arms), np.array(chosen, dtype=np.int64)

    def _contexts(self, batch: LoggedBatch, part: slice, era: _Era) -> FeatureRows:
        try:
            facts = era.facts.read(batch.facts[part])
        except (ValueError, TypeError) as error:
            raise InputError(f"logged facts cannot be read ({error})", where="decisions.facts") from None
        channels = batch.channels[part]
        code_of = {channel: code for code, channel in enumerate(dict.fromkeys(channels))}
        codes = np.fromiter(map(code_of.__getitem__, channels), dtype=np.int64, count=len(channels))
        return self.featuriser.contexts(facts, Coded(codes=codes, values=tuple(code_of)))

    def _era(self, version: str) -> _Era:
        if version not in self._eras:
            catalogue = self._catalogue(version)
            arms = catalogue.arms
            same = {name: kind for name, kind in self._schema.items() if catalogue.facts.get(name) == kind}
            row_of = {arm.id: row for row, arm in enumerate(arms)}
            self._eras[version] = _Era(facts=LoggedFacts(same), arms=self.featuriser.arms(arms), row_of=row_of)
        return self._eras[version]


def _chosen_inline(content: bytes, arm: str) -> InlineAction:
    try:
        return next(action for action in decoded(content) if action.id == arm)
    except msgspec.DecodeError as error:
        raise InputError(f"logged actions cannot be read ({error})", where="decisions.inline_actions") from None
    except StopIteration:
        raise InputError("logged arm is not among its actions", where="decisions.arm", got=arm) from None


def _chosen(batch: LoggedBatch, part: slice, era: _Era) -> Ints:
    try:
        return np.array([era.row_of[arm] for arm in batch.arms[part]], dtype=np.int64)
    except KeyError as error:
        raise InputError("logged arm is not in its catalogue", where="decisions.arm", got=error.args[0]) from None
