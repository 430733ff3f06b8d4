"""The audit makes every place of a slate again, and inline actions, and finds what was tampered with."""

from collections.abc import Sequence
from dataclasses import replace

import msgspec
import numpy as np
import pytest
from msgspec.structs import replace as replace_struct

from bandit_nba.decide import inline
from bandit_nba.decide.record import DecisionRecord
from bandit_nba.decide.slates.log import LoggedPlace, LoggedSlate, decoded, encoded
from bandit_nba.decide.wanted import Slot, Wanted, ranking
from tests.decide import decide_world as world
from tests.decide.decide_log import REWARD_VERSION, audited, logged_as


def _log(rows: int = 60) -> list[DecisionRecord]:
    engine, model = world.engine(), world.ExactModel()
    two = Wanted(kind="slots", slots=(Slot("a", ("tip1",)), Slot("b", ("tip2", "discount"))), excluded=("tip3",))
    requests = replace(world.requests(rows), wanted=[(ranking(4), two, None, ranking(30))[i % 4] for i in range(rows)])
    versions = engine.versions(model, reward=REWARD_VERSION)
    fallbacks = replace(requests, ids=[f"f{i}" for i in range(rows)])
    nothing = replace(requests, ids=[f"n{i}" for i in range(rows)])
    return [
        *logged_as(engine.decide(requests, model), versions),
        *logged_as(engine.fall_back(fallbacks, engine.eligible(fallbacks)), versions),
        *logged_as(engine.fall_back(nothing, None), versions),
    ]


def _inline(rows: int = 40) -> list[DecisionRecord]:
    engine, model = world.engine(), world.ExactModel()
    out = []
    for n in (3, 5):
        actions = [inline.InlineAction(id=f"x{i}", features={"n": float(i)}) for i in range(n)]
        requests = replace(
            world.requests(rows, seed=n, readable=0.8),
            wanted=[(ranking(3), None, Wanted(excluded=("x2",)))[i % 3] for i in range(rows)],
        )
        made = engine.over(actions).decide(requests, model)
        failed = replace(requests, ids=[f"f{n}-{i}" for i in range(rows)])
        for decisions in (made, engine.over(actions).fall_back(failed, None)):
            out += logged_as(
                decisions, engine.versions(model, reward=REWARD_VERSION), inline_actions=inline.encoded(actions)
            )
    return out


def test_true_ones_come_out_again_bit_for_bit() -> None:
    log = [*_log(), *_inline()]
    found = audited([log[i] for i in np.random.default_rng(0).permutation(len(log))])

    assert found.first == ()
    assert (found.rows, found.max_difference) == (len(log), 0.0)


def test_erased_facts_leave_every_place_to_be_checked() -> None:
    log = [msgspec.structs.replace(record, facts=None) for record in _log()]

    assert audited(log).ok


@pytest.mark.parametrize("erased", [False, True])
def test_another_arm_in_a_later_place(erased: bool) -> None:
    log = _log()
    at, slate = next((i, s) for i, s in _slates(log) if len(s.slots) > 2 and len(s.arms) > 4)
    place = slate.slots[1]
    other = next(
        k for k, p in enumerate(place.probabilities) if p > 0.0 and slate.arms[k] not in [s.arm for s in slate.slots]
    )
    swapped = replace_struct(place, arm=slate.arms[other], propensity=place.probabilities[other])
    log = _with_slate(log, at, _rebuilt(slate, 1, swapped))
    if erased:
        log = [msgspec.structs.replace(record, facts=None) for record in log]

    found = audited(log)
    assert found.differ == {"slate": 1}
    assert place.id in found.first[0].what[0] or "made again" in found.first[0].what[0]


def test_another_distribution_of_a_later_place() -> None:
    log = _log()
    at, slate = next((i, s) for i, s in _slates(log) if len(s.slots) > 2 and len(s.arms) > 4)
    place = slate.slots[1]
    p = list(place.probabilities)
    mine = slate.arms.index(place.arm or "")
    free = [k for k, q in enumerate(p) if q > 0.0 and k != mine][:2]
    p[free[0]], p[free[1]] = p[free[0]] + 1e-6, p[free[1]] - 1e-6
    found = audited(_with_slate(log, at, _rebuilt(slate, 1, replace_struct(place, probabilities=tuple(p)))))

    assert found.differ == {"slate": 1}


def test_slates_that_contradict_themselves() -> None:
    log = _log()
    at, slate = next((i, s) for i, s in _slates(log) if s.kind == "ranking" and len(s.slots) > 2)
    twice = replace_struct(slate.slots[1], arm=slate.slots[0].arm)
    for broken in (
        replace_struct(slate, propensity=slate.propensity * 1.01),
        replace_struct(slate, slots=(slate.slots[0], twice, *slate.slots[2:])),
        replace_struct(slate, slots=slate.slots[1:]),
        replace_struct(slate, slots=()),
    ):
        found = audited(_with_slate(log, at, broken))
        assert found.differ == {"record": 1}
    assert audited([*log[:at], msgspec.structs.replace(log[at], slate=b"{"), *log[at + 1 :]]).differ == {"record": 1}


def test_other_inline_actions() -> None:
    """Their features were changed, or one is gone, after the decision."""
    log = _inline()
    fewer = inline.encoded([inline.InlineAction(id=f"x{i}", features={"n": float(i)}) for i in range(2)])
    renamed = inline.encoded([inline.InlineAction(id=f"y{i}") for i in range(3)])
    for content in (fewer, renamed, b"[", b"[]"):
        found = audited([msgspec.structs.replace(log[0], inline_actions=content), *log[1:]])
        assert found.differing == 1


def _slates(log: Sequence[DecisionRecord]) -> list[tuple[int, LoggedSlate]]:
    return [(i, decoded(r.slate)) for i, r in enumerate(log) if r.slate is not None and r.kind == "normal"]


def _rebuilt(slate: LoggedSlate, at: int, place: LoggedPlace) -> LoggedSlate:
    places = (*slate.slots[:at], place, *slate.slots[at + 1 :])
    return replace_struct(slate, slots=places, propensity=float(np.prod([p.propensity for p in places])))


def _with_slate(log: list[DecisionRecord], at: int, slate: LoggedSlate) -> list[DecisionRecord]:
    return [*log[:at], msgspec.structs.replace(log[at], slate=encoded(slate)), *log[at + 1 :]]
