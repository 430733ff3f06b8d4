"""The log's columns: what goes in comes out bit for bit."""

import dataclasses

import msgspec
import numpy as np
import pytest
import sqlalchemy as sa

from bandit_nba.catalogue import Action, Catalogue
from bandit_nba.decide.batch import Decisions, Eligibility, Removal, Requests
from bandit_nba.decide.columns import Coded, Facts
from bandit_nba.decide.record import DecisionRecord, Versions, logged, records
from bandit_nba.errors import StoreError
from bandit_nba.store.tables import decisions as decisions_table

SCHEMA = {"age": "number", "vip": "boolean", "plan": "category", "owned": "set"}
VERSIONS = Versions(catalogue="c1", policy="p1", features="f1", reward="r1", model="m1", salt="s1")


@pytest.fixture
def decisions() -> Decisions:
    """Two rows over "no action", phone and case; the second may not have the phone."""
    actions = tuple(Action(id=i, kind="offer", group="grow") for i in ("phone", "case"))
    rows = [{"age": 1 / 3, "vip": True, "plan": 'a"b|c:\n', "owned": ("tv",)}, {"age": 5e-324, "plan": "ü"}]
    p = np.array([[0.1, 0.2, 0.7], [1 / 3, 0.0, 2 / 3]])
    q = np.array([[0.1 + 0.2, -1e-300, 1e15], [0.0, np.nan, 1 / 7]])
    return Decisions(
        requests=Requests(
            ids=["d1", "d2"],
            customers=["", "c" * 32],
            channels=Coded(codes=np.array([1, 0]), values=("web", "call")),
            decided_at=np.array([1_700_000_000.123, 1_700_000_001.0]),
            facts=Facts.from_rows(rows, SCHEMA),  # type: ignore[arg-type]  # literals of the kinds
            readable=np.array([True, False]),
        ),
        arms=Catalogue(facts={}, actions=actions).arms,
        eligibility=Eligibility(
            removed=np.array([[0, 0, 0], [0, 2, 0]], dtype=np.int16),
            removals=(Removal("channel", "not on web"), Removal("ownership", 'has "phone"')),
        ),
        expected_reward=q,
        priority=q - q[:, :1],
        probability=p,
        chosen=np.array([2, 0]),
        propensity=np.array([0.7, 1 / 3]),
    )


def _records(decisions: Decisions) -> list[DecisionRecord]:
    return records(
        decisions,
        versions=VERSIONS,
        valid_until=decisions.requests.decided_at + 60,
        matures_at=decisions.requests.decided_at + 3600,
        activate_by=np.array([np.nan, 1_700_000_100.5]),
        payload_sha256=[b"1" * 32, b"2" * 32],
        answers=[b"{}", b'{"a":1}'],
    )


def test_the_record_is_the_table() -> None:
    assert DecisionRecord.__struct_fields__ == tuple(c.name for c in decisions_table.columns)


def test_lists_stand_beside_each_other_without_what_was_removed(decisions: Decisions) -> None:
    first, second = _records(decisions)

    assert msgspec.json.decode(first.arms) == ["no_action", "phone", "case"]
    assert msgspec.json.decode(second.arms) == ["no_action", "case"]
    assert second.removed == b'{"phone":["ownership","has \\"phone\\""]}'
    assert (first.arm, first.propensity, first.channel, first.kind) == ("case", 0.7, "call", "normal")
    assert (second.arm, second.propensity, second.channel, second.kind) == ("no_action", 1 / 3, "web", "unreadable")
    assert (first.activate_by, second.activate_by) == (None, 1_700_000_100.5)
    assert first.activated_at is None
    assert second.matures_at == 1_700_003_601.0


def test_numbers_and_facts_are_read_back_bit_for_bit(decisions: Decisions) -> None:
    first, second = (logged(record) for record in _records(decisions))

    assert first.probabilities == (0.1, 0.2, 0.7)
    assert first.expected_rewards == (0.1 + 0.2, -1e-300, 1e15)
    assert second.probabilities == (1 / 3, 2 / 3)
    assert second.expected_rewards == (0.0, 1 / 7)
    assert first.facts == {"age": 1 / 3, "vip": True, "plan": 'a"b|c:\n', "owned": ("tv",)}
    assert second.facts == {"age": 5e-324, "plan": "ü"}
    assert second.removed == {"phone": ("ownership", 'has "phone"')}
    assert first.decided_at == 1_700_000_000.123
    assert first.versions == VERSIONS


def test_random_floats_survive(decisions: Decisions) -> None:
    """2,000 random bit patterns of float64, seed 3."""
    bits = np.random.default_rng(3).integers(0, 2**63, size=2000, dtype=np.int64)
    numbers = bits.view(np.float64)
    numbers = numbers[np.isfinite(numbers)]

    for number in numbers.tolist():
        q = np.full((2, 3), number)
        assert logged(_records(dataclasses.replace(decisions, expected_reward=q))[0]).expected_rewards[0] == number


def test_a_row_of_the_table_is_a_record_again(decisions: Decisions) -> None:
    """Through SQLite and back."""
    engine = sa.create_engine("sqlite://")
    decisions_table.create(engine)
    record = _records(decisions)[0]
    with engine.begin() as connection:
        connection.execute(sa.insert(decisions_table).values(msgspec.structs.asdict(record)))
        row = connection.execute(sa.select(decisions_table)).one()._asdict()
    engine.dispose()

    assert DecisionRecord(**row) == record


def test_erased_facts_are_none(decisions: Decisions) -> None:
    record = msgspec.structs.replace(_records(decisions)[0], facts=None)

    assert logged(record).facts is None


@pytest.mark.parametrize("column", ["arms", "probabilities", "expected_rewards", "removed", "facts"])
@pytest.mark.parametrize("content", [b"", b"[1,", b"[null]", b'"x"', b"\xff"])
def test_a_damaged_column_is_named(decisions: Decisions, column: str, content: bytes) -> None:
    record = msgspec.structs.replace(_records(decisions)[0], **{column: content})

    with pytest.raises(StoreError, match="decision d1: cannot be read"):
        logged(record)


def test_a_fallback_batch_says_so(decisions: Decisions) -> None:
    made = _records(dataclasses.replace(decisions, fallback=True))

    assert [record.kind for record in made] == ["fallback", "fallback"]
