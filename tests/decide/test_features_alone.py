"""A lone row has the very features, facts and verdicts that it has among others."""

from collections.abc import Mapping

import numpy as np
import pytest

from bandit_nba.catalogue import Action, Catalogue, FactKind
from bandit_nba.catalogue.facts import FactValue
from bandit_nba.catalogue.rules import compile_rules
from bandit_nba.decide.batch import Requests
from bandit_nba.decide.columns import Coded, Facts
from bandit_nba.decide.eligibility.stages import eligible
from bandit_nba.decide.features.featuriser import Featuriser
from bandit_nba.decide.policy import FeatureSettings, Number
from bandit_nba.decide.scoring import FeatureRows

SCHEMA: Mapping[str, FactKind] = {
    "age": "number",
    "spend": "number",
    "senior": "boolean",
    "contract": "category",
    "zip": "category",
    "owned": "set",
    "note": "text",
}
CELLS: Mapping[str, list[FactValue | None]] = {
    "age": [None, 0.0, -0.0, 17.999, 30.0, 1e15, -1e15, 0.1],
    "spend": [None, 1e-300, 3.3333333333333335, 60.0, -7.0],
    "senior": [None, True, False],
    "contract": [None, "One year", "", "ü=?"],
    "zip": [None, "017"],
    "owned": [None, (), ("phone",), ("a", "b", "phone")],
    "note": [None, "", "One two TWO one", "x" * 300],
}
RULES = (
    "customer.age < 30.0",
    "!has.contract || customer.contract == 'One year'",
    "'phone' in customer.owned",
    "has.owned || customer.senior",
    "customer.spend > customer.age",
)


def rows_of(rng: np.random.Generator, size: int) -> list[dict[str, FactValue | None]]:
    """Rows of values of every kind; some facts are not there at all."""
    rows = []
    for _ in range(size):
        names = [name for name in SCHEMA if rng.random() < 0.8]
        rng.shuffle(names)
        rows.append({name: CELLS[name][int(rng.integers(len(CELLS[name])))] for name in names})
    return rows


def told(rows: FeatureRows, i: int) -> list[tuple[int, str, str, float]]:
    """Row i in full: hash, namespace, name and value of each term, in order."""
    at = slice(int(rows.indptr[i]), int(rows.indptr[i + 1]))
    return [
        (int(rows.hashes[t]), rows.namespaces[t], rows.names[t], value)
        for t, value in zip(rows.terms[at].tolist(), rows.values[at].tolist(), strict=True)
    ]


@pytest.mark.parametrize("channel", [True, False])
def test_features(channel: bool) -> None:
    settings = FeatureSettings(
        customer=("owned", "age", "senior", "contract"),
        request=("zip", "note", "spend"),
        numbers={"age": Number(scale=3.0, bins=(0.0, 18.0, 30.0)), "spend": Number(scale=1e-9)},
        channel=channel,
    )
    featuriser = Featuriser(settings, SCHEMA)
    rows = rows_of(np.random.default_rng(3), 400)
    codes = np.random.default_rng(4).integers(-1, 2, size=len(rows))
    channels = Coded(codes=codes, values=("web", "shop"))

    together = featuriser.contexts(Facts.from_rows(rows, SCHEMA), channels)

    for i, row in enumerate(rows):
        facts = Facts.from_rows([row], SCHEMA)
        assert facts.alone is not None
        alone = featuriser.contexts(facts, Coded(codes=codes[i : i + 1], values=channels.values))
        assert told(alone, 0) == told(together, i)
        assert (alone.indptr.dtype, alone.terms.dtype) == (together.indptr.dtype, together.terms.dtype)
        assert (alone.values.dtype, alone.hashes.dtype) == (together.values.dtype, together.hashes.dtype)


def test_facts_as_they_are_logged_and_columns() -> None:
    for row in rows_of(np.random.default_rng(5), 400):
        facts = Facts.from_rows([row], SCHEMA)
        columns = Facts(size=1, schema=SCHEMA, columns=dict(facts.columns))

        assert columns.alone is None
        assert list(facts.rows()[0].items()) == list(columns.rows()[0].items())
        assert facts.take(0, 1).rows() == columns.rows()


def test_a_value_of_another_kind_than_declared_is_read_as_a_column() -> None:
    """A profile that was kept under another catalogue."""
    facts = Facts.from_rows([{"age": True, "senior": 2.0, "contract": "x"}], SCHEMA)

    assert facts.alone is None
    assert facts.rows() == [{"age": 1.0, "senior": True, "contract": "x"}]
    with pytest.raises(ValueError, match="could not convert"):
        Facts.from_rows([{"age": "old"}], SCHEMA)


def test_verdicts_of_rules() -> None:
    catalogue = Catalogue(
        facts=SCHEMA,
        actions=tuple(Action(id=f"a{i}", kind="offer", group="g", eligibility=rule) for i, rule in enumerate(RULES)),
    )
    rules = compile_rules(catalogue)
    rows = rows_of(np.random.default_rng(6), 300)
    together = eligible(catalogue, rules, requests(rows))
    failures: dict[str, int] = {}
    for i, row in enumerate(rows):
        alone = eligible(catalogue, rules, requests([row]))
        assert alone.removed.tolist() == together.removed[i : i + 1].tolist()
        assert alone.removals == together.removals
        for rule, count in alone.failures.items():
            failures[rule] = failures.get(rule, 0) + count
    assert failures == together.failures


def requests(rows: list[dict[str, FactValue | None]]) -> Requests:
    n = len(rows)
    return Requests(
        ids=[str(i) for i in range(n)],
        customers=[""] * n,
        channels=Coded(codes=np.zeros(n, dtype=np.int64), values=("web",)),
        decided_at=np.zeros(n),
        facts=Facts.from_rows(rows, SCHEMA),
        readable=np.ones(n, dtype=np.bool_),
    )
