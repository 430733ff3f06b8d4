"""The fast ways give what numpy's plain ways give, bit for bit, for tall, wide and tiny arrays."""

import numpy as np
import pytest

from bandit_nba.decide.cells import TALL, best, clear, counts, first_above, known
from bandit_nba.decide.columns import Bools, Floats

SHAPES = [(0, 3), (1, 1), (1, 7), (5, 5_000), (3 * TALL - 1, 3), (3 * TALL, 3), (2_000, 20), (700, 20)]


@pytest.fixture(params=SHAPES, ids=str)
def cells(request: pytest.FixtureRequest) -> tuple[Floats, Bools]:
    """Values with ties and NaN, and a mask with at least one True per row."""
    rows, columns = request.param
    rng = np.random.default_rng(rows + columns)
    mask = rng.random((rows, columns)) < 0.6
    mask[:, 0] = True
    values = rng.normal(size=(rows, columns)).round(1)
    values[~mask] = np.nan
    return values, mask


def test_counts(cells: tuple[Floats, Bools]) -> None:
    _, mask = cells

    np.testing.assert_array_equal(counts(mask), mask.sum(axis=1, keepdims=True))


def test_best(cells: tuple[Floats, Bools]) -> None:
    values, _ = cells

    for order in ("C", "F"):
        np.testing.assert_array_equal(
            best(np.array(values, order=order)),  # type: ignore[call-overload]  # a literal
            np.fmax.reduce(values, axis=1, keepdims=True),
        )


def test_known(cells: tuple[Floats, Bools]) -> None:
    _, mask = cells
    values = np.random.default_rng(1).normal(size=mask.shape)
    before = values.copy()

    np.testing.assert_array_equal(known(values, mask), np.where(mask, values, np.nan))
    np.testing.assert_array_equal(known(np.asfortranarray(values), mask), np.where(mask, values, np.nan))
    np.testing.assert_array_equal(values, before)


def test_clear(cells: tuple[Floats, Bools]) -> None:
    values, mask = cells
    expected = np.where(mask, values, 0.0)

    clear(values, mask)

    np.testing.assert_array_equal(values, expected)
    assert not np.signbit(values[~mask]).any()


def test_first_above(cells: tuple[Floats, Bools]) -> None:
    """Also at the very sums, where ">" matters, and beyond the last, where there is none."""
    _, mask = cells
    rng = np.random.default_rng(2)
    steps = np.where(mask, rng.random(mask.shape), 0.0)
    sums = np.cumsum(steps, axis=1)
    for u in (rng.random(len(steps)), sums[:, -1], sums[:, len(sums.T) // 2], np.zeros(len(steps))):
        expected = [next((k for k, s in enumerate(row) if s > x), len(row)) for row, x in zip(sums, u, strict=True)]

        np.testing.assert_array_equal(first_above(steps, u), np.array(expected, dtype=np.int64))
