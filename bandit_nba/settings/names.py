"""Hints for misspelt names."""

import difflib
from collections.abc import Iterable


def nearest(name: str, names: Iterable[object]) -> str:
    """A hint that names the most similar of `names`, or lists them."""
    known = sorted(str(n) for n in names)
    close = difflib.get_close_matches(name[:100], known, n=3, cutoff=0.5)
    if close:
        return "did you mean " + " or ".join(f'"{c}"' for c in close) + "?"
    more = ", ..." if len(known) > 20 else ""
    return "known: " + ", ".join(known[:20]) + more if known else "there is none"
