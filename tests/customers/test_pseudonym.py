"""Pseudonyms: keyed, repeatable, and silent about the id they stand for."""

import hashlib

import pytest

from bandit_nba.customers.pseudonym import pseudonym
from bandit_nba.errors import InputError

KEY = bytes(range(32))


def test_is_keyed_blake2b_of_16_bytes() -> None:
    expected = hashlib.blake2b(b"kunde 7", key=KEY, digest_size=16).hexdigest()

    assert pseudonym(KEY, "kunde 7") == expected
    assert len(expected) == 32


def test_another_key_gives_another_pseudonym() -> None:
    assert pseudonym(KEY, "a") != pseudonym(KEY[::-1], "a")


def test_nobody_stays_nobody() -> None:
    assert pseudonym(KEY, "") == ""


@pytest.mark.parametrize("raw_id", ["x" * 1_025, "secret\ud800"])
def test_hostile_ids_are_refused_without_being_shown(raw_id: str) -> None:
    with pytest.raises(InputError) as caught:
        pseudonym(KEY, raw_id)

    assert raw_id not in str(caught.value)


@pytest.mark.parametrize("raw_id", ["\x00", "a b|c:d\n", "'\"", "é", "\N{GRINNING FACE}" * 500])
def test_any_text_is_an_id(raw_id: str) -> None:
    assert len(pseudonym(KEY, raw_id)) == 32
