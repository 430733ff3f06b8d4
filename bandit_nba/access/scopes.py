"""What a key may be good for. Scopes do not imply each other: a key has exactly those that it was given."""

from collections.abc import Iterable
from typing import Literal, get_args

from bandit_nba.errors import InputError
from bandit_nba.settings import nearest

Scope = Literal["decide", "outcome", "read", "report", "customers", "privacy", "admin"]

MEANINGS: dict[Scope, str] = {
    "decide": "ask for decisions, activate them, and record what an employee did instead",
    "outcome": "tell what customers did",
    "read": "look at decisions, explanations, the catalogue and models",
    "report": "read status and metrics",
    "customers": "import and look at profiles",
    "privacy": "export and erase what is known of a customer",
    "admin": "change what serves: catalogue, models, settings",
}
SCOPES: tuple[Scope, ...] = get_args(Scope)


def scopes_of(names: Iterable[str]) -> frozenset[Scope]:
    """The scopes of these names.

    Raises
    ------
    InputError
        If there is none, or one that is not known.
    """
    found = set()
    for name in names:
        if name not in SCOPES:
            raise InputError(
                "unknown scope", where="scope", got=name, allowed=", ".join(SCOPES), hint=nearest(name, SCOPES)
            )
        found.add(name)
    if not found:
        raise InputError("no scope was named", where="scope", allowed=", ".join(SCOPES))
    return frozenset(found)
