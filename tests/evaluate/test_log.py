"""The log as arrays: order, ragged cells, what is left out and what is refused."""

import numpy as np
import pytest

from bandit_nba.errors import InputError, RefusedError
from bandit_nba.evaluate.gather import from_records
from tests.evaluate.logs import SCHEMA, record, sampled


def arrays(records, **rewards):
    earned = {r.id: 0.0 for r in records} | rewards
    return from_records(records, earned, SCHEMA, now_s=100.0)


def test_cells_are_ragged_and_in_order_of_time():
    late = record(7, segment="old", arm="a", arms=("no_action", "a"), p=(0.3, 0.7))
    early = record(3, segment="young", arm="b")

    log = arrays([late, early], d000003=1.0)

    assert list(log.ids) == ["d000003", "d000007"]
    assert log.indptr.tolist() == [0, 3, 5]
    assert [log.arms[a] for a in log.arm] == ["no_action", "a", "b", "no_action", "a"]
    assert log.propensity.tolist() == [0.4, 0.7]
    assert log.reward.tolist() == [1.0, 0.0]
    assert log.facts.row(1) == {"segment": "old", "age": 70.0}


def test_special_and_immature_rows_are_left_out_and_counted():
    kept = record(1, segment="old", arm="a")
    records = [
        kept,
        record(2, segment="old", arm="a", kind="fallback"),
        record(3, segment="old", arm="a", kind="unreadable"),
        record(4, segment="old", arm="a", activate_by=5.0),
        record(95, segment="old", arm="a"),
    ]

    log = arrays(records)

    assert list(log.ids) == ["d000001"]
    assert log.left_out == {"fallback": 1, "unreadable": 1, "not activated": 1, "immature": 1}


def test_between_takes_decisions_after_the_start_and_keeps_cells_with_them():
    log = sampled(200, seed=1)

    late = log.between(99.0)

    assert list(late.ids) == list(log.ids[100:])
    assert late.propensity.tolist() == log.propensity[100:].tolist()
    assert late.mask().sum() == late.indptr[-1]
    assert late.facts.row(0) == log.facts.row(100)


@pytest.mark.parametrize(
    ("p", "what"),
    [
        ((0.2, 0.4, 0.3), "not a distribution"),
        ((-0.2, 0.6, 0.6), "not a distribution"),
        ((0.5, 0.5, 0.0), "no probability"),
    ],
)
def test_a_row_that_is_no_distribution_is_refused_by_name(p, what):
    with pytest.raises(InputError, match=what) as caught:
        arrays([record(1, segment="old", arm="b", p=p)])

    assert caught.value.where == "decision d000001"


def test_nothing_to_judge_is_refused_with_the_reason():
    with pytest.raises(RefusedError, match="no matured decision"):
        arrays([record(99, segment="old", arm="a")])


def test_anonymous_decisions_are_their_own_customers():
    log = arrays([record(i, segment="old", arm="a", customer="") for i in range(3)])

    assert len(np.unique(log.group)) == 3
