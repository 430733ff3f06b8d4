"""Averages of context terms: by hand, over batches, through a manifest."""

import numpy as np
import pytest

from bandit_nba.decide.scoring import FeatureRows
from bandit_nba.learn.typical import MOST, RunningMeans, average_row


def rows(*features: dict[str, float]) -> FeatureRows:
    """Rows over one vocabulary, all in namespace U; a term's hash is its length."""
    names = tuple(dict.fromkeys(name for row in features for name in row))
    return FeatureRows(
        indptr=np.cumsum([0, *(len(row) for row in features)]),
        terms=np.array([names.index(name) for row in features for name in row], dtype=np.int64),
        values=np.array([value for row in features for value in row.values()]),
        hashes=np.array([len(name) for name in names], dtype=np.uint32),
        namespaces="U" * len(names),
        names=names,
    )


def test_averages_by_hand() -> None:
    """Four rows: age 1, 3, 0 and absent; a=x in two of them."""
    means = RunningMeans().more(rows({"age": 1.0, "a=x": 1.0}, {"age": 3.0})).more(rows({"a=x": 1.0}, {"age": 0.0}))

    assert [(m.name, m.mean, m.hash) for m in means.means()] == [("age", 1.0, 3), ("a=x", 0.5, 3)]


def test_going_on_from_a_manifest_is_going_on() -> None:
    first = rows({"age": 1.0, "a=x": 1.0}, {"age": 3.0}, {"b=y": 1.0})
    second = rows({"age": -2.0}, {"a=x": 1.0})
    whole = RunningMeans().more(first).more(second).means()
    resumed = RunningMeans(RunningMeans().more(first).means(), examples=3).more(second).means()

    assert [m.name for m in resumed] == [m.name for m in whole]
    np.testing.assert_allclose([m.mean for m in resumed], [m.mean for m in whole], rtol=1e-12)


def test_only_the_most_common_are_kept() -> None:
    """A text with new words in every row must not let the manifest grow."""
    means = RunningMeans()
    for i in range(20):
        means = means.more(rows(*({f"w={i}-{j}": 1.0, "always": 1.0} for j in range(100))))

    kept = means.means()
    assert len(kept) == MOST
    assert (kept[0].name, kept[0].mean) == ("always", 1.0)


def test_the_average_row() -> None:
    means = RunningMeans().more(rows({"age": 1.0, "a=x": 1.0}, {"age": 2.0})).means()
    row = average_row(means)

    assert len(row) == 1
    assert dict(zip(row.names, row.values.tolist(), strict=True)) == {"age": 1.5, "a=x": 0.5}
    assert row.namespaces == "UU"
    assert row.hashes.dtype == np.uint32


def test_nothing_learned_has_no_averages() -> None:
    assert RunningMeans().means() == ()
    assert RunningMeans().more(rows()).means() == ()


@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
def test_the_order_of_batches_does_not_matter(order: tuple[int, int]) -> None:
    batches = rows({"a=x": 1.0, "b=y": 1.0}), rows({"b=y": 1.0, "c=z": 1.0})
    means = RunningMeans().more(batches[order[0]]).more(batches[order[1]])

    assert [m.name for m in means.means()] == ["b=y", "a=x", "c=z"]
