import hashlib

import pytest

from bandit_nba.access.key import SECRET_BYTES, Key, fits, new_key, parsed


def test_a_key_survives_being_written_and_read():
    key = new_key()

    assert parsed(key.text) == key
    assert key.text.startswith(f"nba_{key.id}_")
    assert len(key.secret) == SECRET_BYTES


def test_keys_differ_and_printing_one_shows_no_secret():
    keys = [new_key() for _ in range(100)]

    assert len({key.secret for key in keys}) == len({key.id for key in keys}) == 100
    assert keys[0].text.split("_", 2)[2] not in repr(keys[0])


def test_the_store_keeps_the_sha256_of_the_secret():
    key = Key("0123456789ab", bytes(range(32)))

    assert key.digest == hashlib.sha256(bytes(range(32))).digest()
    assert fits(key, key.digest)
    assert not fits(Key(key.id, bytes(32)), key.digest)
    assert not fits(key, None)


GOOD = Key("0123456789ab", bytes(range(32))).text


@pytest.mark.parametrize(
    "text",
    [
        "",
        "nba",
        GOOD[:-1],
        GOOD + "A",
        GOOD.replace("nba_", "NBA_"),
        GOOD[:-1] + "=",
        GOOD[:-1] + "é",
        GOOD.replace("_0123456789ab_", "_0123456789_ab"),
        GOOD[:-1] + chr(ord(GOOD[-1]) + 1),  # the same bytes in another spelling
        " " + GOOD[1:],
        GOOD[:20] + "!" + GOOD[21:],
    ],
)
def test_what_is_no_key_is_none(text):
    assert parsed(text) is None
