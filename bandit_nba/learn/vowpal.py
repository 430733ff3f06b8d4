"""The learner: a Vowpal Wabbit regression on context x arm features. Only this file imports VW.

VW learns one cost regression over all arms (`--cb_adf --cb_type mtr`) from the context and the chosen arm alone, with
label probability 1: no importance weights, no exploration. Features are pushed by index, never as text, so no name can
inject another feature. Rewards come in, costs = -rewards stay inside.

VW takes NaN for a cost, and one infinite reward ruins a model for good: everything is checked before VW sees any of it.
"""

import io
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, cast

import numpy as np
import numpy.typing as npt
from vowpal_wabbit_next import CBLabel, CLIError, Example, TextFormatParser, Workspace, _core, run_cli_driver

from bandit_nba.decide.columns import Floats, Ints
from bandit_nba.decide.policy import FeatureSettings, Learning
from bandit_nba.decide.scoring import FeatureRows
from bandit_nba.errors import InputError, ModelError
from bandit_nba.learn.options import vw_arguments
from bandit_nba.learn.sparse import SparseWeights

MOST_REWARD = 1e6
MOST_VALUE = 1e6
CONTEXT, ARM = "UR", "A"

Indices = npt.NDArray[np.uint64]
Values = npt.NDArray[np.float32]


class _Trusting(Workspace[Literal[False]]):
    """A workspace that does not compare label types, which takes VW's wrapper as long as learning; ours are right."""

    def _check_label(self, example: object) -> None:
        pass

    @property
    def learn_pair(self) -> Callable[[list[Any]], object]:
        """VW's own function behind `learn_one`, for the two examples that it keeps in its wrappers."""
        return cast(Callable[[list[Any]], object], self._workspace.learn_multi_ex_one)


class VowpalRegressor:
    """A regression of rewards that learns row by row; not for several threads, and VW never lets go of the GIL.

    Equal settings and equal examples in equal order give equal weights, however often the model is stored and loaded in
    between; the bytes of equal models may differ.

    Raises
    ------
    SettingsError
        If an option is not allowed.
    """

    def __init__(
        self,
        features: FeatureSettings,
        learning: Learning | None = None,
        *,
        model: bytes | None = None,
        examples_learned: int = 0,
    ) -> None:
        self.vw_args = vw_arguments(features, learning or Learning())
        self.bits = features.bits
        self.examples_learned = examples_learned
        try:
            # VW stores only some of its settings: without all of them a loaded model would learn on otherwise
            self._vw = _Trusting([*self.vw_args, "--quiet"], model_data=model)
        except RuntimeError as error:
            raise ModelError(f"VW cannot load the model ({error})") from None
        if len(self._slots()) != 1 << self.bits:
            raise ModelError("has another width than the features", got=len(self._slots()), allowed=str(1 << self.bits))
        self._check_weights("was stored with")

    @classmethod
    def from_bytes(
        cls, data: bytes, features: FeatureSettings, learning: Learning | None = None, *, examples_learned: int = 0
    ) -> "VowpalRegressor":
        """A stored model, to be learned on with the settings that it was made with.

        VW loads many damaged files without complaint: compare checksums first.

        Raises
        ------
        ModelError
            If VW cannot load it, or it has another width or weights that are not finite.
        """
        return cls(features, learning, model=data, examples_learned=examples_learned)

    def learn(
        self,
        contexts: FeatureRows,
        arms: FeatureRows,
        chosen: Ints,
        rewards: Floats,
        *,
        weights: Floats | None = None,
    ) -> None:
        """Learn N examples in the order of their rows.

        contexts: N rows of namespaces U and R. arms: K rows of namespace A. chosen: rows of `arms`, int64 (N,).
        rewards: float64 (N,), at most 1e6 in size. weights: float64 (N,), from 0 to 1e6, of examples; 0 leaves one
        out; None for 1 each.

        Raises
        ------
        InputError
            If anything given is not that; nothing has been learned then.
        ModelError
            If a weight is no longer finite; this regressor is lost then, go on from a stored one.
        """
        _check_rows(contexts, CONTEXT, "contexts")
        _check_rows(arms, ARM, "arms")
        _check_labels(len(contexts), len(arms), chosen, rewards)
        _check_weights(len(contexts), weights)
        rows = np.arange(len(chosen)) if weights is None else np.flatnonzero(weights)
        chances = np.ones(len(rows)) if weights is None else 1.0 / weights[rows]
        of_arms = _Arms(arms, self.bits)
        shared = _Shared(contexts, self.bits, rows.tolist())
        learn_pair, labelled = self._vw.learn_pair, of_arms.example
        labels = zip(chosen[rows].tolist(), (0.0 - rewards[rows]).tolist(), chances.tolist(), strict=True)
        pair = [shared.example._example, None]
        for _, label in zip(shared, labels, strict=True):
            pair[1] = labelled(*label)._example
            learn_pair(pair)
        self.examples_learned += len(rows)
        self._check_weights("has learned")

    def predict(self, contexts: FeatureRows, arms: FeatureRows) -> Floats:
        """Expected reward by VW itself, float64 (N, K): slow, to check compiled scores by.

        A copy of the model predicts, since VW's predictions move the clock of its learning rate.

        Raises
        ------
        InputError
            If the rows are of other namespaces, or a value is out of range.
        """
        _check_rows(contexts, CONTEXT, "contexts")
        _check_rows(arms, ARM, "arms")
        of_arms = _Arms(arms, self.bits)
        examples = [of_arms.example(arm, 0.0, 1.0) for arm in range(len(arms))]
        copy = _Trusting([*self.vw_args, "--quiet"], model_data=self.serialize())
        expected = np.empty((len(contexts), len(arms)))
        for row, context in enumerate(_Shared(contexts, self.bits, range(len(contexts)))):
            # pairs of arm and cost, not in the arms' order
            costs = cast(list[tuple[int, float]], copy.predict_one([context, *examples]))
            for arm, cost in costs:
                expected[row, arm] = -cost
        return expected

    def weights(self) -> SparseWeights:
        """A copy of the weights that are not zero.

        Raises
        ------
        ModelError
            If one is not finite.
        """
        return SparseWeights.of(self._slots())

    def serialize(self) -> bytes:
        """VW's own bytes, with all that learning on needs beside these settings."""
        return bytes(self._vw.serialize())

    def _slots(self) -> npt.NDArray[np.float32]:
        """The live weights, float32 (2^bits,): a view into VW's memory."""
        slots: npt.NDArray[np.float32] = self._vw.weights()[:, 0, 0]
        return slots

    def _check_weights(self, did: str) -> None:
        if not np.isfinite(self._slots()).all():
            raise ModelError(f"{did} weights that are not finite", hint="go on from the checkpoint before it")


class ExampleFile:
    """Examples in VW's own cache format, for `driven` to learn from; made anew where the file is there already.

    An arm's bytes are made once per reward, so that only contexts go through VW's writer.
    """

    def __init__(self, path: Path, features: FeatureSettings, learning: Learning) -> None:
        self._vw = _Trusting([*vw_arguments(features, learning), "--quiet"])
        self._bits = features.bits
        self._file = path.open("wb")
        self._newline = self._bytes_of(TextFormatParser(self._vw).parse_line(""))
        _core._write_cache_header(self._vw._workspace, self._file)

    def add(self, contexts: FeatureRows, arms: FeatureRows, chosen: Ints, rewards: Floats) -> None:
        """Append N examples, as `VowpalRegressor.learn` would learn them; raises as it does."""
        _check_rows(contexts, CONTEXT, "contexts")
        _check_rows(arms, ARM, "arms")
        _check_labels(len(contexts), len(arms), chosen, rewards)
        of_arms = _Arms(arms, self._bits)
        known: dict[tuple[int, float], bytes] = {}
        workspace, out = self._vw._workspace, io.BytesIO()
        labels = zip(chosen.tolist(), (0.0 - rewards).tolist(), strict=True)
        for context, (arm, cost) in zip(_Shared(contexts, self._bits, range(len(contexts))), labels, strict=True):
            _core._write_cache_example(workspace, context._example, out)
            if (arm, cost) not in known:
                known[arm, cost] = self._bytes_of(of_arms.example(arm, cost, 1.0)) + self._newline
            out.write(known[arm, cost])
        self._file.write(out.getbuffer())

    def close(self) -> None:
        """Everything is in the file now."""
        self._file.close()

    def _bytes_of(self, example: Example) -> bytes:
        out = io.BytesIO()
        _core._write_cache_example(self._vw._workspace, example._example, out)
        return out.getvalue()


def driven(path: Path, features: FeatureSettings, learning: Learning, *, model: bytes | None = None) -> bytes:
    """What VW's command-line driver makes of an `ExampleFile`, going on from `model`; beside the file while it runs.

    Raises
    ------
    ModelError
        If the driver fails, or ends with weights that are not finite.
    """
    before, after = path.with_suffix(".before"), path.with_suffix(".after")
    arguments = [*vw_arguments(features, learning), "--quiet", "--cache_file", str(path), "-f", str(after)]
    if model is not None:
        before.write_bytes(model)
        arguments += ["-i", str(before)]
    try:
        run_cli_driver(arguments, onethread=True)
        made = after.read_bytes()
    except (CLIError, OSError) as error:
        raise ModelError(f"VW's driver failed ({error})", where=str(path)) from None
    finally:
        before.unlink(missing_ok=True)
        after.unlink(missing_ok=True)
    VowpalRegressor(features, learning, model=made)
    return made


@dataclass(frozen=True)
class _Pushed:
    """One namespace of N rows as VW takes it: row i has `indices[bounds[i]:bounds[i+1]]`, `values` alongside."""

    letter: str
    bounds: list[int]
    indices: Indices
    values: Values


def _pushed(rows: FeatureRows, letter: str, bits: int) -> _Pushed:
    """Terms of value zero are left out, as VW's text parser does: VW would count them towards the size of an update."""
    here = np.frombuffer(rows.namespaces.encode("ascii"), dtype=np.uint8) == ord(letter)
    kept = here[rows.terms] & np.not_equal(rows.values, 0.0)
    before = np.zeros(len(kept) + 1, dtype=np.int64)
    np.cumsum(kept, out=before[1:])
    indices = (rows.hashes & np.uint32((1 << bits) - 1)).astype(np.uint64)[rows.terms[kept]]
    # push_many_features does not look at strides: every slice of these must stay contiguous
    return _Pushed(letter, before[rows.indptr].tolist(), indices, rows.values[kept].astype(np.float32))


class _Shared:
    """One VW example that takes the features of one context after the other."""

    def __init__(self, contexts: FeatureRows, bits: int, rows: Sequence[int]) -> None:
        parts = [_pushed(contexts, letter, bits) for letter in CONTEXT]
        self._parts = [part for part in parts if len(part.indices)]
        self._rows = rows
        self.example = Example()
        self.example.set_label(CBLabel(shared=True))

    def __iter__(self) -> Iterator[Example]:
        """The one example, row after row."""
        example = self.example
        groups = [
            (example[p.letter].truncate_to, _push(example, p.letter), p.bounds, p.indices, p.values)
            for p in self._parts
        ]
        for row in self._rows:
            for truncate, push, bounds, indices, values in groups:
                low, high = bounds[row], bounds[row + 1]
                truncate(0)
                push(indices[low:high], values[low:high])
            yield example


class _Arms:
    """One VW example per arm and label, since labelling takes VW's wrapper 5 us; beyond so many labels, one per arm."""

    MOST = 256

    def __init__(self, arms: FeatureRows, bits: int) -> None:
        self._pushed = _pushed(arms, ARM, bits)
        self._known: dict[tuple[int, float, float], Example] = {}
        self._spare: list[Example | None] = [None] * len(arms)
        self._label = CBLabel(label=(0, 0.0, 1.0))

    def example(self, arm: int, cost: float, chance: float) -> Example:
        """The arm with this cost and label probability, 1 / weight; good until it is asked for with another label."""
        known = self._known.get((arm, cost, chance))
        if known is not None:
            return known
        if len(self._known) < self.MOST:
            example = self._known[arm, cost, chance] = self._made(arm)
        else:
            example = self._spare[arm] = self._spare[arm] or self._made(arm)
        self._label.label = (0, cost, chance)
        example.set_label(self._label)
        return example

    def _made(self, arm: int) -> Example:
        low, high = self._pushed.bounds[arm], self._pushed.bounds[arm + 1]
        example = Example()
        _push(example, ARM)(self._pushed.indices[low:high], self._pushed.values[low:high])
        return example


def _push(example: Example, letter: str) -> Callable[[Indices, Values], None]:
    """What adds features to a namespace of the example; VW's stub spells the arrays' types wrongly."""
    return cast(Callable[[Indices, Values], None], example[letter].push_many_features)


def _check_rows(rows: FeatureRows, letters: str, where: str) -> None:
    vocabulary = len(rows.hashes)
    if len(rows.namespaces) != vocabulary or set(rows.namespaces) - set(letters):
        raise InputError(
            "has terms of another namespace", where=where, got=rows.namespaces[:20], allowed=" and ".join(letters)
        )
    if len(rows.terms) != len(rows.values) or rows.indptr[0] != 0 or rows.indptr[-1] != len(rows.terms):
        raise InputError("has another number of terms than of values", where=where, got=len(rows.terms))
    if not _within(rows.terms, vocabulary):
        raise InputError("has terms outside its vocabulary", where=where, allowed=f"0 to {vocabulary - 1}")
    if not np.less_equal(np.abs(rows.values), MOST_VALUE).all():  # false for NaN as well
        raise InputError("has values out of range", where=where, allowed="finite, at most 1e6 in size")


def _check_labels(size: int, arms: int, chosen: Ints, rewards: Floats) -> None:
    if chosen.shape != (size,) or rewards.shape != (size,):
        raise InputError("differ in length from contexts", where="chosen, rewards", got=len(rewards), allowed=str(size))
    if not _within(chosen, arms):
        raise InputError("names an arm that is not there", where="chosen", allowed=f"0 to {arms - 1}")
    bad = np.flatnonzero(~np.less_equal(np.abs(rewards), MOST_REWARD))
    if len(bad):
        got = float(rewards[bad[0]])
        raise InputError(
            "cannot be learned", where=f"rewards[{bad[0]}]", got=got, allowed="finite, at most 1e6 in size"
        )


def _check_weights(size: int, weights: Floats | None) -> None:
    if weights is None:
        return
    if weights.shape != (size,):
        raise InputError("differ in length from contexts", where="weights", got=len(weights), allowed=str(size))
    bad = np.flatnonzero(~((weights >= 0.0) & (weights <= MOST_VALUE)) | ((weights > 0.0) & (weights < 1e-6)))
    if len(bad):
        got = float(weights[bad[0]])
        raise InputError("is out of range", where=f"weights[{bad[0]}]", got=got, allowed="0, or 1e-6 to 1e6")


def _within(numbers: Ints, size: int) -> bool:
    return bool(np.issubdtype(numbers.dtype, np.integer) and ((numbers >= 0) & (numbers < size)).all())
