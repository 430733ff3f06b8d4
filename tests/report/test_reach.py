"""Who gets nothing, and for whom nothing good is left."""

import numpy as np

from bandit_nba.evaluate.judge import Judgement
from bandit_nba.promote.reading import Reading
from bandit_nba.report.comparison import Comparison, Contender
from bandit_nba.report.reach import GREEDY, no_good_action, reasons, underserved_by_segment
from tests.evaluate.logs import sampled

N = 20


def comparison(names: tuple[str, ...]) -> Comparison:
    """The greedy model prefers no action in the first five rows, and shares it with arm a in the sixth."""
    log = sampled(N, seed=2)
    first = np.zeros(len(log.arm), dtype=np.bool_)
    first[log.indptr[:-1]] = True
    chance = np.where(first & (log.row < 5), 1.0, 0.0)
    second = np.zeros(len(log.arm), dtype=np.bool_)
    second[log.indptr[:-1] + 1] = True
    chance = np.where(second & (log.row > 5), 1.0, chance)
    chance = np.where((first | second) & (log.row == 5), 0.5, chance)
    contenders = [
        Contender(
            Judgement(name, {}, chance, np.ones(N)), name, is_candidate=False, gain=None, gain_alpha=0.05, findings=()
        )
        for name in names
    ]
    return Comparison(log, contenders, (), 0.05)


def reading(made: Comparison) -> Reading:
    return Reading(
        log=made.log,
        happened={},
        amounts={},
        removed=np.where(np.arange(N) < 3, 1, 0),
        removals=[{}, {"tv": ("suitability", "too dear"), "car": ("suitability", "too dear")}],
        policies=["p"] * N,
        definitions={},
        known=[],
    )


def test_nothing_good_is_where_the_model_expects_less_of_every_action_than_of_none() -> None:
    made = comparison(("uniform", GREEDY))
    segments = ["new"] * 4 + ["old"] * 16

    good = no_good_action(made)
    table = underserved_by_segment(made, reading(made), segments, "age")
    why = reasons(made, reading(made))

    assert good is not None
    assert np.flatnonzero(good).tolist() == [0, 1, 2, 3, 4]
    assert table.rows == [
        ["new", 4, 0, 0.0, 4, 1.0],
        ["old", 16, 0, 0.0, 1, 1 / 16],
        ["everybody", 20, 0, 0.0, 5, 0.25],
    ]
    assert why.rows == [["too dear", "not good for this customer", 0, 3]]


def test_without_a_model_nothing_is_said_of_what_is_good() -> None:
    made = comparison(("uniform",))

    assert no_good_action(made) is None
    assert underserved_by_segment(made, reading(made), ["all"] * N, "").rows[0][4:] == [None, None]
