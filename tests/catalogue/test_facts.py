"""Many facts at once are checked as each alone."""

import math
from collections.abc import Mapping

import pytest

from bandit_nba.catalogue.facts import MAX_NUMBER, MAX_SET, MAX_TEXT, FactKind, all_checked, checked
from bandit_nba.errors import InputError

SCHEMA: Mapping[str, FactKind] = {"n": "number", "b": "boolean", "c": "category", "t": "text", "s": "set"}
VALUES: list[object] = [None, 0.0, -0.0, 1.5, 3, True, False, "", "x", "x" * (MAX_TEXT + 1), [], ["b", "a", "b"], [1]]
VALUES += [MAX_NUMBER, -MAX_NUMBER, 2 * MAX_NUMBER, math.nan, math.inf, -math.inf, ("z",), ["y"] * (MAX_SET + 1), {}]


@pytest.mark.parametrize("name", [*SCHEMA, "unknown"])
@pytest.mark.parametrize("value", VALUES, ids=lambda value: repr(value)[:20])
def said(name: str, value: object, *, together: bool) -> str:
    """The value as it comes out, or the refusal."""
    try:
        if together:
            return repr(all_checked({name: value}, SCHEMA, where="facts")[name])
        return repr(checked(name, value, SCHEMA, where="facts"))
    except InputError as error:
        return str(error)


@pytest.mark.parametrize("name", [*SCHEMA, "unknown"])
@pytest.mark.parametrize("value", VALUES, ids=lambda value: repr(value)[:20])
def test_each_value_of_each_kind(name: str, value: object) -> None:
    assert said(name, value, together=True) == said(name, value, together=False)
