"""Rows become arrays, whatever the size of the chunks, each with its cells and facts; damaged ones are named."""

import dataclasses

import msgspec
import numpy as np
import pytest

from bandit_nba.errors import InputError, RefusedError
from bandit_nba.evaluate.exclusion import why_left_out
from bandit_nba.evaluate.gather import Gathering, from_records
from bandit_nba.evaluate.ids import Ids
from bandit_nba.store.log.chunk import chunks_of
from tests.evaluate.logs import record

SCHEMA = {"segment": "category", "age": "number", "owned": "set", "senior": "boolean"}


def rows(n: int, *, seed: int = 0) -> list:
    """n rows with ragged arms and facts that come and go, three of them at each moment."""
    rng = np.random.default_rng(seed)
    made = []
    for i in rng.permutation(n).tolist():
        size = int(rng.integers(1, 6))
        arms = tuple(f"arm{k}" for k in rng.permutation(8)[:size].tolist())
        p = rng.dirichlet(np.ones(size))
        facts = {
            "segment": f"s{rng.integers(4)}",
            "age": float(rng.integers(90)),
            "owned": sorted({f"p{k}" for k in rng.integers(5, size=int(rng.integers(3))).tolist()}),
            "senior": bool(rng.integers(2)),
        }
        known = {name: value for name, value in facts.items() if rng.random() < 0.7}
        made.append(
            record(
                i,
                segment="",
                arm=arms[int(rng.integers(size))],
                arms=arms,
                p=tuple((p / p.sum()).tolist()),
                decided_at=float(i // 3),
                matures_at=float(i),
                facts=msgspec.json.encode(known) if i % 11 else None,
                inline_actions=b"[%d]" % (i % 2) if i % 5 == 0 else None,
            )
        )
    return made


def gathered(records, *, chunk: int):
    gathering = Gathering(SCHEMA)
    for part in chunks_of(records, rows=chunk):
        kept = gathering.keep(part, why_left_out(part, np.array(part.matures_at), now_s=1e9))
        gathering.add(part, kept, np.array([float(part.id[i][1:]) for i in kept]))
    return gathering.log()


@pytest.mark.parametrize("chunk", [1, 7, 64, 500])
def test_each_row_is_what_was_logged_whatever_the_size_of_a_chunk(chunk):
    records = rows(200)
    log, order = gathered(records, chunk=chunk)

    expected = sorted(records, key=lambda r: (r.decided_at, r.id))
    assert list(log.ids) == [r.id for r in expected]
    assert [records[k].id for k in order.tolist()] == [r.id for r in expected]
    assert log.reward.tolist() == [float(r.id[1:]) for r in expected]
    of_customer: dict[str, int] = {}
    for i, one in enumerate(expected):
        cells = slice(log.indptr[i], log.indptr[i + 1])
        assert [log.arms[a] for a in log.arm[cells]] == msgspec.json.decode(one.arms)
        assert log.probability[cells].tolist() == msgspec.json.decode(one.probabilities)
        assert log.arms[log.arm[log.chosen[i]]] == one.arm
        assert log.propensity[i] == one.propensity
        facts = msgspec.json.decode(one.facts) if one.facts else {}
        known = {k: tuple(v) if isinstance(v, list) else v for k, v in facts.items()}
        assert {"owned": (), **log.facts.row(i)} == {"owned": (), **known}
        assert of_customer.setdefault(one.customer, len(of_customer)) == log.group[i]
        brought = None if log.brought[i] < 0 else log.actions[log.brought[i]]
        assert brought == one.inline_actions


def test_a_damaged_row_is_named_wherever_it_stands_in_its_chunk():
    good = rows(40)
    damage = {
        "arms": b"[",
        "probabilities": b"[1.0",
        "facts": b'{"age": "old"}',
    }
    for name, content in damage.items():
        bad = msgspec.structs.replace(good[17], **{name: content})
        with pytest.raises(InputError, match=f"decision {bad.id}"):
            gathered([*good[:17], bad, *good[18:]], chunk=40)


def test_content_that_holds_several_values_cannot_shift_the_rows_behind_it():
    first = record(1, segment="young", arm="a")
    sly = msgspec.structs.replace(record(2, segment="old", arm="a"), probabilities=b"[0.2,0.4,0.4],[0.2,0.4,0.4]")
    with pytest.raises(InputError, match="d000002"):
        gathered([first, sly, record(3, segment="old", arm="b")], chunk=10)
    sly = msgspec.structs.replace(record(2, segment="old", arm="a"), facts=b'{"age":1.0},{"age":2.0}')
    with pytest.raises(InputError, match="d000002"):
        gathered([first, sly, record(3, segment="old", arm="b")], chunk=10)


def test_rows_that_were_no_free_draw_are_left_out_by_why():
    base = record(1, segment="young", arm="a")
    special = {
        "d000002": {"kind": "fallback"},
        "d000003": {"learned_in": "overridden"},
        "d000011": {"learned_in": "quarantined", "facts": b"{broken"},
        "d000004": {"support": False},
        "d000005": {"slate": b'{"slots":[{"id":"a"}]}'},
        "d000006": {"picked": "b"},
        "d000007": {"matures_at": 2e9},
    }
    records = [base, *(msgspec.structs.replace(base, id=name, **what) for name, what in special.items())]

    log, _ = gathered(records, chunk=3)
    assert list(log.ids) == ["d000001"]
    assert log.left_out == {
        "fallback": 1,
        "overridden": 1,
        "quarantined": 1,
        "without support": 1,
        "slate": 1,
        "picked by a person": 1,
        "immature": 1,
    }


def test_the_refusal_says_what_would_help():
    only = [record(1, segment="young", arm="a", support=False)]
    with pytest.raises(RefusedError, match="let it explore"):
        from_records(only, {}, SCHEMA, now_s=1e9)


def test_ids_are_a_sequence_like_any_other():
    texts = ["", "a", "Grüße", "\ud800", "x" * 300]
    ids = Ids.joined([Ids.of(texts[:2]), Ids.of([]), Ids.of(texts)[2:]])

    assert list(ids) == texts
    assert ids[-1] == texts[-1]
    assert list(ids[1:3]) == texts[1:3]
    assert list(ids[::-1]) == texts[::-1]
    assert list(ids.at(np.array([3, 0]))) == ["\ud800", ""]
    assert ids == texts
    with pytest.raises(IndexError):
        ids[5]


def test_parts_of_a_log_keep_where_rows_came_from():
    records = rows(30)
    gathering = Gathering(SCHEMA)
    for part in chunks_of(records, rows=8):
        origins = ["" if int(i[1:]) % 2 else "old-system" for i in part.id]
        gathering.add(part, range(len(part)), np.zeros(len(part)), origins=origins)
    log = gathering.log()[0]

    def origin_of(one):
        return [one.origin.values[code] for code in one.origin.codes]

    expected = ["" if int(i[1:]) % 2 else "old-system" for i in log.ids]
    assert origin_of(log) == expected
    assert origin_of(log.between(2.0, 6.0)) == [o for o, t in zip(expected, log.decided_at, strict=True) if 2 < t <= 6]
    assert origin_of(log.at(np.array([5, 0]))) == [expected[5], expected[0]]
    assert {f.name for f in dataclasses.fields(log)} >= {"origin", "left_out"}
