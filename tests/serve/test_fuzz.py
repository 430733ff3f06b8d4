"""Whatever bytes are sent to the busiest addresses: an answer of ours, never a 5xx; every number in the log is finite.

The bodies are JSON documents of the right shape with hostile values in them, random JSON, and JSON damaged as bytes.
"""

import asyncio
import json
import math
from collections.abc import Iterator
from typing import Any

import msgspec
import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, given, seed, settings
from hypothesis import strategies as st

from bandit_nba.decide.record import logged
from bandit_nba.online.replica import Replica
from bandit_nba.store.log import decisions as decision_store
from bandit_nba.store.tables import decisions, outcomes
from bandit_nba.workspace import init_workspace, open_workspace
from serve.app import create_app
from tests.secrets_hunt import HUNT
from tests.serve.asgi_client import Answered, Client

EXAMPLES, MANY = 150, 1_500
SEED = 7

hostile_text = st.one_of(
    st.text(max_size=20),
    st.sampled_from(
        ["", "\x00", "\ud800", "a\nb", "é" * 300, "x" * 2_000, "../../etc", "' OR 1=1 --", "‮", "no_action"]
    ),
)
hostile_number = st.one_of(
    st.integers(),
    st.floats(),
    st.sampled_from([0, -0.0, 1e15, 1e16, 1e308, 5e-324, 2**63, -(2**64), 10**400, math.nan, math.inf, -math.inf]),
)
scalar = st.one_of(st.none(), st.booleans(), hostile_number, hostile_text)
anything = st.recursive(
    scalar,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(hostile_text, inner, max_size=4),
    max_leaves=12,
)
facts = st.dictionaries(
    st.sampled_from(
        ["tenure_months", "internet", "data_left_share", "owned", "consent_marketing", "senior", "nonsense"]
    ),
    anything,
    max_size=4,
)


def mostly(good: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    """Something good nine times of ten."""
    return st.integers(0, 9).flatmap(lambda n: anything if n == 9 else good)  # one_of would take equal ones as one


ids = st.text("abcdef0123456789-", min_size=1, max_size=8)
sound_facts = st.fixed_dictionaries(
    {}, optional={"tenure_months": st.integers(0, 90), "data_left_share": st.floats(0, 1), "internet": ids}
)
FIELDS = {
    "decision": {
        "channel": mostly(st.sampled_from(["web", "email", "call_center"])),
        "decisionId": mostly(ids),
        "customerId": mostly(ids),
        "facts": st.one_of(sound_facts, facts, anything),
        "deferActivation": mostly(st.booleans()),
        "topK": mostly(st.one_of(st.integers(1, 50), hostile_number)),
        "slots": st.one_of(st.lists(st.fixed_dictionaries({"id": ids}), max_size=3), anything),
        "actions": st.lists(
            st.fixed_dictionaries({"id": mostly(ids)}, optional={"features": facts, "value": hostile_number}),
            max_size=3,
        ),
        "excludedArms": st.one_of(st.lists(hostile_text, max_size=3), anything),
        "unknown": anything,
    },
    "outcome": {
        "outcomeId": mostly(ids),
        "decisionId": mostly(ids),
        "type": mostly(st.sampled_from(["accept", "complain"])),
        "amount": st.one_of(st.floats(-1e9, 1e9), hostile_number, anything),
        "occurredAt": st.sampled_from(
            ["2026-01-01T00:00:00Z", "2026-01-01T00:00:00Z", "9999-12-31T23:59:59Z", "0001-01-01T00:00:00+14:00"]
        ),
    },
}


def documents(what: str) -> st.SearchStrategy[Any]:
    """Objects that have the first field, and each other one now and then; lists of them; anything."""
    first, *others = FIELDS[what]
    required = [first, "decisionId", "type"] if what == "outcome" else [first]
    chosen = st.sets(st.sampled_from(others), max_size=3).flatmap(
        lambda more: st.fixed_dictionaries({name: FIELDS[what][name] for name in sorted({*required, *more})})
    )
    return mostly(st.booleans().flatmap(lambda page: st.lists(chosen, max_size=3) if page else chosen))


@st.composite
def bodies(draw: st.DrawFn, what: str) -> bytes:
    """JSON as Python writes it (NaN, Infinity and lone surrogates included), and what becomes of it when damaged."""
    body = json.dumps(draw(documents(what))).encode()
    match draw(st.sampled_from(["as it is", "as it is", "as it is", "cut", "byte", "again", "deep", "number", "long"])):
        case "cut":
            return body[: draw(st.integers(0, len(body)))]
        case "byte":
            place = draw(st.integers(0, max(0, len(body) - 1)))
            return body[:place] + bytes([draw(st.integers(0, 255))]) + body[place + 1 :]
        case "again":  # each key twice
            return body.replace(b"{", b'{"channel": "web", "amount": 1, "channel": "web", ')
        case "deep":
            depth = draw(st.sampled_from([10, 500, 1_500]))
            return b'{"channel": "web", "facts": ' + b'{"a": ' * depth + b"1" + b"}" * depth + b"}"
        case "number":
            return body.replace(
                b"1", draw(st.sampled_from([b"1e400", b"-1e400", b"1e-400", b"NaN", b"0x1", b"1" * 4_000]))
            )
        case "long":
            return b'{"channel": "web", "customerId": "' + b"9" * draw(st.integers(250, 5_000)) + b'"}'
    return body


@pytest.fixture(scope="module")
def replica(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Replica]:
    directory = tmp_path_factory.mktemp("fuzz") / "shop"
    init_workspace(directory)
    text = (directory / "service.toml").read_text()
    (directory / "service.toml").write_text(text.replace("[channels.web]\n", '[channels.web]\ndeadline = "PT30S"\n'))
    replica = Replica.open(open_workspace(directory))
    with HUNT.random_ids():
        yield replica
    replica.close(drain_s=5.0)


def check(answer: Answered, body: bytes) -> None:
    """An answer that the client can read, and no failure of ours."""
    assert 200 <= answer.status < 500, (answer.status, answer.body, body[:500])
    parsed = json.loads(answer.body, parse_constant=_refuse)
    if answer.status >= 400:
        assert answer.headers["content-type"] == "application/problem+json"
        assert parsed["status"] == answer.status
        assert parsed["detail"]


def _refuse(constant: str) -> float:
    raise AssertionError(f"{constant} in an answer")


WHERE = [("/v1/decisions", "decision"), ("/v1/decisions/batch", "decision"), ("/v1/outcomes", "outcome")]


def fuzz(replica: Replica, path: str, what: str, *, examples: int) -> None:
    client = Client(create_app(replica))

    @settings(max_examples=examples, deadline=None, database=None, suppress_health_check=list(HealthCheck))
    @seed(SEED)
    @given(body=bodies(what))
    def one(body: bytes) -> None:
        check(asyncio.run(client.post(path, body)), body)

    one()


def test_a_few_and_of_all_that_was_taken_every_number_is_finite(replica: Replica) -> None:
    """The generators are no good if nothing passes: some bodies were taken."""
    for path, what in WHERE:
        fuzz(replica, path, what, examples=EXAMPLES)

    with replica.database.read() as connection:
        ids = list(connection.execute(sa.select(decisions.c.id)).scalars())
        records = [decision_store.get(connection, decision) for decision in ids]
        amounts = list(connection.execute(sa.select(outcomes.c.amount)).scalars())
    assert len(ids) > 20
    assert len(amounts) > 3
    for record in records:
        assert record is not None
        _finite(msgspec.to_builtins(logged(record)))
        _finite(json.loads(record.answer, parse_constant=_refuse))
    _finite(amounts)


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize(("path", "what"), WHERE)
def test_many(replica: Replica, path: str, what: str) -> None:
    fuzz(replica, path, what, examples=MANY)


@pytest.mark.parametrize("path", ["/v1/decisions", "/v1/decisions/batch", "/v1/outcomes"])
@pytest.mark.parametrize(
    "body",
    [
        b'{"channel": "web", "facts": ' + b'{"a": ' * 200_000 + b"1" + b"}" * 200_001,
        b"[" * 1_000_000,
        b'{"channel": "web", "customerId": "' + b"9" * 2**20 + b'"}',
        b'[{"outcomeId": "' + b"\\u0041" * 2**17 + b'"}]',
    ],
    ids=["deep objects", "deep lists", "long", "escapes"],
)
def test_deep_and_long_ones(replica: Replica, path: str, body: bytes) -> None:
    check(asyncio.run(Client(create_app(replica)).post(path, body)), body)


def _finite(value: Any) -> None:
    if isinstance(value, float):
        assert math.isfinite(value)
    elif isinstance(value, dict):
        for one in value.values():
            _finite(one)
    elif isinstance(value, list | tuple):
        for one in value:
            _finite(one)
