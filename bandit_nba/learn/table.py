"""What each context term adds to the score of each arm of one set, kept for terms seen lately."""

import threading
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from bandit_nba.decide.columns import Floats, Ints
from bandit_nba.decide.scoring import FeatureRows
from bandit_nba.errors import ModelError
from bandit_nba.learn.linear_form import ARM, CONSTANT, Hashes, LinearForm, folded
from bandit_nba.learn.tuples import tuples

MOST_BYTES = 1 << 25  # of a set's table: 200,000 terms for 20 arms, 800 for 5,000
CONTEXT = "UR"


@dataclass(frozen=True)
class _ArmTuples:
    """Terms, pairs or triples of each of K arms, for crosses with one, two or three letters A.

    hashes: for each letter uint32 (Q,). ids, values: (longest, K); arms with fewer are filled up with value 0.
    """

    hashes: tuple[Hashes, ...]
    ids: Ints
    values: Floats

    @classmethod
    def of(cls, arms: FeatureRows, count: int) -> "_ArmTuples":
        found = tuples(arms, ARM * count)
        lengths = np.diff(found.indptr)
        place = np.arange(lengths.max(initial=0))[:, None] < lengths
        ids, values = np.zeros(place.shape, dtype=np.int64), np.zeros(place.shape)
        ids.T[place.T], values.T[place.T] = found.ids, found.values
        return cls(hashes=tuple(arms.hashes[member] for member in found.members), ids=ids, values=values)

    def summed(self, weights: Floats) -> Floats:
        """Sums over each arm's tuples of value x weight: (M, Q) -> (M, K), in the order of the arm's terms."""
        total = np.zeros((len(weights), self.ids.shape[1]))
        for ids, values in zip(self.ids, self.values, strict=True):
            total += values * weights[:, ids]
        return total


class ArmTable:
    """The scores of one set of K arms, term by term.

    slots: 2^bits weights whose sums are expected rewards. constant: what every arm has. own: float64 (K,), the constant
    and what each arm adds by itself.
    """

    def __init__(self, form: LinearForm, slots: npt.NDArray[np.float32], arms: FeatureRows) -> None:
        if set(arms.namespaces) - {ARM}:
            raise ModelError("knows no such namespace of an arm", got=arms.namespaces[:20], allowed=ARM)
        self.arms = arms
        self._form = form
        self._slots = slots
        counts = {1, *(cross.count(ARM) for cross in form.crosses)} - {0}
        self._arm_tuples = {count: _ArmTuples.of(arms, count) for count in sorted(counts)}
        self.constant = float(slots[CONSTANT & form.mask]) if form.constant else 0.0
        single = self._arm_tuples[1].summed(self._weights(self._arm_tuples[1].hashes[0][None, :]))
        self.own = self.constant + (single[0] if ARM in form.linear else 0.0) + self.of_tuples("", ())[0]
        self._most = max(256, MOST_BYTES // (8 * max(len(arms), 1)))
        self._row_of: dict[int, int] = {}
        self._rows = np.empty((64, len(arms)))
        self._lock = threading.Lock()

    def of_terms(self, contexts: FeatureRows) -> Floats:
        """What each term of a vocabulary adds to each arm, float64 (V, K)."""
        names = contexts.namespaces.encode("ascii")
        if len(names) > self._most:
            return self._terms(np.frombuffer(names, dtype=np.uint8), contexts.hashes)
        keys = [h << 8 | letter for h, letter in zip(contexts.hashes.tolist(), names, strict=True)]
        with self._lock:
            missing = [i for i, key in enumerate(keys) if key not in self._row_of]
            if missing:
                self._keep(keys, missing, np.frombuffer(names, dtype=np.uint8), contexts.hashes)
            return self._rows[[self._row_of[key] for key in keys]]

    def of_tuples(self, pattern: str, members: Sequence[Hashes]) -> Floats:
        """What tuples of context terms add to each arm through all crosses with these context letters, (M, K).

        members: for each letter of `pattern` the hashes of the tuples' terms, uint32 (M,). M is 1 for no letters.
        """
        total = np.zeros((len(members[0]) if members else 1, len(self.arms)))
        for cross in self._form.crosses_of(pattern):
            arm = self._arm_tuples.get(cross.count(ARM))
            context_hashes = iter(members)
            arm_hashes = iter(arm.hashes if arm else ())
            places = [next(arm_hashes)[None, :] if c == ARM else next(context_hashes)[:, None] for c in cross]
            weights = self._weights(folded(places))
            total += arm.summed(weights) if arm else weights
        return total

    def _terms(self, letters: npt.NDArray[np.uint8], hashes: Hashes) -> Floats:
        if not set(letters.tolist()) <= set(CONTEXT.encode()):
            raise ModelError("knows no such namespace of a context", allowed=" and ".join(CONTEXT))
        rows = np.zeros((len(hashes), len(self.arms)))
        for letter in CONTEXT:
            at = np.flatnonzero(letters == ord(letter))
            rows[at] = self.of_tuples(letter, (hashes[at],))
            if letter in self._form.linear:
                rows[at] += self._weights(hashes[at])[:, None]
        return rows

    def _keep(self, keys: list[int], missing: list[int], letters: npt.NDArray[np.uint8], hashes: Hashes) -> None:
        """Add the missing terms to the table, which is emptied first where they would make it too large."""
        used = len(self._row_of)
        if used + len(missing) > self._most:
            self._row_of, used, missing = {}, 0, list(range(len(keys)))
        if used + len(missing) > len(self._rows):
            grown = np.empty((min(2 * (used + len(missing)), self._most), len(self.arms)))
            grown[:used] = self._rows[:used]
            self._rows = grown
        self._rows[used : used + len(missing)] = self._terms(letters[missing], hashes[missing])
        self._row_of.update((keys[i], used + n) for n, i in enumerate(missing))

    def _weights(self, hashes: Hashes) -> Floats:
        weights: Floats = self._slots[hashes & self._form.mask].astype(np.float64)
        return weights
