"""Free text as a bounded bag of words."""

import re

READ = 20_000  # characters of a text that are looked at
WORDS = 200  # distinct words that become features
WORD = 64  # characters of a word that count

_WORD = re.compile(r"\w+")


def words(text: str) -> tuple[str, ...]:
    """The distinct words of a text in lower case, in the order of their first appearance.

    Only the first 20,000 characters are read, only the first 200 distinct words kept, only the first 64 characters of a
    word count: a text of a megabyte costs no more than a page.
    """
    found: dict[str, None] = {}
    for match in _WORD.finditer(text[:READ].lower()):
        found[match.group()[:WORD]] = None
        if len(found) == WORDS:
            break
    return tuple(found)
