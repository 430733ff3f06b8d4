"""Facts and arms as sparse features under Vowpal Wabbit's hash: once per distinct value, then whole columns.

Namespaces: U facts of the customer, R facts of the request and the channel, A the arm. Features and their values:

    category   contract=One year             1        number    age                          value / scale
    boolean    senior=true                   1        its bins  age=..30 age=30..60 age=60.. 1
    set        owned=phone                   1 each   text      note=word                    1 each
    channel    channel=web                   1        unknown   age?  (any kind but set)     1
    arm        arm=sim/friendly action=sim treatment=friendly group=upsell, and those the catalogue declares

An unknown fact has its own indicator instead of no feature (the missing-indicator method, as scikit-learn's
`add_indicator`): without it an unknown number would count as zero, and an anonymous customer could not be told from an
average one. No name holds `=` or `?`, so no value can pass for another feature.
"""

import itertools
from collections.abc import Sequence

import numpy as np

from bandit_nba.catalogue import Arm, FactKind, FactSchema
from bandit_nba.decide.columns import Coded, CodedSets, Facts, Floats, Ints
from bandit_nba.decide.features.alone import AloneFeaturiser, Source
from bandit_nba.decide.features.hashing import ValueHashes
from bandit_nba.decide.features.names import CHANNEL, check_arm_feature, check_settings
from bandit_nba.decide.features.rows import ABSENT, Ragged, gathered, laid_out
from bandit_nba.decide.features.vocabulary import BatchTerms, FixedTerms
from bandit_nba.decide.features.words import words
from bandit_nba.decide.policy import FeatureSettings, Number
from bandit_nba.decide.scoring import FeatureRows
from bandit_nba.errors import InputError
from bandit_nba.settings import version_of

DEFINITION = 1  # grows when the same facts become other features
LIMIT = 1e6  # size of a number after scaling; three of them crossed and squared still fit single precision


class Featuriser:
    """Turns facts and arms into `FeatureRows`; equal versions give equal features for equal facts.

    Raises
    ------
    SettingsError
        If a fact is not declared or named twice, or a number's scale or bins cannot be used.
    """

    def __init__(self, settings: FeatureSettings, schema: FactSchema) -> None:
        check_settings(settings, schema)
        named = [(name, schema[name], "U") for name in settings.customer]
        named += [(name, schema[name], "R") for name in settings.request]
        if settings.channel:
            named.append((CHANNEL, "category", "R"))
        texts: list[tuple[str, str]] = []
        sources = []
        for name, kind, letter in named:
            number = settings.numbers.get(name, Number())
            sources.append(Source(name, kind, letter, len(texts), ValueHashes(name, letter), number))
            texts += [(letter, text) for text in _fixed_texts(name, kind, number)]
        self._fixed = FixedTerms.of(texts)
        self._numbers = _Numbers([s for s in sources if s.kind == "number"])
        self._booleans = _Booleans([s for s in sources if s.kind == "boolean"])
        self._categories = _Categories([s for s in sources if s.kind == "category"], channel=settings.channel)
        of_channel = sources[-1] if settings.channel else None
        of_facts = sources[: len(sources) - settings.channel]
        self._alone = AloneFeaturiser(of_facts, self._fixed, channel=of_channel, limit=LIMIT)
        self._sets = [s for s in sources if s.kind == "set"]
        self._texts = [s for s in sources if s.kind == "text"]
        self.version = version_of(
            {"definition": DEFINITION, "settings": settings, "kinds": {name: kind for name, kind, _ in named}}
        )

    def contexts(self, facts: Facts, channels: Coded) -> FeatureRows:
        """Features of the rows of `facts`, asked for on `channels`: namespaces U and R.

        Raises
        ------
        InputError
            If a column is not of the kind that its fact was declared with.
        """
        alone = facts.alone
        if alone is not None:
            code = int(channels.codes[0])
            return self._alone.row(alone, None if code < 0 else channels.values[code])
        batch = BatchTerms(self._fixed)
        number_terms, number_values = self._numbers.of(facts)
        terms = np.concatenate([number_terms, self._booleans.of(facts), self._categories.of(facts, channels, batch)])
        values = np.ones(terms.shape)
        values[: len(number_values)] = number_values
        ragged = [_set_terms(source, facts, batch) for source in self._sets]
        ragged += [_text_terms(source, facts, batch) for source in self._texts]
        return batch.rows(*laid_out(terms, values, ragged))

    def arms(self, arms: Sequence[Arm]) -> FeatureRows:
        """Features of arms in their order: namespace A.

        Raises
        ------
        InputError
            If a declared feature's name is taken or no name.
        """
        features = [_arm_features(arm) for arm in arms]
        known = {text: term for term, text in enumerate(dict.fromkeys(text for row in features for text in row))}
        fixed = FixedTerms.of([("A", text) for text in known])
        indptr = np.zeros(len(features) + 1, dtype=np.int64)
        np.cumsum([len(row) for row in features], out=indptr[1:])
        terms = np.array([known[text] for row in features for text in row], dtype=np.int64)
        values = _held(np.array([value for row in features for value in row.values()], dtype=np.float64))
        return BatchTerms(fixed).rows(indptr, terms, values)


def _fixed_texts(name: str, kind: FactKind, number: Number) -> list[str]:
    """The texts of a fact that need no value, "unknown" first."""
    if kind == "set":
        return []
    if kind == "boolean":
        return [f"{name}?", f"{name}=false", f"{name}=true"]
    if kind == "number":
        edges = ["", *(f"{edge:.12g}" for edge in number.bins), ""]
        bins = [f"{name}={low}..{high}" for low, high in itertools.pairwise(edges)] if number.bins else []
        return [f"{name}?", name, *bins]
    return [f"{name}?"]


def _arm_features(arm: Arm) -> dict[str, float]:
    """Text and value of an arm's features."""
    found = {f"arm={arm.id}": 1.0}
    if arm.treatment is not None:
        found |= {f"action={arm.action.id}": 1.0, f"treatment={arm.treatment.id}": 1.0}
    found[f"group={arm.action.group}"] = 1.0
    for name, value in sorted(arm.features.items()):
        check_arm_feature(name, where=f"arm {arm.id}")
        found |= {f"{name}={value}": 1.0} if isinstance(value, str) else {name: float(value)}
    return found


def _held(numbers: Floats) -> Floats:
    """Within one million on either side, in single precision: one absurd number must not poison a linear model."""
    return np.minimum(np.maximum(numbers, -LIMIT), LIMIT).astype(np.float32).astype(np.float64)


class _Numbers:
    """All number facts at once: each has its value or its unknown, and where it has bins, the bin that it falls in."""

    def __init__(self, sources: Sequence[Source]) -> None:
        self._names = [s.name for s in sources]
        self._scales = np.array([s.number.scale for s in sources], dtype=np.float64).reshape(-1, 1)
        self._unknown = np.array([s.first for s in sources], dtype=np.int64).reshape(-1, 1)
        self._bins = [(j, np.array(s.number.bins), s.first + 2) for j, s in enumerate(sources) if s.number.bins]

    def of(self, facts: Facts) -> tuple[Ints, Floats]:
        """Terms (numbers and bins, N) and values (numbers, N)."""
        numbers = _stacked(self._names, facts)
        known = np.equal(numbers, numbers)
        terms = np.empty((len(self._names) + len(self._bins), facts.size), dtype=np.int64)
        terms[: len(self._names)] = self._unknown + known
        for k, (j, edges, first) in enumerate(self._bins, start=len(self._names)):
            terms[k] = np.where(known[j], first + np.searchsorted(edges, numbers[j], side="right"), ABSENT)
        return terms, np.where(known, _held(numbers / self._scales), 1.0)


class _Booleans:
    """All boolean facts at once: true, false or unknown."""

    def __init__(self, sources: Sequence[Source]) -> None:
        self._names = [s.name for s in sources]
        self._unknown = np.array([s.first for s in sources], dtype=np.int64).reshape(-1, 1)

    def of(self, facts: Facts) -> Ints:
        """Terms (booleans, N)."""
        flags = _stacked(self._names, facts)
        return self._unknown + np.equal(flags, flags) + np.greater(flags, 0.5)


class _Categories:
    """All categories at once, the channel last where it counts: the value or unknown."""

    def __init__(self, sources: Sequence[Source], *, channel: bool) -> None:
        self._hashes = [s.hashes for s in sources]
        self._names = [s.name for s in sources[: len(sources) - channel]]
        self._channel = channel
        self._unknown = np.array([s.first for s in sources], dtype=np.int64).reshape(-1, 1)

    def of(self, facts: Facts, channels: Coded, batch: BatchTerms) -> Ints:
        """Terms (categories, N)."""
        columns = [_coded(name, facts) for name in self._names]
        if self._channel:
            columns.append(channels)
        codes = np.empty((len(columns), facts.size), dtype=np.int64)
        for j, column in enumerate(columns):
            codes[j] = column.codes
        added = [batch.add(hashes, column.values) for hashes, column in zip(self._hashes, columns, strict=True)]
        first = np.array(added, dtype=np.int64).reshape(-1, 1)
        return np.where(codes < 0, self._unknown, codes + first)


def _set_terms(source: Source, facts: Facts, batch: BatchTerms) -> Ragged:
    """One term per member."""
    column = facts.columns.get(source.name)
    if column is None:
        return Ragged(indptr=np.zeros(facts.size + 1, dtype=np.int64), terms=np.empty(0, dtype=np.int64))
    if not isinstance(column, CodedSets):
        raise _other_kind(source.name, column)
    return Ragged(indptr=column.indptr, terms=column.codes + batch.add(source.hashes, column.values))


def _text_terms(source: Source, facts: Facts, batch: BatchTerms) -> Ragged:
    """One term per distinct word, each text read once however many rows hold it; "unknown" where there is none."""
    column = _coded(source.name, facts)
    bags = [words(text) for text in column.values]
    number = {word: i for i, word in enumerate(dict.fromkeys(word for bag in bags for word in bag))}
    first = batch.add(source.hashes, number)
    indptr = np.zeros(len(bags) + 2, dtype=np.int64)
    np.cumsum([1, *map(len, bags)], out=indptr[1:])
    terms = np.array([source.first, *(first + number[word] for bag in bags for word in bag)], dtype=np.int64)
    return gathered(Ragged(indptr=indptr, terms=terms), column.codes + 1)


def _stacked(names: Sequence[str], facts: Facts) -> Floats:
    """Number or boolean facts as rows (facts, N), NaN where unknown."""
    rows = np.empty((len(names), facts.size))
    for j, name in enumerate(names):
        column = facts.columns.get(name)
        if isinstance(column, Coded | CodedSets):
            raise _other_kind(name, column)
        rows[j] = np.nan if column is None else column
    return rows


def _coded(name: str, facts: Facts) -> Coded:
    """A category's or text's column; one where nothing is known if there is none."""
    column = facts.columns.get(name)
    if column is None:
        return Coded(codes=np.full(facts.size, -1, dtype=np.int64), values=())
    if not isinstance(column, Coded):
        raise _other_kind(name, column)
    return column


def _other_kind(name: str, column: object) -> InputError:
    return InputError("its column is of another kind than declared", where=name, got=type(column).__name__)
