"""Facts and arms as features: by hand, against Vowpal Wabbit's own hash, and under hostile values."""

import math
import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from vowpal_wabbit_next import TextFormatParser, Workspace

from bandit_nba.catalogue import Action, Arm, FactSchema, Treatment
from bandit_nba.catalogue.facts import FactValue
from bandit_nba.decide.columns import Coded, Facts
from bandit_nba.decide.features.featuriser import LIMIT, Featuriser
from bandit_nba.decide.features.hashing import CACHE_ENTRIES, ValueHashes, feature_hash, namespace_hash
from bandit_nba.decide.features.words import WORD, WORDS, words
from bandit_nba.decide.policy import FeatureSettings, Number
from bandit_nba.decide.scoring import FeatureRows
from bandit_nba.errors import InputError, SettingsError

SCHEMA: FactSchema = {
    "contract": "category",
    "age": "number",
    "senior": "boolean",
    "owned": "set",
    "note": "text",
    "basket": "number",
}
HOSTILE = st.text(
    alphabet=st.one_of(
        st.sampled_from("|: \n\t\r'\"\\=?\x00\x1f\x7f\u2028é中"), st.characters(exclude_categories=["Cs"])
    ),
    max_size=20,
)
MASK_28 = (1 << 28) - 1


@pytest.fixture(scope="module")
def vw() -> Workspace:
    return Workspace(["--cb_adf", "--bit_precision", "28", "--quiet"])


def featurised(
    rows: list[dict[str, FactValue | None]],
    settings: FeatureSettings,
    *,
    channel: str = "web",
    schema: FactSchema = SCHEMA,
) -> FeatureRows:
    channels = Coded(codes=np.zeros(len(rows), dtype=np.int64), values=(channel,))
    return Featuriser(settings, schema).contexts(Facts.from_rows(rows, schema), channels)


def terms(rows: FeatureRows, i: int) -> list[tuple[str, str, float]]:
    """Row i as sorted (letter, name, value)."""
    here = slice(int(rows.indptr[i]), int(rows.indptr[i + 1]))
    return sorted(
        (rows.namespaces[t], rows.names[t], v)
        for t, v in zip(rows.terms[here].tolist(), rows.values[here], strict=True)
    )


ALL = FeatureSettings(
    customer=("contract", "age", "senior", "owned", "note"),
    request=("basket",),
    numbers={"age": Number(scale=10.0, bins=(30.0, 60.0))},
)


def test_every_kind_by_hand() -> None:
    row: dict[str, FactValue | None] = {
        "contract": "One year", "age": 30.0, "senior": True, "owned": ("phone", "tv"), "note": "Too dear, TOO late",
        "basket": -2.5,
    }  # fmt: skip

    assert terms(featurised([row], ALL), 0) == [
        ("R", "basket", -2.5),
        ("R", "channel=web", 1.0),
        ("U", "age", 3.0),
        ("U", "age=30..60", 1.0),
        ("U", "contract=One year", 1.0),
        ("U", "note=dear", 1.0),
        ("U", "note=late", 1.0),
        ("U", "note=too", 1.0),
        ("U", "owned=phone", 1.0),
        ("U", "owned=tv", 1.0),
        ("U", "senior=true", 1.0),
    ]


def test_unknown_facts_have_their_own_indicator_and_unknown_sets_nothing() -> None:
    expected = [
        ("R", "basket?", 1.0),
        ("R", "channel=web", 1.0),
        ("U", "age?", 1.0),
        ("U", "contract?", 1.0),
        ("U", "note?", 1.0),
        ("U", "senior?", 1.0),
    ]

    assert terms(featurised([{}], ALL), 0) == expected
    assert terms(featurised([dict.fromkeys(SCHEMA)], ALL), 0) == expected


def test_unknown_beside_known_rows() -> None:
    rows = featurised([{"age": 5.0, "owned": ("tv",), "note": ""}, {}, {"senior": False, "contract": ""}], ALL)

    names = [[name for _, name, _ in terms(rows, i)] for i in range(3)]

    assert names == [
        ["basket?", "channel=web", "age", "age=..30", "contract?", "owned=tv", "senior?"],
        ["basket?", "channel=web", "age?", "contract?", "note?", "senior?"],
        ["basket?", "channel=web", "age?", "contract=", "note?", "senior=false"],
    ]


@pytest.mark.parametrize(
    ("age", "bin"),
    [
        (-1e15, "..30"),
        (math.nextafter(30, 0), "..30"),
        (30.0, "30..60"),
        (59.9, "30..60"),
        (60.0, "60.."),
        (1e15, "60.."),
    ],
)
def test_bins_hold_their_left_edge(age: float, bin: str) -> None:  # noqa: A002 - the word of the settings
    found = {name for _, name, _ in terms(featurised([{"age": age}], ALL), 0) if name.startswith("age=")}

    assert found == {f"age={bin}"}


def test_numbers_are_single_precision_and_held_within_a_million() -> None:
    settings = FeatureSettings(customer=("age",), channel=False)
    rows = featurised([{"age": 0.1}, {"age": 1e15}, {"age": -1e15}], settings)

    assert rows.values.tolist() == [float(np.float32(0.1)), LIMIT, -LIMIT]
    assert float(np.float32(LIMIT**3)) ** 2 < np.finfo(np.float32).max


def test_a_row_has_the_same_features_alone_and_in_any_batch() -> None:
    rng = np.random.default_rng(1)
    rows = [_random_row(rng) for _ in range(60)]
    together = featurised(rows, ALL)

    for i, row in enumerate(rows):
        alone = featurised([row], ALL)
        assert terms(alone, 0) == terms(together, i)
        assert alone.hashes[alone.terms].tolist() == together.hashes[together.terms[_slice(together, i)]].tolist()


def _slice(rows: FeatureRows, i: int) -> slice:
    return slice(int(rows.indptr[i]), int(rows.indptr[i + 1]))


def _random_row(rng: np.random.Generator) -> dict[str, FactValue | None]:
    row: dict[str, FactValue | None] = {
        "contract": str(rng.integers(4)),
        "age": float(rng.normal()),
        "senior": bool(rng.integers(2)),
        "owned": tuple(sorted({str(x) for x in rng.integers(5, size=rng.integers(4))})),
        "note": " ".join(str(x) for x in rng.integers(9, size=rng.integers(6))),
        "basket": float(rng.integers(3)),
    }
    return {name: value for name, value in row.items() if rng.random() < 0.8}


def test_views_of_a_batch_have_the_features_of_its_rows() -> None:
    rng = np.random.default_rng(2)
    facts = Facts.from_rows([_random_row(rng) for _ in range(40)], SCHEMA)
    channels = Coded(codes=rng.integers(-1, 2, 40), values=("web", "app"))
    featuriser = Featuriser(ALL, SCHEMA)
    whole = featuriser.contexts(facts, channels)

    part = featuriser.contexts(facts.take(13, 29), Coded(codes=channels.codes[13:29], values=channels.values))

    assert [terms(part, i) for i in range(16)] == [terms(whole, i) for i in range(13, 29)]


def test_no_features_at_all() -> None:
    rows = featurised([{}, {}], FeatureSettings(channel=False))

    assert (len(rows), rows.indptr.tolist(), len(rows.terms)) == (2, [0, 0, 0], 0)


def test_arms() -> None:
    plain = Action(id="sim", kind="offer", group="upsell", features={"price": 9.5, "term": "long"})
    formal = Treatment(id="formal", features={"price": 8.0})
    rows = Featuriser(ALL, SCHEMA).arms(
        [Arm(id="sim", action=plain), Arm(id="sim/formal", action=plain, treatment=formal)]
    )

    assert terms(rows, 0) == [
        ("A", "arm=sim", 1.0), ("A", "group=upsell", 1.0), ("A", "price", 9.5), ("A", "term=long", 1.0),
    ]  # fmt: skip
    assert terms(rows, 1) == [
        ("A", "action=sim", 1.0), ("A", "arm=sim/formal", 1.0), ("A", "group=upsell", 1.0), ("A", "price", 8.0),
        ("A", "term=long", 1.0), ("A", "treatment=formal", 1.0),
    ]  # fmt: skip


@pytest.mark.parametrize("name", ["arm", "group", "17", "a=b", "a?", "", "a b", "x" * 129])
def test_arm_features_cannot_pass_for_others(name: str) -> None:
    action = Action(id="a", kind="offer", group="g", features={name: 1.0})

    with pytest.raises(InputError):
        Featuriser(ALL, SCHEMA).arms([Arm(id="a", action=action)])


# Vowpal Wabbit's hash


@given(text=HOSTILE, letter=st.sampled_from("URA"))
@settings(max_examples=400, deadline=None)
def test_hashes_are_vowpal_wabbits(vw: Workspace, text: str, letter: str) -> None:
    """But for what VW's text parser strips: bytes up to 0x20 at the end (names begin with a letter)."""
    stripped = f"city={text}".rstrip("".join(map(chr, range(0x21))))
    theirs = vw.get_index_for_scalar_feature(stripped, namespace_name=letter)

    assert feature_hash(stripped, seed=namespace_hash(letter)) & MASK_28 == theirs


def test_blanks_at_the_end_are_kept_where_vowpal_wabbit_strips_them(vw: Workspace) -> None:
    seed = namespace_hash("U")

    assert feature_hash("city=x ", seed=seed) != feature_hash("city=x", seed=seed)
    assert vw.get_index_for_scalar_feature("city=x ", namespace_name="U") == feature_hash("city=x", seed=seed) & MASK_28


def test_pushed_rows_are_those_of_the_text_parser(vw: Workspace) -> None:
    row: dict[str, FactValue | None] = {"contract": "monthly", "age": 0.5, "senior": False, "owned": ("tv",)}
    rows = featurised([row], FeatureSettings(customer=("contract", "age", "senior", "owned")))
    example = TextFormatParser(vw).parse_line("|U contract=monthly age:0.5 senior=false owned=tv |R channel=web")

    for letter in "UR":
        ours = {
            (int(rows.hashes[t]) & MASK_28, v)
            for t, v in zip(rows.terms.tolist(), rows.values.tolist(), strict=True)
            if rows.namespaces[t] == letter
        }
        assert ours == set(zip(example[letter].indices, example[letter].values, strict=True))


@given(hostile=HOSTILE, member=HOSTILE, note=HOSTILE)
@settings(max_examples=200, deadline=None)
def test_values_change_nothing_but_themselves(hostile: str, member: str, note: str) -> None:
    plain: dict[str, FactValue | None] = {"contract": "plain", "age": 1.0, "owned": ("plain",), "note": "plain"}
    rows = featurised([plain, plain | {"contract": hostile, "owned": (member,), "note": note}], ALL)

    first, second = (set(terms(rows, i)) for i in range(2))
    fixed = {("U", "contract=plain", 1.0), ("U", "owned=plain", 1.0), ("U", "note=plain", 1.0)}
    added = second - (first - fixed)

    assert first - fixed <= second
    assert ("U", f"contract={hostile}", 1.0) in second
    assert all(name.startswith(("contract=", "owned=", "note=")) for _, name, _ in added)
    assert len(added) == 2 + len(words(note))


def test_half_a_surrogate_pair_is_a_value_like_others() -> None:
    rows = featurised([{"contract": "\ud800"}, {"contract": "\ud801"}], FeatureSettings(customer=("contract",)))

    assert len(set(rows.hashes[rows.terms].tolist())) == 3


def test_a_question_mark_is_not_unknown() -> None:
    rows = featurised([{"contract": "?"}, {}], FeatureSettings(customer=("contract",), channel=False))

    assert [terms(rows, i) for i in range(2)] == [[("U", "contract=?", 1.0)], [("U", "contract?", 1.0)]]


# Bounds


def test_a_megabyte_of_text_costs_no_more_than_a_page() -> None:
    """The bound holds by what is read; the clock only guards against reading it all, with room of a factor of 20."""
    page = " ".join(f"w{i}" for i in range(5_000))
    settings = FeatureSettings(customer=("note", "contract"), channel=False)
    start = time.process_time()
    rows = featurised([{"note": page * 40, "contract": "x" * 1_000_000}], settings)

    assert time.process_time() - start < 0.2
    assert len(rows.terms) == WORDS + 1
    assert max(map(len, rows.names)) < 120


def test_words_are_bounded_and_distinct() -> None:
    assert words("Ab ab, AB-c\nÄrger") == ("ab", "c", "ärger")
    assert words("x" * 1_000) == ("x" * WORD,)
    assert words(" " * 1_000_000 + "late") == ()


def test_long_values_differ_beyond_what_is_shown_and_are_not_kept() -> None:
    hashes = ValueHashes("f", "U")
    first, second = hashes.of("x" * 5_000 + "a"), hashes.of("x" * 5_000 + "b")

    assert first[0] != second[0]
    assert first[1] == second[1] == "f=" + "x" * 100 + "…"
    assert not hashes._known


def test_the_cache_of_values_is_bounded() -> None:
    hashes = ValueHashes("f", "U")
    expected = [hashes.of(str(i)) for i in range(3 * CACHE_ENTRIES)]

    assert len(hashes._known) <= CACHE_ENTRIES
    assert [hashes.of(str(i)) for i in range(3 * CACHE_ENTRIES)] == expected


def test_work_per_row_does_not_grow_with_the_batch() -> None:
    """At least 300,000 rows a second with 12 features: 5 to 10 million were measured, so only more work fails."""
    rng = np.random.default_rng(3)
    names = [f"f{i}" for i in range(11)]
    schema: FactSchema = dict.fromkeys(names, "category")
    columns = {name: Coded(codes=rng.integers(-1, 6, 100_000), values=tuple("abcdef")) for name in names}
    featuriser = Featuriser(FeatureSettings(customer=tuple(names)), schema)
    start = time.process_time()
    rows = featuriser.contexts(Facts(100_000, schema, columns), Coded(np.zeros(100_000, dtype=np.int64), ("web",)))

    assert time.process_time() - start < 100_000 / 300_000
    assert len(rows.terms) == 1_200_000


# Settings and versions


@pytest.mark.parametrize(
    ("settings", "words_of_error"),
    [
        (FeatureSettings(customer=("contrakt",)), 'did you mean "contract"'),
        (FeatureSettings(customer=("age",), request=("age",)), "stands twice"),
        (FeatureSettings(customer=("contract",), numbers={"contract": Number()}), "is not a number"),
        (FeatureSettings(customer=("age",), numbers={"basket": Number()}), "is not a number"),
        (FeatureSettings(customer=("age",), numbers={"age": Number(bins=(2.0, 1.0))}), "increasing"),
        (FeatureSettings(customer=("age",), numbers={"age": Number(bins=(1.0, 1.0))}), "increasing"),
        (FeatureSettings(customer=("age",), numbers={"age": Number(bins=(math.nan,))}), "increasing"),
        (FeatureSettings(customer=("age",), numbers={"age": Number(bins=tuple(range(101)))}), "at most 100"),
        (FeatureSettings(customer=("age",), numbers={"age": Number(scale=1e-300)}), "too small"),
        (FeatureSettings(customer=("channel",)), "channel = true adds it already"),
        (FeatureSettings(customer=("17",)), "is not a feature name"),
    ],
)
def test_settings_that_cannot_be_used(settings: FeatureSettings, words_of_error: str) -> None:
    schema: FactSchema = {**SCHEMA, "channel": "category", "17": "category"}

    with pytest.raises(SettingsError, match=words_of_error):
        Featuriser(settings, schema)


def test_a_fact_named_channel_stands_for_itself_where_the_channel_is_left_out() -> None:
    schema: FactSchema = {"channel": "category"}
    settings = FeatureSettings(customer=("channel",), channel=False)

    assert terms(featurised([{"channel": "tv"}], settings, schema=schema), 0) == [("U", "channel=tv", 1.0)]


@pytest.mark.parametrize("kind", ["number", "boolean", "category", "set", "text"])
def test_a_column_of_another_kind_is_refused(kind: str) -> None:
    schema: FactSchema = {"f": kind}  # type: ignore[dict-item] # the parameter is one of the literal's words
    wrong = Coded(np.zeros(1, np.int64), ("a",)) if kind in ("number", "boolean", "set") else np.zeros(1)
    featuriser = Featuriser(FeatureSettings(customer=("f",)), schema)

    with pytest.raises(InputError, match="another kind"):
        featuriser.contexts(Facts(1, schema, {"f": wrong}), Coded(np.zeros(1, np.int64), ("web",)))


def test_versions_name_what_features_depend_on() -> None:
    settings = FeatureSettings(customer=("contract",))
    same = Featuriser(settings, SCHEMA).version

    assert Featuriser(settings, {**SCHEMA, "new": "text"}).version == same
    assert Featuriser(settings, {**SCHEMA, "contract": "text"}).version != same
    assert Featuriser(FeatureSettings(customer=("contract",), bits=19), SCHEMA).version != same
