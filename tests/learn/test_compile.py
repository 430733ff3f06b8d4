"""Compiled scores against Vowpal Wabbit's own, the same to the bit in any batch, and taken apart exactly."""

import subprocess
import sys
from dataclasses import replace
from itertools import combinations_with_replacement

import numpy as np
import pytest
from vowpal_wabbit_next import TextFormatParser, Workspace

from bandit_nba.decide.columns import Floats
from bandit_nba.decide.features.hashing import feature_hash, namespace_hash
from bandit_nba.decide.policy import FeatureSettings, Learning
from bandit_nba.decide.scoring import FeatureRows
from bandit_nba.errors import ModelError, SettingsError
from bandit_nba.learn.compile import CompiledScorer
from bandit_nba.learn.sparse import SparseWeights
from bandit_nba.learn.tuples import tuples
from bandit_nba.learn.vowpal import VowpalRegressor
from tests.learn.random_rows import part, random_rows

CROSSES: list[tuple[str, ...]] = [
    ("UA", "RA"),
    ("UA",),
    ("AU", "RA"),
    ("UA", "AU"),
    ("URA", "UA"),
    ("RUA",),
    ("UAR", "RA"),
    ("ARU",),
    ("UR", "UA"),
    ("UU", "UA"),
    ("UUA", "RA"),
    ("UAU",),
    ("RRU", "URU"),
    ("UUU",),
    ("AA", "UA"),
    ("UAA", "RA"),
    ("AAA", "RAA"),
    (),
]


OPTIONS: list[dict[str, float | bool | str]] = [
    {},
    {"coin": True},
    {"coin": True, "ftrl_alpha": 2.0},
    {"ftrl": True, "ftrl_alpha": 0.1},
    {"sgd": True, "learning_rate": 0.01},
    {"adaptive": True, "power_t": 0.3},
    {"normalized": True, "invariant": True},
    {"noconstant": True},
    {"ignore_linear": "U"},
    {"ignore_linear": "URA", "noconstant": True, "coin": True},
]


def learned(
    rng: np.random.Generator, features: FeatureSettings, learning: Learning, *, examples: int = 50
) -> tuple[VowpalRegressor, FeatureRows, FeatureRows]:
    """A model with contexts and arms of the vocabularies that it knows."""
    arms = random_rows(rng, int(rng.integers(1, 8)), "A", most=3, vocabulary=8, numeric=0.3)
    contexts = random_rows(rng, examples + 30, "UR", most=6, vocabulary=15, numeric=0.4)
    regressor = VowpalRegressor(features, learning)
    chosen = rng.integers(len(arms), size=examples)
    regressor.learn(part(contexts, list(range(examples))), arms, chosen, rng.integers(-3, 4, examples) / 2.0)
    return regressor, contexts, arms


def compiled(regressor: VowpalRegressor, features: FeatureSettings, learning: Learning) -> CompiledScorer:
    """Through the bytes that are published."""
    weights = SparseWeights.from_bytes(regressor.weights().to_bytes())
    return CompiledScorer(weights, features, learning, version="m", examples_learned=regressor.examples_learned)


def sizes(scorer: CompiledScorer, contexts: FeatureRows, arms: FeatureRows) -> Floats:
    """The sum of |terms| of every score."""
    return np.array([np.abs(scorer.terms(contexts, arms, i).contributions).sum(axis=0) for i in range(len(contexts))])


PAIRED = [(crosses, OPTIONS[(i + j) % len(OPTIONS)]) for i, crosses in enumerate(CROSSES) for j in (0, 3, 7)]


@pytest.mark.parametrize(("crosses", "options"), PAIRED, ids=str)
def test_scores_are_vowpal_wabbits_own(crosses: tuple[str, ...], options: dict[str, float | bool | str]) -> None:
    """|difference| <= 1e-5 of the sum of |terms|: VW adds in single precision. Narrow models collide on purpose."""
    rng = np.random.default_rng([len(crosses), *map(ord, "".join(crosses)), len(str(options))])
    learning = Learning(options=options)
    features = FeatureSettings(interactions=crosses, bits=int(rng.choice([10, 11, 14, 18])))
    regressor, contexts, arms = learned(rng, features, learning)
    scorer = compiled(regressor, features, learning)

    ours, theirs = scorer.score(contexts, arms), regressor.predict(contexts, arms)

    assert (np.abs(ours - theirs) <= 1e-5 * sizes(scorer, contexts, arms)).all()
    assert np.abs(theirs).max() > 1e-3


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(300))
def test_scores_of_random_models_are_vowpal_wabbits_own(seed: int) -> None:
    """Random crosses, options and widths of 10 to 24 bits."""
    rng = np.random.default_rng(seed)
    letters = ["".join(p) for n in (2, 3) for p in combinations_with_replacement("URA", n)]
    shuffled = ["".join(rng.permutation(list(s))) for s in rng.choice(letters, rng.integers(0, 5))]
    learning = Learning(options=OPTIONS[int(rng.integers(len(OPTIONS)))])
    features = FeatureSettings(interactions=tuple(shuffled), bits=int(rng.integers(10, 25)))
    regressor, contexts, arms = learned(rng, features, learning, examples=int(rng.integers(1, 200)))
    scorer = compiled(regressor, features, learning)

    ours, theirs = scorer.score(contexts, arms), regressor.predict(contexts, arms)

    assert (np.abs(ours - theirs) <= 1e-5 * sizes(scorer, contexts, arms)).all()


@pytest.mark.parametrize("crosses", [("UA", "RA"), ("URA", "UUA")], ids=str)
def test_scores_are_those_of_the_model_file_read_by_vowpal_wabbit_with_text(crosses: tuple[str, ...]) -> None:
    """Without any of our code on VW's side: the stored model, and plain text parsed by VW."""
    rng = np.random.default_rng(7)
    features = FeatureSettings(interactions=crosses, bits=18)
    regressor, contexts, arms = learned(rng, features, Learning())
    lists = [[f"{n}=v{i}" for i in range(3)] for n in ("arm", "seg", "day")]
    arms, contexts = (
        FeatureRows(
            indptr=np.arange(len(rows) + 1) * len(rows[0]),
            terms=np.arange(len(rows) * len(rows[0])),
            values=np.ones(len(rows) * len(rows[0])),
            hashes=np.array([feature_hash(t, seed=namespace_hash(n)) for row in rows for n, t in row], dtype=np.uint32),
            namespaces="".join(n for row in rows for n, _ in row),
            names=tuple(t for row in rows for _, t in row),
        )
        for rows in (
            [[("A", arm)] for arm in lists[0]],
            [[("U", seg), ("R", day)] for seg in lists[1] for day in lists[2]],
        )
    )
    regressor.learn(contexts, arms, np.arange(9) % 3, np.linspace(-1, 1, 9))
    vw = Workspace(["--quiet"], model_data=regressor.serialize())
    parser = TextFormatParser(vw)
    scorer = compiled(regressor, features, Learning())
    ours = scorer.score(contexts, arms)

    for i in range(9):
        lines = [f"shared |U {contexts.names[2 * i]} |R {contexts.names[2 * i + 1]}", *(f"|A {a}" for a in arms.names)]
        theirs = dict(vw.predict_one([parser.parse_line(line) for line in lines]))
        assert [-theirs[k] for k in range(3)] == pytest.approx(ours[i], rel=1e-4, abs=1e-6)


def test_the_formula_by_hand() -> None:
    """One context of two terms, one arm of two, every weight a different power of two: no other sum gives this one."""
    bits, mask = 20, (1 << 20) - 1
    u, r, a, b = (feature_hash(t, seed=namespace_hash(n)) for n, t in (("U", "u"), ("R", "r"), ("A", "a"), ("A", "b")))

    def crossed(*hashes: int) -> int:
        result = hashes[0]
        for h in hashes[1:]:
            result = (result * 16_777_619) ^ h
        return result & mask

    places = [11_650_396 & mask, u & mask, r & mask, a & mask, b & mask]
    places += [crossed(u, a), crossed(u, b), crossed(a, r), crossed(b, r), crossed(u, r, a), crossed(u, r, b)]
    slots = np.zeros(1 << bits, dtype=np.float32)
    for power, place in enumerate(places):
        assert slots[place] == 0.0
        slots[place] = -(2.0**power)
    vu, vr, va, vb = 2.0, -1.0, 0.5, 1.0
    expected = (
        1
        + vu * 2 + vr * 4 + va * 8 + vb * 16
        + vu * va * 32 + vu * vb * 64 + va * vr * 128 + vb * vr * 256
        + vu * vr * va * 512 + vu * vr * vb * 1024
    )  # fmt: skip
    contexts = FeatureRows(
        np.array([0, 2]), np.array([0, 1]), np.array([vu, vr]), np.array([u, r], np.uint32), "UR", ("u", "r")
    )
    arms = FeatureRows(
        np.array([0, 2]), np.array([0, 1]), np.array([va, vb]), np.array([a, b], np.uint32), "AA", ("a", "b")
    )
    features = FeatureSettings(interactions=("UA", "AR", "URA"), bits=bits)
    scorer = CompiledScorer(SparseWeights.of(slots), features, version="m", examples_learned=1)

    terms = scorer.terms(contexts, arms, 0)

    assert scorer.score(contexts, arms).tolist() == [[expected]]
    assert terms.names == ("constant", "arm", "u", "r", "u x r")
    assert terms.contributions[:, 0].tolist() == [
        1.0, va * 8 + vb * 16, vu * (2 + va * 32 + vb * 64), vr * (4 + va * 128 + vb * 256),
        vu * vr * (va * 512 + vb * 1024),
    ]  # fmt: skip


@pytest.mark.parametrize("crosses", [("UA", "RA"), ("URA", "UU", "AA")], ids=str)
@pytest.mark.parametrize("arm_count", [1, 2, 7, 20])
def test_a_score_is_the_same_to_the_bit_in_any_batch(crosses: tuple[str, ...], arm_count: int) -> None:
    rng = np.random.default_rng(arm_count)
    features = FeatureSettings(interactions=crosses, bits=12)
    contexts = random_rows(rng, 5_000, "UR", most=13, vocabulary=40, numeric=0.5)
    arms = random_rows(rng, arm_count, "A", most=3, vocabulary=30, numeric=0.5)
    weights = SparseWeights.of(rng.normal(size=1 << 12).astype(np.float32))
    scorer = CompiledScorer(weights, features, version="m", examples_learned=1)
    whole = scorer.score(contexts, arms)
    fresh = CompiledScorer(weights, features, version="m", examples_learned=1)

    for picks in ([3], [0, 1], [4_999], list(range(77, 200)), list(range(4_999, 0, -7))):
        assert scorer.score(part(contexts, picks), arms).tobytes() == whole[picks].tobytes()
        assert fresh.score(part(contexts, picks), arms).tobytes() == whole[picks].tobytes()
    assert len(np.unique(whole)) > 1_000


def test_explanations_add_up_to_the_score() -> None:
    rng = np.random.default_rng(5)
    for crosses in (("UA", "RA"), ("URA", "UA", "UU"), ("UUU", "AA")):
        features = FeatureSettings(interactions=crosses, bits=14)
        regressor, contexts, arms = learned(rng, features, Learning())
        scorer = compiled(regressor, features, Learning())
        scores = scorer.score(contexts, arms)
        for i in range(len(contexts)):
            terms = scorer.terms(contexts, arms, i)
            size = np.abs(terms.contributions).sum(axis=0)
            assert (np.abs(terms.contributions.sum(axis=0) - scores[i]) <= 1e-14 * size * len(terms.names)).all()
            here = contexts.terms[contexts.indptr[i] : contexts.indptr[i + 1]]
            assert terms.names[: 2 + len(here)] == ("constant", "arm", *(contexts.names[t] for t in here))
            assert terms.contributions.shape == (len(terms.names), len(arms))


def test_one_hash_in_two_namespaces_is_two_terms() -> None:
    rng = np.random.default_rng(10)
    features = FeatureSettings(interactions=("UA",), bits=12)
    weights = SparseWeights.of(rng.normal(size=1 << 12).astype(np.float32))
    arms = random_rows(rng, 4, "A", most=3, vocabulary=9, numeric=0.5)
    hashes = np.array([77, 77], dtype=np.uint32)
    both = FeatureRows(np.array([0, 1, 2]), np.array([0, 1]), np.ones(2), hashes, "UR", ("u", "r"))
    scorer = CompiledScorer(weights, features, version="m", examples_learned=1)
    from_u, from_r = (scorer.terms(both, arms, i).contributions[2] for i in (0, 1))

    assert scorer.score(both, arms).tolist() == [
        scorer.score(part(both, [0]), arms)[0].tolist(), scorer.score(part(both, [1]), arms)[0].tolist(),
    ]  # fmt: skip
    assert from_r.tolist() == [-float(weights.slots()[77])] * 4
    assert (from_u != from_r).any()


def test_edges_of_size() -> None:
    rng = np.random.default_rng(9)
    features = FeatureSettings(interactions=("UA", "URA"), bits=10)
    scorer = CompiledScorer(
        SparseWeights.of(rng.normal(size=1 << 10).astype(np.float32)), features, version="m", examples_learned=1
    )
    arms = random_rows(rng, 3, "A", most=2, vocabulary=4, numeric=0.0)
    nothing = FeatureRows(np.array([0, 0]), np.zeros(0, np.int64), np.zeros(0), np.zeros(0, np.uint32), "", ())

    assert scorer.score(part(nothing, []), arms).shape == (0, 3)
    assert scorer.score(nothing, arms).tolist() == [scorer.terms(nothing, arms, 0).contributions.sum(axis=0).tolist()]
    assert scorer.score(nothing, nothing).shape == (1, 1)


@pytest.mark.parametrize(
    ("letters", "expected"),
    [
        ("U", [(0,), (2,)]),
        ("UR", [(0, 1), (0, 3), (2, 1), (2, 3)]),
        ("RU", [(1, 0), (1, 2), (3, 0), (3, 2)]),
        ("UU", [(0, 0), (0, 2), (2, 2)]),
        ("UUR", [(0, 0, 1), (0, 0, 3), (0, 2, 1), (0, 2, 3), (2, 2, 1), (2, 2, 3)]),
        ("UUU", [(0, 0, 0), (0, 0, 2), (0, 2, 2), (2, 2, 2)]),
    ],
)
def test_tuples_by_hand(letters: str, expected: list[tuple[int, ...]]) -> None:
    """Two equal rows u0 r1 u2 r3 around an empty one; the value of term i is i + 1."""
    indptr, terms, values = np.array([0, 4, 4, 8]), np.array([0, 1, 2, 3] * 2), np.array([1.0, 2.0, 3.0, 4.0] * 2)
    rows = FeatureRows(indptr, terms, values, np.zeros(4, np.uint32), "URUR", ("u0", "r1", "u2", "r3"))
    found = tuples(rows, letters)
    members = np.array([member[found.ids] for member in found.members]).T.tolist()

    assert found.indptr.tolist() == [0, len(expected), len(expected), 2 * len(expected)]
    assert [tuple(m) for m in members] == expected * 2
    assert found.values.tolist() == [float(np.prod([t + 1 for t in pair])) for pair in expected * 2]
    assert all(len(member) == len(set(expected)) for member in found.members)


def test_refusals() -> None:
    weights = SparseWeights.of(np.zeros(1 << 10, dtype=np.float32))
    features = FeatureSettings(bits=10)
    rows = random_rows(np.random.default_rng(1), 3, "A", most=2, vocabulary=4, numeric=0.0)

    with pytest.raises(ModelError, match="another width"):
        CompiledScorer(weights, FeatureSettings(bits=11), version="m", examples_learned=1)
    with pytest.raises(SettingsError, match="shrinkage"):
        CompiledScorer(weights, features, Learning(options={"l2": 1e-6}), version="m", examples_learned=1)
    with pytest.raises(ModelError, match="namespace"):
        CompiledScorer(weights, features, version="m", examples_learned=1).score(rows, replace(rows, namespaces="UAAA"))
    with pytest.raises(ModelError, match="namespace"):
        CompiledScorer(weights, features, version="m", examples_learned=1).score(rows, rows)


def test_scoring_loads_no_vowpal_wabbit() -> None:
    code = "import sys, bandit_nba.learn.compile; sys.exit('vowpal_wabbit_next' in sys.modules)"

    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
