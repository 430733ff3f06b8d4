"""The audit finds nothing in a true log, names what was tampered with, and notices choices that were not drawn."""

from collections.abc import Sequence

import msgspec
import numpy as np
import pytest

from bandit_nba.decide.audit.run import ALARM, AuditResult, audit
from bandit_nba.decide.choice.sample import draw
from bandit_nba.decide.eligibility.stages import eligible
from bandit_nba.decide.engine import Engine
from bandit_nba.decide.record import DecisionRecord
from tests.decide import decide_world as world
from tests.decide.decide_log import REWARD_VERSION, Memory, audited, logged_as


def _decided(rows: int, *, seed: int = 0, engine: Engine | None = None, readable: float = 1.0) -> list[DecisionRecord]:
    engine, model = engine or world.engine(), world.ExactModel()
    return logged_as(
        engine.decide(world.requests(rows, seed=seed, readable=readable), model),
        engine.versions(model, reward=REWARD_VERSION),
    )


@pytest.fixture(scope="module")
def log() -> list[DecisionRecord]:
    return _decided(300, readable=0.9)


def _changed(log: list[DecisionRecord], at: int, **columns: object) -> list[DecisionRecord]:
    return [*log[:at], msgspec.structs.replace(log[at], **columns), *log[at + 1 :]]


def _lists(record: DecisionRecord) -> tuple[list[str], list[float], list[float]]:
    return tuple(msgspec.json.decode(c) for c in (record.arms, record.probabilities, record.expected_rewards))  # type: ignore[return-value]


def _row_with(log: Sequence[DecisionRecord], *, arms: int) -> int:
    """The first normal row with at least so many eligible arms."""
    return next(i for i, r in enumerate(log) if len(_lists(r)[0]) >= arms and r.kind == "normal")


class TestTrueLogs:
    def test_every_kind_of_row_comes_out_again_bit_for_bit(self, log: list[DecisionRecord]) -> None:
        engine, model = world.engine(), world.ExactModel()
        asked = world.requests(100, seed=1)
        after_rules = eligible(engine.catalogue, engine.rules, asked)
        rest = world.requests(40, seed=2)
        versions = engine.versions(model, reward=REWARD_VERSION)
        fallbacks = [
            *logged_as(engine.fall_back(asked, after_rules), versions),
            *logged_as(engine.fall_back(rest, None), versions),
        ]

        found = audited([*log, *fallbacks])

        assert found.first == ()
        assert found.ok
        assert found.max_difference == 0.0
        assert found.rows == 440
        assert found.kinds["fallback"] == 140
        assert found.kinds["unreadable"] > 10
        assert sum(found.pit) == 440

    def test_versions_may_mix_in_any_order(self) -> None:
        """Two policies, two models and no model, shuffled."""
        greedy = world.engine(kind="epsilon_greedy").policy
        source = Memory(world.POLICY, greedy)
        source.models["later"] = world.ExactModel(examples_learned=9_000, seed=5)
        source.models["later"].version = "later"  # type: ignore[misc]  # a test double's
        rows = []
        for i, (policy, model) in enumerate(
            ((world.POLICY, "exact"), (greedy, "exact"), (world.POLICY, "later"), (greedy, "later"))
        ):
            engine, scorer = world.engine(policy), source.models[model]
            requests = world.requests(60, seed=10 + i)
            rows += logged_as(engine.decide(requests, scorer), engine.versions(scorer, reward=REWARD_VERSION))

        found = audited([rows[i] for i in np.random.default_rng(1).permutation(len(rows))], source)

        assert found.first == ()
        assert (found.rows, found.max_difference) == (240, 0.0)

    def test_erased_facts_leave_the_choice_to_be_checked(self, log: list[DecisionRecord]) -> None:
        erased = [msgspec.structs.replace(record, facts=None) for record in log]

        found = audited(erased)

        assert found.ok
        assert found.erased == 300

    def test_an_empty_log_is_true(self) -> None:
        found = audited([])

        assert (found.ok, found.rows, found.pit_p_value) == (True, 0, None)

    def test_many_chunks_count_as_one(self, log: list[DecisionRecord], monkeypatch: pytest.MonkeyPatch) -> None:
        whole = audited(log)
        monkeypatch.setattr("bandit_nba.decide.audit.run.ROWS_PER_CHUNK", 37)
        told: list[int] = []

        found = audit(log, Memory(), rng=np.random.default_rng(0), progress=told.append)

        assert found == whole
        assert told == [37] * 8 + [4]


class TestTamperedLogs:
    def test_another_arm(self, log: list[DecisionRecord]) -> None:
        at = _row_with(log, arms=5)
        arms, p, _ = _lists(log[at])
        other = next(k for k in range(len(arms)) if arms[k] != log[at].arm)

        found = audited(_changed(log, at, arm=arms[other], propensity=p[other]))

        assert found.differ == {"chosen arm": 1}
        assert not found.ok
        assert found.first[0].id == log[at].id
        assert found.first[0].what == (f"chosen arm: logged {arms[other]}, the draw gives {log[at].arm}",)

    def test_another_distribution(self, log: list[DecisionRecord]) -> None:
        """A shift of 1e-6 from one arm to another; one of 1e-11 is rounding."""
        at = _row_with(log, arms=5)
        arms, p, _ = _lists(log[at])
        one, two = [k for k in range(len(arms)) if arms[k] != log[at].arm][:2]

        for shift, expected in ((1e-6, {"distribution": 1}), (1e-11, {})):
            q = list(p)
            q[one], q[two] = q[one] + shift, q[two] - shift
            found = audited(_changed(log, at, probabilities=msgspec.json.encode(q)))
            assert found.differ == expected
            assert found.max_difference == pytest.approx(shift, rel=1e-3)

    def test_another_eligible_set(self, log: list[DecisionRecord]) -> None:
        """One arm kept out of the log, its probability given to another."""
        at = _row_with(log, arms=5)
        arms, p, q = _lists(log[at])
        gone = next(k for k in range(len(arms) - 1, 0, -1) if arms[k] != log[at].arm)
        heir = next(k for k in range(len(arms)) if arms[k] not in (log[at].arm, arms[gone]))
        p[heir] += p[gone]
        name = arms[gone]
        lists = {"arms": arms, "probabilities": p, "expected_rewards": q}
        for values in lists.values():
            del values[gone]  # type: ignore[attr-defined]  # both are lists

        found = audited(_changed(log, at, **{n: msgspec.json.encode(v) for n, v in lists.items()}))

        assert found.differ["eligible set"] == 1
        assert f"eligible set: eligible, but not logged: {name}" in found.first[0].what

    def test_other_expected_rewards(self, log: list[DecisionRecord]) -> None:
        at = _row_with(log, arms=5)
        q = _lists(log[at])[2]

        found = audited(_changed(log, at, expected_rewards=msgspec.json.encode([q[0] + 1e-6, *q[1:]])))

        assert found.differ == {"expected reward": 1}

    def test_another_fact(self, log: list[DecisionRecord]) -> None:
        at = next(i for i, r in enumerate(log) if b'"contract":"monthly"' in (r.facts or b""))
        facts = (log[at].facts or b"").replace(b'"contract":"monthly"', b'"contract":"yearly"')

        found = audited(_changed(log, at, facts=facts))

        assert found.differing == 1
        assert {"distribution", "eligible set"} & set(found.differ)

    @pytest.mark.parametrize("change", [{"channel": "elsewhere"}, {"kind": "unreadable"}, {"kind": "fallback"}])
    def test_another_request(self, log: list[DecisionRecord], change: dict[str, str]) -> None:
        at = _row_with(log, arms=8)

        assert audited(_changed(log, at, **change)).differing == 1

    def test_another_id(self, log: list[DecisionRecord]) -> None:
        """Another id draws another arm: of 300 renamed rows more than a fifth are found."""
        renamed = [msgspec.structs.replace(record, id=f"x{record.id}") for record in log]

        found = audited(renamed)

        assert found.differ["chosen arm"] > 60
        assert len(found.first) == 10

    @pytest.mark.parametrize(
        "change",
        [
            {"probabilities": b"[0.5,0.4]"},
            {"probabilities": b"[null]"},
            {"arms": b'["no_action"]'},
            {"arm": "unknown"},
            {"propensity": 0.123},
            {"propensity": None},
            {"facts": b'{"age":"old"}'},
            {"facts": b'{"shoe_size":44.0}'},
        ],
    )
    def test_columns_that_do_not_hold_together(self, log: list[DecisionRecord], change: dict[str, object]) -> None:
        found = audited(_changed(log, _row_with(log, arms=5), **change))

        assert found.differ == {"record": 1}

    def test_an_arm_that_the_catalogue_never_had(self, log: list[DecisionRecord]) -> None:
        at = _row_with(log, arms=5)
        arms, _, _ = _lists(log[at])
        chosen = arms.index(log[at].arm)
        arms[chosen] = "ghost"

        found = audited(_changed(log, at, arms=msgspec.json.encode(arms), arm="ghost"))

        assert found.first[0].what == ("eligible set: logged, but not in the catalogue: ghost",)


class TestLostDefinitions:
    @pytest.mark.parametrize("kind", ["catalogue", "policy", "reward"])
    def test_a_definition_that_is_gone(self, log: list[DecisionRecord], kind: str) -> None:
        source = Memory()
        source.definitions = {key: content for key, content in source.definitions.items() if key[0] != kind}

        found = audited(log, source)

        assert found.differ == {"definitions": 300}
        assert f"{kind} is not known any more" in found.first[0].what[0]

    @pytest.mark.parametrize(
        ("kind", "old", "new"),
        [
            ("policy", b'"floor":0.05', b'"floor":0.04'),
            ("reward", b'"response"', b'"money"'),
            ("catalogue", b'"v1"', b'"v9"'),
        ],
    )
    def test_a_definition_that_was_changed(self, log: list[DecisionRecord], kind: str, old: bytes, new: bytes) -> None:
        source = Memory()
        key = next(key for key in source.definitions if key[0] == kind)
        assert old in source.definitions[key]
        source.definitions[key] = source.definitions[key].replace(old, new)

        found = audited(log, source)

        assert found.differ == {"definitions": 300}
        assert "is not what its version names" in found.first[0].what[0]

    @pytest.mark.parametrize("content", [b"", b"{", b"[1]", b"\xff"])
    def test_a_definition_that_is_damaged(self, log: list[DecisionRecord], content: bytes) -> None:
        source = Memory()
        source.definitions["policy", world.POLICY.version] = content

        assert audited(log, source).differ == {"definitions": 300}

    def test_a_model_that_is_gone(self, log: list[DecisionRecord]) -> None:
        source = Memory()
        source.models = {}

        assert audited(log, source).differ == {"definitions": 300}

    def test_a_salt_that_is_gone(self, log: list[DecisionRecord]) -> None:
        source = Memory()
        source.salts = {}

        found = audited(log, source)

        assert found.differ == {"definitions": 300, "chosen arm": 300}


class TestPower:
    """20,000 choices, seed 1. A true sampler fails at one seed in 10,000 (`ALARM`); `test_pit` measures many seeds."""

    ROWS = 20_000

    def _pit(self, power: float, *, seed: int) -> AuditResult:
        """Audit choices drawn from p^power, normalised, while p is logged; drawn by a generator, so only PIT can tell.

        The rows' facts are erased: what is left to check are the choices.
        """
        rng = np.random.default_rng(seed)
        p = rng.dirichlet(np.full(12, 0.7), size=self.ROWS)
        q = p**power
        q /= q.sum(axis=1, keepdims=True)
        chosen = draw(q, rng.random(self.ROWS)).tolist()
        template = _decided(1)[0]
        arms = [f"a{k}" for k in range(12)]
        p /= p.sum(axis=1, keepdims=True)
        rows = [
            msgspec.structs.replace(
                template,
                id=f"d{i}",
                facts=None,
                arm=arms[chosen[i]],
                arms=msgspec.json.encode(arms),
                probabilities=msgspec.json.encode(p[i].tolist()),
                expected_rewards=msgspec.json.encode([0.0] * 12),
                propensity=float(p[i, chosen[i]]),
            )
            for i in range(self.ROWS)
        ]
        return audited(rows)

    def test_a_slightly_bolder_sampler_is_rejected(self) -> None:
        found = self._pit(1.1, seed=1)

        assert found.pit_p_value is not None
        assert found.pit_p_value < ALARM

    def test_a_true_sampler_is_not(self) -> None:
        found = self._pit(1.0, seed=1)

        assert found.pit_p_value is not None
        assert found.pit_p_value > ALARM
