"""Columns: rows in and out again, and slices whose work does not grow with the batch around them."""

import numpy as np
import pytest

from bandit_nba.decide.columns import Coded, CodedSets, Facts

SCHEMA = {"age": "number", "vip": "boolean", "plan": "category", "owned": "set", "note": "text"}
ROWS = [
    {"age": 41.5, "vip": True, "plan": "basic", "owned": ("phone", "tv"), "note": "calls often"},
    {"age": None, "vip": False, "plan": "gold", "owned": ()},
    {"plan": None, "owned": ("case", "tv")},
    {"age": -1.0, "plan": "basic", "owned": ("phone",)},
]


@pytest.fixture
def facts() -> Facts:
    return Facts.from_rows(ROWS, SCHEMA)  # type: ignore[arg-type]  # literals of the kinds


def test_rows_come_out_as_they_went_in(facts: Facts) -> None:
    """Unknown facts are left out; so is the empty set, which an unknown one is."""
    assert facts.row(0) == ROWS[0]
    assert facts.row(1) == {"vip": False, "plan": "gold"}
    assert facts.row(2) == {"owned": ("case", "tv")}


@pytest.mark.parametrize("sets", [{}, {"owned": None}, {"owned": ()}])
def test_what_is_logged_of_an_unknown_set_does_not_depend_on_the_batch(sets: dict[str, object]) -> None:
    row = {"age": 1.0, **sets}
    batches = [[row], [row, row], [row, {}], [row, {"owned": ("tv",)}], [row, {"owned": ()}]]

    assert [Facts.from_rows(rows, SCHEMA).rows()[0] for rows in batches] == [{"age": 1.0}] * 5  # type: ignore[arg-type]


@pytest.mark.parametrize(("start", "stop"), [(0, 4), (1, 3), (2, 3), (3, 4), (2, 2)])
def test_a_slice_holds_the_same_rows(facts: Facts, start: int, stop: int) -> None:
    part = facts.take(start, stop)

    assert part.size == stop - start
    assert [part.row(i) for i in range(part.size)] == [facts.row(i) for i in range(start, stop)]


def test_a_small_slice_carries_only_the_values_in_use() -> None:
    rows = [{"plan": f"plan{i}", "owned": (f"a{i}", f"b{i}")} for i in range(1000)]
    part = Facts.from_rows(rows, SCHEMA).take(10, 12)  # type: ignore[arg-type]  # as above

    plan, owned = part.columns["plan"], part.columns["owned"]
    assert isinstance(plan, Coded)
    assert isinstance(owned, CodedSets)
    assert plan.values == ("plan10", "plan11")
    assert owned.values == ("a10", "b10", "a11", "b11")
    np.testing.assert_array_equal(plan.codes, [0, 1])
