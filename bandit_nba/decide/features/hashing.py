"""Vowpal Wabbit's feature hash, so that whoever decides needs no Vowpal Wabbit, and a cache of it per fact.

VW hashes a namespace's name and a feature's text with MurmurHash3 (x86, 32 bits): the text's seed is the hash of the
namespace, whose own seed is 0. Two habits of VW's text parser are left out, since features are pushed by index: it
strips blanks and control characters (bytes up to 0x20) at both ends of a text, and it reads a text of digits alone as a
number. A text written for VW's command line differs from ours exactly there; the second never happens, as every text
begins with a name that is not a number.
"""

import mmh3

CACHE_ENTRIES = 4_096
CACHE_TEXT = 200  # characters; longer values are hashed anew each time, so that a cache stays below two megabytes
SHOWN_TEXT = 100


def namespace_hash(letter: str) -> int:
    """The seed of all features in a namespace, 0 to 2^32 - 1."""
    return mmh3.hash(letter.encode(), 0, signed=False)


def feature_hash(text: str, *, seed: int) -> int:
    """The hash of a feature's text in the namespace with this seed, 0 to 2^32 - 1, before it is cut to a model's bits.

    Any string has one: half a surrogate pair, which JSON can carry, counts with its three bytes.
    """
    return mmh3.hash(text.encode("utf-8", "surrogatepass"), seed, signed=False)


class ValueHashes:
    """Hash and shown name of `fact=value` for one fact; each value seen lately is looked up, not hashed."""

    def __init__(self, fact: str, letter: str) -> None:
        self._letter = letter
        self._prefix = f"{fact}="
        self._seed = namespace_hash(letter)
        self._known: dict[str, tuple[int, str, str]] = {}

    def of(self, value: str) -> tuple[int, str, str]:
        """(hash, name, namespace); the name is cut to 100 characters of the value, the hash is over all of it."""
        found = self._known.get(value)
        return found if found is not None else self._hashed(value)

    def _hashed(self, value: str) -> tuple[int, str, str]:
        shown = value if len(value) <= SHOWN_TEXT else value[:SHOWN_TEXT] + "…"
        entry = feature_hash(self._prefix + value, seed=self._seed), self._prefix + shown, self._letter
        if len(value) <= CACHE_TEXT:
            if len(self._known) >= CACHE_ENTRIES:
                self._known = {}  # a new dictionary: another thread may still read the old one
            self._known[value] = entry
        return entry
