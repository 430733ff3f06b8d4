"""Learning a batch in which single rows may be poison: they are found by halving and leave no trace."""

from collections.abc import Callable, Sequence

from bandit_nba.errors import ModelError, StoreError
from bandit_nba.learn.ensemble import Ensemble
from bandit_nba.learn.examples import ROW_ERRORS, ExampleMaker, Examples
from bandit_nba.learn.log import LoggedBatch, Poison
from bandit_nba.learn.registry import Lineage
from bandit_nba.learn.typical import RunningMeans

MOST_POISON = 20
"""More rows of one batch than this are no poison: something is wrong with all of them."""


def made_carefully(maker: ExampleMaker, batch: LoggedBatch, take: Callable[[Examples], None]) -> list[Poison]:
    """Hand on the examples of a batch in its order; gives the rows of which none can be made. Raises as `learn`."""
    found: list[Poison] = []
    _made(maker, batch, take, found)
    return found


def _made(maker: ExampleMaker, batch: LoggedBatch, take: Callable[[Examples], None], found: list[Poison]) -> None:
    try:
        made = list(maker.examples(batch))
    except StoreError:
        raise
    except ROW_ERRORS as error:
        for part in _halves(batch, found, error):
            _made(maker, part, take, found)
        return
    for examples in made:
        take(examples)


def _halves(batch: LoggedBatch, found: list[Poison], error: Exception) -> list[LoggedBatch]:
    """Both halves of a batch that failed; a single row is poison, and has none."""
    if len(batch) > 1:
        middle = len(batch) // 2
        return [batch.pick(range(middle)), batch.pick(range(middle, len(batch)))]
    found.append(Poison(decision=batch.windows.ids[0], reason=type(error).__name__, why=str(error)))
    if len(found) > MOST_POISON:
        raise ModelError(
            f"cannot learn: more than {MOST_POISON} decisions of a batch fail, the last with: {error}",
            where=f"decision {batch.windows.ids[0]}",
            hint="look for what they share: a definition, a catalogue version, a channel",
        ) from error
    return []


class CarefulRegressor:
    """A regressor that learns what can be learned of a batch, and goes on as if the rest had never been there."""

    def __init__(
        self,
        maker: ExampleMaker,
        lineage: Lineage,
        *,
        model: bytes | None = None,
        means: RunningMeans | None = None,
    ) -> None:
        self._maker = maker
        self._lineage = lineage
        self.recent: Examples | None = None
        self.means = means or RunningMeans()
        self.regressor = self._loaded(model)

    def learn(self, batch: LoggedBatch) -> list[Poison]:
        """Learn a batch in its order; gives the rows that cannot be learned.

        Raises
        ------
        StoreError
            If a catalogue cannot be read.
        ModelError
            If more than `MOST_POISON` rows cannot be learned.
        """
        found: list[Poison] = []
        self._learn(batch, found)
        return found

    def learn_made(self, made: Sequence[Examples]) -> bool:
        """Learn examples that are made already; False, and as if they had never been there, if one cannot be."""
        try:
            self._learn_whole(made)
        except ROW_ERRORS:
            return False
        return True

    def _learn(self, batch: LoggedBatch, found: list[Poison]) -> None:
        try:
            self._learn_whole(list(self._maker.examples(batch)))
        except StoreError:
            raise
        except ROW_ERRORS as error:
            for part in _halves(batch, found, error):
                self._learn(part, found)

    def _learn_whole(self, made: Sequence[Examples]) -> None:
        """All, or as if there had been nothing: then it raises."""
        before = self.regressor.serialize()  # 2 ms for 2^18 weights; VW cannot take anything back
        means = self.means
        try:
            for one in made:
                self.regressor.learn(one.contexts, one.arms, one.chosen, one.reward, one.ids)
                means = means.more(one.contexts)
        except ROW_ERRORS:
            self.regressor = self._loaded(before)
            raise
        if made:
            self.means, self.recent = means, made[-1]

    def _loaded(self, model: bytes | None) -> Ensemble:
        lineage = self._lineage
        return Ensemble(lineage.features, lineage.learning, members=lineage.members, model=model)
