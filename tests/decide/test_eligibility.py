"""The eligible set: its stages, its reasons, and that it is the same for a row alone and in any batch."""

import datetime
from collections.abc import Callable, Mapping, Sequence

import numpy as np
import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from bandit_nba.catalogue import Action, Arm, Catalogue, Group, Rules, Treatment
from bandit_nba.catalogue.facts import FactKind, FactValue
from bandit_nba.catalogue.load import epoch
from bandit_nba.catalogue.rules import STAGES, compile_rules
from bandit_nba.decide.batch import Eligibility, Requests
from bandit_nba.decide.columns import Coded, Facts
from bandit_nba.decide.eligibility import plan as eligibility_plan
from bandit_nba.decide.eligibility.stages import eligible
from bandit_nba.errors import RuleError, SettingsError

SCHEMA: Mapping[str, FactKind] = {
    "age": "number",
    "senior": "boolean",
    "contract": "category",
    "owned": "set",
    "note": "text",
}
NOON = datetime.datetime(2026, 6, 1, 12, tzinfo=datetime.UTC)
Row = Mapping[str, FactValue | None]


def requests(
    rows: Sequence[Row],
    *,
    channels: Sequence[str] | None = None,
    moments: Sequence[float] | None = None,
    readable: Sequence[bool] | None = None,
) -> Requests:
    names = list(channels or ["web"] * len(rows))
    values = tuple(dict.fromkeys(names))
    return Requests(
        ids=[f"d{i}" for i in range(len(rows))],
        customers=[""] * len(rows),
        channels=Coded(codes=np.array([values.index(name) for name in names], dtype=np.int64), values=values),
        decided_at=np.array(moments or [NOON.timestamp()] * len(rows), dtype=np.float64),
        facts=Facts.from_rows(rows, SCHEMA),
        readable=np.array(readable or [True] * len(rows), dtype=np.bool_),
    )


def action(name: str = "a", **given: object) -> Action:
    return Action(**{"id": name, "kind": "offer", "group": "g", **given})  # type: ignore[arg-type]  # a test's shorthand


def catalogue(*actions: Action, rules: Rules | None = None, groups: Mapping[str, Group] | None = None) -> Catalogue:
    return Catalogue(facts=SCHEMA, rules=rules or Rules(), groups=groups or {}, actions=actions)


def decide(made: Catalogue, asked: Requests) -> Eligibility:
    return eligible(made, compile_rules(made), asked)


def reasons(found: Eligibility, row: int = 0) -> list[str]:
    """Stage and reason of each arm in words, "" where it stays."""
    return [
        "" if code == 0 else f"{found.removals[code - 1].stage}: {found.removals[code - 1].reason}"
        for code in found.removed[row].tolist()
    ]


def test_without_rules_everything_stays() -> None:
    found = decide(
        catalogue(action("a"), action("b", treatments=(Treatment(id="x"), Treatment(id="y")))), requests([{}])
    )

    assert found.mask.tolist() == [[True] * 4]
    assert found.removed.dtype == np.int16


@pytest.mark.parametrize(
    ("seconds_after_start", "expected"),
    [
        (-0.001, "validity: valid from 2026-06-01T00:00:00+00:00"),
        (0.0, ""),
        (86_399.999, ""),
        (86_400.0, "validity: valid until 2026-06-02T00:00:00+00:00"),
    ],
)
def test_validity_is_from_the_first_moment_to_just_before_the_last(seconds_after_start: float, expected: str) -> None:
    start = datetime.datetime(2026, 6, 1)
    made = catalogue(action(valid_from=start, valid_until=datetime.datetime(2026, 6, 2, tzinfo=datetime.UTC)))

    found = decide(made, requests([{}], moments=[epoch(start) + seconds_after_start]))

    assert reasons(found) == ["", expected]


def test_channels_of_the_treatment_come_before_those_of_the_action() -> None:
    made = catalogue(
        action("everywhere"),
        action("a", channels=("web", "sms"), treatments=(Treatment(id="x", channels=("sms",)), Treatment(id="y"))),
    )

    found = decide(made, requests([{}, {}, {}], channels=["web", "sms", "kiosk"]))

    assert reasons(found, 0) == ["", "", "channel: only on sms", ""]
    assert reasons(found, 1) == ["", "", "", ""]
    assert reasons(found, 2) == ["", "", "channel: only on sms", "channel: only on web, sms"]


def test_an_unknown_channel_shows_only_what_may_go_everywhere() -> None:
    asked = requests([{}])
    unknown = Requests(
        ids=asked.ids,
        customers=asked.customers,
        channels=Coded(codes=np.array([-1]), values=("web",)),
        decided_at=asked.decided_at,
        facts=asked.facts,
        readable=asked.readable,
    )

    found = decide(catalogue(action("a", channels=("web",)), action("b", eligibility="channel != 'sms'")), unknown)

    assert found.mask.tolist() == [[True, False, False]]


def test_the_first_stage_that_removes_is_kept_in_the_order_of_stages() -> None:
    late = {"valid_until": datetime.datetime(2020, 1, 1)}
    off = {"channels": ("sms",)}
    rules = dict.fromkeys(STAGES, "false")
    owned = {"owned_as": "phone"}
    made = catalogue(
        action("validity", **late, **off, **rules, **owned),
        action("channel", **off, **rules, **owned),
        action("consent", **rules, **owned),
        action("eligibility", **{**rules, "consent": ""}, **owned),
        action("applicability", applicability="false", suitability="false", **owned),
        action("suitability", suitability="false", **owned),
        action("ownership", **owned),
        action("stays", owned_as="case"),
    )

    found = decide(made, requests([{"owned": ("phone",)}]))

    stages = [reason.split(":")[0] for reason in reasons(found)]
    assert stages == ["", *(a.id for a in made.actions[:-1]), ""]


def test_reasons_name_the_level_and_the_rule() -> None:
    made = catalogue(
        action("a", eligibility="customer.age >= 18.0"),
        rules=Rules(suitability="customer.note != 'x'"),
        groups={"g": Group(consent="customer.senior\n  || false")},
    )
    rows = [
        {"age": 30.0, "senior": False, "note": ""},
        {"age": 17.0, "senior": True, "note": ""},
        {"age": 18.0, "senior": True, "note": "x"},
        {"age": 18.0, "senior": True, "note": "y"},
        {"senior": True, "note": "y"},
    ]

    found = decide(made, requests(rows))

    assert [reasons(found, i)[1] for i in range(5)] == [
        'consent: rule of group "g": customer.senior || false',
        "eligibility: rule of the action: customer.age >= 18.0",
        "suitability: rule of the catalogue: customer.note != 'x'",
        "",
        "eligibility: rule of the action: customer.age >= 18.0"
        " (could not be answered: a fact it needs is unknown, or it failed)",
    ]


def test_a_rule_that_fails_excludes_and_is_counted_once_per_row() -> None:
    made = catalogue(
        action("a", eligibility="customer.age > 1.0"),
        action("b", eligibility="customer.age > 1.0"),
        action("c", eligibility="customer.note.matches('(')"),
        action("d", eligibility="customer.age > 1.0", valid_until=datetime.datetime(2020, 1, 1)),
    )

    found = decide(made, requests([{"age": 5.0, "note": "n"}, {"note": "n"}, {}]))

    assert found.mask[:, :3].tolist() == [[True, True, True], [True, False, False], [True, False, False]]
    assert not found.mask[:, 3:].any()
    assert found.failures == {"customer.age > 1.0": 2, "customer.note.matches('(')": 3}


def test_rules_are_not_asked_for_arms_that_are_out_already() -> None:
    made = catalogue(action("a", consent="customer.senior", eligibility="customer.age > 1.0"))

    found = decide(made, requests([{"senior": False}]))

    assert found.failures == {}


def test_unreadable_customers_keep_only_safe_arms_that_their_rules_allow() -> None:
    made = catalogue(
        action("safe", safe_without_profile=True),
        action("unsafe"),
        action("safe_on_sms", safe_without_profile=True, eligibility="channel == 'sms'"),
        action("safe_for_adults", safe_without_profile=True, eligibility="customer.age > 18.0"),
    )

    found = decide(
        made, requests([{}, {}, {"age": 20.0}], channels=["web", "sms", "web"], readable=[False, False, True])
    )

    assert found.mask.tolist() == [
        [True, True, False, False, False],
        [True, True, False, True, False],
        [True, True, True, False, True],
    ]
    assert reasons(found)[2].startswith("profile: the customer's profile cannot be read")


def test_sets_that_are_unknown_are_empty_whatever_the_batch() -> None:
    made = catalogue(
        action("a", eligibility="!('x' in customer.owned)"), action("b", eligibility="has(customer.owned)")
    )

    alone = decide(made, requests([{}]))
    beside = decide(made, requests([{}, {"owned": ("x",)}]))

    assert alone.mask.tolist() == [[True, True, False]]
    assert beside.mask.tolist() == [[True, True, False], [True, False, True]]


def test_now_and_the_action_can_be_read() -> None:
    rule = "now >= timestamp('2026-06-01T12:00:00Z') && action.id == 'b' && action.group == 'g'"
    made = catalogue(action("a", eligibility=rule), action("b", eligibility=rule))

    found = decide(made, requests([{}, {}], moments=[NOON.timestamp(), NOON.timestamp() - 1.0]))

    assert found.mask.tolist() == [[True, False, True], [True, False, False]]


def test_many_rows_that_are_alike_to_a_rule_still_get_their_own_answer() -> None:
    rng = np.random.default_rng(5)
    ages, seniors = rng.normal(40.0, 20.0, 3_000), rng.random(3_000) < 0.5
    rows = [{"age": float(a), "senior": bool(s)} if s or a > 0 else {} for a, s in zip(ages, seniors, strict=True)]
    made = catalogue(action("a", eligibility="customer.senior || customer.age > 50.0"))

    found = decide(made, requests(rows))

    assert found.mask[:, 1].tolist() == [bool(s) or bool(a > 50.0) for a, s in zip(ages, seniors, strict=True)]


def test_an_empty_batch_and_an_empty_catalogue() -> None:
    made = catalogue(action("a", eligibility="customer.age > 1.0", owned_as="x", channels=("web",)))

    assert decide(made, requests([])).mask.shape == (0, 2)
    assert decide(catalogue(), requests([{}])).mask.tolist() == [[True]]


def test_rules_of_another_version_are_refused() -> None:
    made = catalogue(action("a"))

    with pytest.raises(RuleError, match="another version"):
        eligible(made, compile_rules(catalogue(action("b"))), requests([{}]))


def test_more_reasons_than_the_log_can_count_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    made = catalogue(*(action(f"a{i}", eligibility=f"customer.age > {i}.0") for i in range(6)))
    monkeypatch.setattr(eligibility_plan, "MAX_REMOVALS", 11)  # each rule has two reasons: untrue and failed

    with pytest.raises(SettingsError, match="too many different rules"):
        decide(made, requests([{}]))


# ------------------------------------------------------------------------------------------------------------------
# Random catalogues against the definition, arm by arm and row by row in plain Python.
# ------------------------------------------------------------------------------------------------------------------
class Unknown(Exception):  # noqa: N818  not an error: the plain rules' way to say that a fact is missing
    """A fact is unknown."""


def fact(row: Row, name: str) -> object:
    value = row.get(name)
    if value is None:
        raise Unknown
    return value


Plain = Callable[[Row, str, float, Arm], bool]
POOL: Mapping[str, Plain] = {
    "true": lambda *_: True,
    "false": lambda *_: False,
    "customer.age >= 30.0": lambda row, *_: float(fact(row, "age")) >= 30.0,  # type: ignore[arg-type]
    "!has(customer.age) || customer.age < 40.0": lambda row, *_: row.get("age") is None or float(row["age"]) < 40.0,  # type: ignore[arg-type]
    "customer.senior": lambda row, *_: fact(row, "senior") is True,
    "has(customer.senior) && !customer.senior": lambda row, *_: row.get("senior") is False,
    "customer.contract in ['x', 'y']": lambda row, *_: fact(row, "contract") in ("x", "y"),
    "'phone' in customer.owned": lambda row, *_: "phone" in (row.get("owned") or ()),  # type: ignore[operator]
    "!has(customer.owned)": lambda row, *_: not row.get("owned"),
    "customer.note.contains('|')": lambda row, *_: "|" in str(fact(row, "note")),
    "channel == 'web'": lambda _row, channel, *_: channel == "web",
    "now < timestamp('2026-06-01T12:00:30Z')": lambda _row, _channel, moment, _arm: moment < NOON.timestamp() + 30,
    "action.id != 'a1'": lambda _row, _channel, _moment, arm: arm.action.id != "a1",
    "action.group == 'g' || customer.senior": lambda row, _c, _m, arm: (
        arm.action.group == "g" or fact(row, "senior") is True
    ),
}


def plain_answer(made: Catalogue, arm: Arm, row: Row, channel: str, moment: float, *, readable: bool) -> str:
    """The stage that removes an arm, "" where it stays, straight from the definition."""
    act = arm.action
    if act.kind == "none":
        return ""
    if act.valid_from and moment < epoch(act.valid_from):
        return "validity"
    if act.valid_until and moment >= epoch(act.valid_until):
        return "validity"
    if arm.channels and channel not in arm.channels:
        return "channel"
    if not readable and not act.safe_without_profile:
        return "profile"
    for stage in STAGES:
        for rules in (made.rules, made.groups.get(act.group, Group()), act):
            text = getattr(rules, stage)
            try:
                if text and not POOL[text](row, channel, moment, arm):
                    return stage
            except Unknown:
                return stage
    return "ownership" if act.owned_as and act.owned_as in (row.get("owned") or ()) else ""  # type: ignore[operator]


_RULE = st.sampled_from(["", "", "", *POOL])
_RULES = dict.fromkeys(STAGES, _RULE)
_MOMENTS = st.none() | st.sampled_from([NOON, NOON.replace(tzinfo=None) + datetime.timedelta(seconds=30)])
_CHANNELS = st.sampled_from([(), ("web",), ("sms", "web")])
_ACTION = st.fixed_dictionaries(
    {
        "group": st.sampled_from(["g", "h", "other"]),
        "channels": _CHANNELS,
        "valid_from": _MOMENTS,
        "valid_until": _MOMENTS,
        "owned_as": st.sampled_from(["", "phone", "case"]),
        "safe_without_profile": st.booleans(),
        "treatments": st.sampled_from([(), (Treatment(id="x", channels=("sms",)), Treatment(id="y"))]),
        **_RULES,
    }
)
_ROW = st.fixed_dictionaries(
    {},
    optional={
        "age": st.sampled_from([29.9, 30.0, 45.0]),
        "senior": st.booleans(),
        "contract": st.sampled_from(["x", "z", "x|y", "x\ny"]),
        "owned": st.sampled_from([(), ("phone",), ("case", "phone"), ("a b",)]),
        "note": st.sampled_from(["", "a|b", "'", "x: y\n"]),
    },
)
_REQUEST = st.tuples(_ROW, st.sampled_from(["web", "sms", "kiosk"]), st.sampled_from([-1.0, 0.0, 30.0]), st.booleans())


@hypothesis_settings(deadline=None, max_examples=120, suppress_health_check=[HealthCheck.too_slow])
@given(
    st.lists(_ACTION, max_size=4),
    st.fixed_dictionaries(_RULES),
    st.fixed_dictionaries({"g": st.fixed_dictionaries(_RULES), "h": st.fixed_dictionaries(_RULES)}),
    st.lists(_REQUEST, min_size=1, max_size=30),
)
def test_any_catalogue_and_batch_get_what_the_definition_says_row_by_row_and_alone(
    actions: list[dict[str, object]],
    rules: dict[str, str],
    groups: dict[str, dict[str, str]],
    asked: list[tuple[Row, str, float, bool]],
) -> None:
    asked = asked * 3  # often enough rows for those that are alike to be asked once
    made = catalogue(
        *(action(f"a{i}", **given) for i, given in enumerate(actions)),
        rules=Rules(**rules),
        groups={name: Group(**given) for name, given in groups.items()},
    )
    compiled = compile_rules(made)
    moments = [NOON.timestamp() + seconds for _, _, seconds, _ in asked]
    batch = requests(
        [row for row, *_ in asked],
        channels=[channel for _, channel, _, _ in asked],
        moments=moments,
        readable=[readable for *_, readable in asked],
    )

    found = eligible(made, compiled, batch)

    for i, (row, channel, _, readable) in enumerate(asked):
        expected = [plain_answer(made, arm, row, channel, moments[i], readable=readable) for arm in made.arms]
        assert [reason.split(":")[0] for reason in reasons(found, i)] == expected
        alone = eligible(made, compiled, batch.take(i, i + 1))
        assert reasons(alone) == reasons(found, i)
