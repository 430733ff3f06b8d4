"""Settings errors: each class of mistake names file, key, value got, what is allowed, and a hint where there is one."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Literal

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from msgspec import Meta

from bandit_nba.errors import SettingsError
from bandit_nba.settings import Settings, convert, load, nearest, parse, problems, seconds, version_of


class Inner(Settings, frozen=True, kw_only=True):
    id: str = ""
    share: Annotated[float, Meta(ge=0.0, le=1.0)] = 0.5
    above: Annotated[float, Meta(gt=0.0, le=1e9)] = 1.0
    bits: Annotated[int, Meta(ge=10, le=28)] = 18
    on: bool = False


class Outer(Settings, frozen=True, kw_only=True):
    kind: Literal["greedy", "squarecb"]
    inner: Inner = Inner()
    named: Mapping[Annotated[str, Meta(pattern="^[a-z][a-z0-9_]{0,63}$")], Inner] = {}
    listed: tuple[Inner, ...] = ()
    pair: tuple[float, float] = (0.0, 1.0)
    words: tuple[str, ...] = ()
    mixed: Mapping[str, float | str] = {}


@pytest.mark.parametrize(
    ("text", "where", "got", "allowed", "hint"),
    [
        ('kind = "squarcb"', "kind", "squarcb", '"greedy", "squarecb"', "squarecb"),
        ("kind = 3", "kind", 3, '"greedy", "squarecb"', ""),
        ("", "", None, 'kind = "greedy", "squarecb"', ""),
        ('kind = "greedy"\nsort = 1', "", "sort", "kind, inner, named, listed, pair, words, mixed", "known"),
        ('kind = "greedy"\ninner.shar = 0.1', "inner", "shar", "id, share, above, bits, on", "share"),
        ('kind = "greedy"\ninner.share = 1.5', "inner.share", 1.5, "a finite number from 0.0 to 1.0", ""),
        ('kind = "greedy"\ninner.share = "0.5"', "inner.share", "0.5", "from 0.0 to 1.0", "without quotes: 0.5"),
        ('kind = "greedy"\ninner.share = true', "inner.share", True, "from 0.0 to 1.0", ""),
        ('kind = "greedy"\ninner.share = nan', "inner.share", None, "a finite number from 0.0 to 1.0", ""),
        ('kind = "greedy"\ninner.above = 0.0', "inner.above", 0.0, "above 0.0, at most 1,000,000,000.0", ""),
        (f'kind = "greedy"\ninner.above = 1{"0" * 400}', "inner.above", 10**400, "above 0.0", ""),
        ('kind = "greedy"\ninner.bits = 40', "inner.bits", 40, "a whole number from 10 to 28", ""),
        ('kind = "greedy"\ninner.bits = 18.5', "inner.bits", 18.5, "a whole number from 10 to 28", ""),
        ('kind = "greedy"\ninner.on = "true"', "inner.on", "true", "true or false", "without quotes: true"),
        ('kind = "greedy"\ninner = 3', "inner", 3, "a table", ""),
        ('kind = "greedy"\n[named.x]\nshare = 2', "named.x.share", 2, "from 0.0 to 1.0", ""),
        ('kind = "greedy"\n[named.X]', "named.X", "X", "lower-case letters, digits and _", ""),
        ('kind = "greedy"\n[[listed]]\n[[listed]]\nid = "b"\nbits = 1', 'listed[1] "b".bits', 1, "from 10 to 28", ""),
        ('kind = "greedy"\nlisted = 2026-01-01', "listed", "2026-01-01", "a list, each item a table", ""),
        ('kind = "greedy"\npair = [0.0]', "pair", [0.0], "a list of a finite number and a finite number", ""),
        ('kind = "greedy"\npair = [0.0, inf]', "pair[1]", float("inf"), "a finite number", ""),
        ('kind = "greedy"\nwords = "web"', "words", "web", "a list, each item text", 'brackets: ["web"]'),
        ('kind = "greedy"\nwords = [1]', "words[0]", 1, "text", 'quotes: "1"'),
        ('kind = "greedy"\nmixed.a = true', "mixed.a", True, "a finite number or text", 'quotes: "true"'),
    ],
)
def test_each_mistake_names_file_key_value_allowed_and_hint(
    text: str, where: str, got: object, allowed: str, hint: str
) -> None:
    with pytest.raises(SettingsError) as caught:
        parse(text, Outer, where="x.toml")

    error = caught.value
    assert error.where == (f"x.toml: {where}" if where else "x.toml")
    assert error.got == got or got is None
    assert allowed in error.allowed
    assert hint in error.hint
    assert bool(hint) == bool(error.hint)


def test_every_mistake_is_found_not_only_the_first() -> None:
    data = {"kind": "x", "inner": {"bits": 1, "on": 0}, "listed": [{"share": -1.0}]}

    found = [error.where for error in problems(data, Outer, where="f")]

    assert found == ["f: kind", "f: inner.bits", "f: inner.on", "f: listed[0].share"]


def test_sound_data_has_no_problems() -> None:
    data = {"kind": "greedy", "inner": {"share": 1}, "pair": [1, 2.5], "mixed": {"a": 1, "b": "x"}}

    assert list(problems(data, Outer, where="f")) == []
    assert convert(data, Outer, where="f").inner.share == 1.0


@pytest.mark.parametrize(
    ("text", "line", "hint"),
    [
        ("a = 1\nb = [", 2, "quotes"),
        ("a = 1\na = 2", 2, "twice"),
        ("[t]\nx = 1\n[t]", 3, "twice"),
        ('p = "C:\\Users"', 1, "backslash"),
        ("x = yes", 1, "quotes"),
        ("x = 01", 1, ""),
        ("\x00", 1, ""),
        ("x = " + "9" * 5_000, 1, ""),
    ],
)
def test_toml_errors_name_the_line(text: str, line: int, hint: str) -> None:
    with pytest.raises(SettingsError) as caught:
        parse(text, Outer, where="x.toml")

    assert caught.value.where == f"x.toml: line {line}"
    assert hint in caught.value.hint


@pytest.mark.parametrize("text", ["x = " + "[" * 20_000, "x = " + "{a=" * 20_000])
def test_bottomless_nesting_is_an_error_not_a_crash(text: str) -> None:
    with pytest.raises(SettingsError):
        parse(text, Outer, where="x.toml")


def test_a_missing_file_is_named_with_the_command_that_writes_it(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="nba init") as caught:
        load(tmp_path / "policy.toml", Outer)

    assert caught.value.where == str(tmp_path / "policy.toml")


@pytest.mark.parametrize("content", [b"\xff\xfe", b"a = '\xe9'"])
def test_a_file_that_is_not_utf8_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "policy.toml"
    path.write_bytes(content)

    with pytest.raises(SettingsError, match="TOML in UTF-8"):
        load(path, Outer)


def test_a_byte_order_mark_and_windows_lines_are_fine(tmp_path: Path) -> None:
    path = tmp_path / "policy.toml"
    path.write_bytes(b'\xef\xbb\xbfkind = "greedy"\r\n[inner]\r\nbits = 12\r\n')

    assert load(path, Outer).inner.bits == 12


_LEAF = st.none() | st.booleans() | st.integers() | st.floats() | st.sampled_from(["", "greedy", "a b"])
_INNER = st.dictionaries(st.sampled_from(["id", "share", "above", "bits", "on", "z"]), _LEAF, max_size=3) | _LEAF
_OUTER = {
    "inner": _INNER,
    "named": st.dictionaries(st.sampled_from(["a", "A"]), _INNER, max_size=2) | _LEAF,
    "listed": st.lists(_INNER, max_size=2) | _LEAF,
    "pair": st.lists(_LEAF, min_size=1, max_size=3),
    "words": st.lists(_LEAF, max_size=2),
    "mixed": st.dictionaries(st.sampled_from(["a", "b"]), _LEAF, max_size=2),
    "z": _LEAF,
}


@hypothesis_settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])  # a busy machine is no failure
@given(st.fixed_dictionaries({}, optional={"kind": st.just("greedy") | _LEAF, **_OUTER}))
def test_any_data_becomes_settings_or_a_settings_error_that_finds_the_place(data: dict[str, object]) -> None:
    """The walk over the type and msgspec agree on what is wrong."""
    found = list(problems(data, Outer, where="f"))
    try:
        convert(data, Outer, where="f")
    except SettingsError:
        assert found
    else:
        assert not found


@pytest.mark.parametrize(
    ("duration", "expected"),
    [
        ("PT30S", 30.0),
        ("PT0.5S", 0.5),
        ("PT30M", 1_800.0),
        ("PT12H", 43_200.0),
        ("P7D", 604_800.0),
        ("P1DT1H", 90_000.0),
    ],
)
def test_durations(duration: str, expected: float) -> None:
    assert seconds(duration, where="w") == expected


@pytest.mark.parametrize(
    "duration",
    ["", "P", "PT", "P1DT", "PT0S", "-PT1S", "30m", "P1M", "P1Y", "PT1S\n", "P4000D", "PT" + "9" * 400 + "S", "P١D"],
)
def test_unusable_durations_are_refused(duration: str) -> None:
    with pytest.raises(SettingsError, match="ISO-8601"):
        seconds(duration, where="service.toml: channels.web.valid_for")


def test_a_sloppy_duration_gets_the_right_one_as_a_hint() -> None:
    with pytest.raises(SettingsError, match='did you mean "PT30M"'):
        seconds("30 min".replace(" ", ""), where="w")
    with pytest.raises(SettingsError, match='did you mean "P7D"'):
        seconds("7d", where="w")


def test_nearest_names_what_is_like_it_or_lists_what_is_there() -> None:
    assert nearest("tenure", ["tenure_months", "age"]) == 'did you mean "tenure_months"?'
    assert nearest("zzz", ["b", "a"]) == "known: a, b"
    assert nearest("zzz", []) == "there is none"


def test_a_version_names_content_not_order() -> None:
    assert version_of({"a": 1, "b": 2}) == version_of({"b": 2, "a": 1})
    assert version_of({"a": 1}) != version_of({"a": 2})
