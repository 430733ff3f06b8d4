"""Contact rules against their definition, told again in plain loops, over random catalogues, rules and histories."""

import dataclasses
from collections.abc import Sequence

import hypothesis.strategies as st
import msgspec
import numpy as np
import pytest
from hypothesis import given, settings

from bandit_nba.catalogue import Action, Catalogue, ContactRule, Group, Treatment
from bandit_nba.catalogue.rules import compile_rules
from bandit_nba.decide.batch import Requests
from bandit_nba.decide.columns import Coded, Facts
from bandit_nba.decide.eligibility.contact import contact_removals, lookback_s
from bandit_nba.decide.eligibility.history import Contact, GivenRemovals, History
from bandit_nba.decide.eligibility.stages import eligible
from bandit_nba.decide.engine import Engine
from bandit_nba.decide.policy import Exploration, Policy
from bandit_nba.decide.scoring import NoModel
from tests.decide.decide_world import SALT

NOW = 1_000_000.0
CHANNELS = ("web", "email", "call")
OUTBOUND = frozenset({"email", "call"})
WAIT_S = 600.0
ACTIONS = (("tv", "sell"), ("case", "sell"), ("bill", "serve"), ("tip", "serve"))


def catalogue(*rules: ContactRule) -> Catalogue:
    actions = [Action(id=name, kind="offer", group=group) for name, group in ACTIONS[1:]]
    variants = (Treatment(id="long"), Treatment(id="short"))
    tv = Action(id="tv", kind="offer", group="sell", treatments=variants)
    return Catalogue(facts={}, groups={"sell": Group(), "serve": Group()}, contact_rules=rules, actions=(tv, *actions))


def requests(channels: Sequence[str], *, history: History | None = None, now: Sequence[float] = ()) -> Requests:
    n = len(channels)
    return Requests(
        ids=[f"d{i}" for i in range(n)],
        customers=[f"c{i}" for i in range(n)],
        channels=Coded(codes=np.array([CHANNELS.index(c) for c in channels], dtype=np.int64), values=CHANNELS),
        decided_at=np.array(now or [NOW] * n),
        facts=Facts(size=n, schema={}, columns={}),
        readable=np.ones(n, dtype=np.bool_),
        contacts=history,
    )


def history(*rows: Sequence[Contact]) -> History:
    return History.of(rows, outbound=OUTBOUND, wait_s=WAIT_S)


def reasons(rules: Sequence[ContactRule], contacts: Sequence[Contact], channel: str = "web") -> dict[str, str]:
    """What one customer's contacts take out, in words."""
    made = catalogue(*rules)
    codes, removals = contact_removals(made, history(contacts), requests([channel]))
    return {arm.id: removals[code - 1].reason for arm, code in zip(made.arms, codes[0], strict=True) if code}


def cap(scope: str, number: int = 2, within: str = "P1D", names: tuple[str, ...] = ()) -> ContactRule:
    return ContactRule(kind="cap", scope=scope, names=names, max=number, within=within)  # type: ignore[arg-type]


def ago(action: str, seconds: float, channel: str = "web", **more: float) -> Contact:
    answers = {name: at for name, at in more.items() if name != "counts_until"}
    return Contact(action, channel, NOW - seconds, more.get("counts_until", np.inf), answers)


def test_a_cap_on_a_group_takes_out_the_group_alone_and_says_so() -> None:
    found = reasons([cap("group")], [ago("tv", 10.0), ago("case", 20.0), ago("bill", 30.0)])

    assert found == dict.fromkeys(("tv/long", "tv/short", "case"), "2 of at most 2 contacts in group sell within P1D")


def test_variants_of_a_message_are_one_action() -> None:
    assert reasons([cap("action", 1)], [ago("tv", 10.0)]) == dict.fromkeys(
        ("tv/long", "tv/short"), "1 of at most 1 contact for action tv within P1D"
    )


@pytest.mark.parametrize(
    ("rule", "channel", "expected"),
    [
        (cap("channel", 1), "email", "1 of at most 1 contact on channel email within P1D"),
        (cap("channel", 1), "web", None),
        (cap("channel", 1, names=("web",)), "email", None),
        (cap("direction", 1), "call", "1 of at most 1 outbound contact within P1D"),
        (cap("direction", 1), "web", None),
        (cap("direction", 1, names=("inbound",)), "email", None),
        (cap("all", 1), "web", "1 of at most 1 contact within P1D"),
    ],
)
def test_channels_and_directions_count_where_the_request_comes_from(
    rule: ContactRule, channel: str, expected: str | None
) -> None:
    found = reasons([rule], [ago("tv", 10.0, "email")], channel)

    assert found == (
        {} if expected is None else dict.fromkeys(("tv/long", "tv/short", "case", "bill", "tip"), expected)
    )


def test_a_window_is_half_open() -> None:
    rule = cap("all", 1, "PT1H")

    assert reasons([rule], [ago("tv", 3_599.999)])
    assert not reasons([rule], [ago("tv", 3_600.0)])


def test_a_contact_of_the_future_counts() -> None:
    assert reasons([cap("all", 1)], [ago("tv", -50.0)])


def test_a_decision_that_was_not_activated_in_time_gives_its_count_back() -> None:
    assert reasons([cap("all", 1)], [ago("tv", 100.0, counts_until=NOW)])
    assert not reasons([cap("all", 1)], [ago("tv", 100.0, counts_until=NOW - 0.001)])


def test_more_contacts_than_a_new_cap_allows_are_told_as_more() -> None:
    (reason,) = set(reasons([cap("all", 1)], [ago("tv", 10.0), ago("tv", 20.0)]).values())

    assert reason == "more than 1 of at most 1 contact within P1D"


def test_rejects_pause_an_action_from_the_last_one_on() -> None:
    rule = ContactRule(kind="suppression", scope="action", after=2, outcomes=("reject",), within="PT1H", pause="P1D")
    twice = [ago("case", 9_000.0, reject=NOW - 8_000.0), ago("case", 7_000.0, reject=NOW - 6_000.0)]

    assert reasons([rule], twice) == {"case": "2 contacts for action case within PT1H met with reject: pause of P1D"}
    assert not reasons([rule], twice[:1])
    assert not reasons([rule], [twice[0], ago("case", 100.0, reject=NOW - 8_000.0 + 3_600.0)])  # an hour apart
    later = [msgspec.structs.replace(c, answers={"reject": c.answers["reject"] - 80_400.0}) for c in twice]
    assert not reasons([rule], later)  # the second was a day ago
    assert not reasons([rule], [twice[0], ago("bill", 7_000.0, reject=NOW - 6_000.0)])


def test_ignored_counts_from_maturity() -> None:
    rule = ContactRule(kind="suppression", scope="all", after=1, outcomes=("ignored",), within="PT1H", pause="PT1H")

    assert reasons([rule], [ago("tv", 700.0, ignored=NOW - 100.0)])
    assert not reasons([rule], [ago("tv", 500.0, ignored=NOW)])
    assert not reasons([rule], [ago("tv", 500.0, ignored=NOW + 100.0)])


def test_a_purchase_cools_its_group_down() -> None:
    rule = ContactRule(kind="cool_down", scope="group", outcomes=("accept", "purchase"), pause="PT1H")
    found = reasons([rule], [ago("tv", 500.0, purchase=NOW - 3_599.0)])

    assert found["case"] == "1 contact in group sell met with accept or purchase: pause of PT1H"
    assert set(found) == {"tv/long", "tv/short", "case"}
    assert not reasons([rule], [ago("tv", 500.0, purchase=NOW - 3_600.0)])


def test_an_action_that_the_catalogue_lost_counts_for_all_but_no_group() -> None:
    assert reasons([cap("all", 1)], [ago("gone", 10.0)])
    assert not reasons([cap("group", 1), cap("action", 1)], [ago("gone", 10.0)])


def test_contact_is_the_last_stage_and_the_first_stage_wins() -> None:
    made = catalogue(cap("all", 1))
    retained = dataclasses.replace
    guarded = Catalogue(
        facts={"consent": "boolean"},
        groups={"sell": Group(consent="customer.consent"), "serve": Group()},
        contact_rules=made.contact_rules,
        actions=made.actions,
    )
    asked = retained(requests(["web"], history=history([ago("tv", 5.0)])), facts=Facts(1, guarded.facts, {}))
    found = eligible(guarded, compile_rules(guarded), asked)
    stages = {arm.id: found.removals[c - 1].stage for arm, c in zip(guarded.arms, found.removed[0], strict=True) if c}

    assert stages == {
        "tv/long": "consent",
        "tv/short": "consent",
        "case": "consent",
        "bill": "contact",
        "tip": "contact",
    }
    assert found.mask[0].tolist() == [True, False, False, False, False, False]


def test_given_removals_are_taken_as_they_are() -> None:
    made = catalogue()
    asked = dataclasses.replace(requests(["web"] * 3), contacts=GivenRemovals([{}, {"case": "why"}, {"gone": "why"}]))
    found = eligible(made, compile_rules(made), asked)

    assert found.mask.sum(axis=1).tolist() == [6, 5, 6]
    assert found.removals[found.removed[1, 3] - 1].reason == "why"
    assert eligible(made, compile_rules(made), asked.take(1, 3)).mask.tolist() == found.mask[1:].tolist()


# --- against plain loops ----------------------------------------------------------------------------------------------


def plainly(made: Catalogue, contacts: Sequence[Contact], channel: str, now: float) -> set[str]:
    """The arms that contact rules take out, from their definition."""
    groups = {action.id: action.group for action in made.actions}

    def direction(name: str) -> str:
        return "outbound" if name in OUTBOUND else "inbound"

    def unit(rule: ContactRule, action: str, on: str) -> str | None:
        name = {
            "action": action if action in groups else None,
            "group": groups.get(action),
            "channel": on,
            "direction": direction(on),
            "all": "",
        }[rule.scope]
        return None if name is None or (rule.names and name not in rule.names) else name

    out = set()
    for arm in made.arms[1:]:
        for rule in made.contact_rules:
            own = unit(rule, arm.action.id, channel)
            if own is None:
                continue
            same = [c for c in contacts if unit(rule, c.action, c.channel) == own]
            if rule.kind == "cap":
                count = sum(now - c.decided_at < rule.within_s and now <= c.counts_until for c in same)
                if count >= (rule.max or 0):
                    out.add(arm.id)
                continue
            times = sorted(
                min(at)
                for c in same
                if now - c.decided_at < rule.within_s + rule.pause_s + WAIT_S
                and (at := [t for n, t in c.answers.items() if n in rule.outcomes and (n != "ignored" or t < now)])
            )
            n = rule.after or 1
            for j in range(n - 1, len(times)):
                together = n == 1 or times[j] - times[j - n + 1] < rule.within_s
                if together and now < times[j] + rule.pause_s:
                    out.add(arm.id)
    return out


DURATIONS = st.sampled_from(["PT5S", "PT20S", "PT1M"])
SCOPES = {
    "action": [name for name, _ in ACTIONS],
    "group": ["sell", "serve"],
    "channel": list(CHANNELS),
    "direction": ["inbound", "outbound"],
    "all": [],
}
OUTCOMES = ("reject", "accept", "ignored")


@st.composite
def rules(draw: st.DrawFn) -> ContactRule:
    scope = draw(st.sampled_from(sorted(SCOPES)))
    names = tuple(draw(st.lists(st.sampled_from(SCOPES[scope]), unique=True, max_size=2))) if SCOPES[scope] else ()
    kind = draw(st.sampled_from(["cap", "suppression", "cool_down"]))
    outcomes = tuple(draw(st.lists(st.sampled_from(OUTCOMES), unique=True, min_size=1)))
    more: dict[str, object] = {"outcomes": outcomes, "pause": draw(DURATIONS)}
    if kind == "cap":
        more = {"max": draw(st.integers(1, 4)), "within": draw(DURATIONS)}
    elif kind == "suppression":
        more |= {"after": draw(st.integers(1, 3)), "within": draw(DURATIONS)}
    return ContactRule(kind=kind, scope=scope, names=names, **more)  # type: ignore[arg-type]


TIMES = st.integers(-24, 2).map(lambda s: NOW + 5.0 * s)  # windows often end exactly at contacts
CONTACTS = st.builds(
    Contact,
    action=st.sampled_from([*(name for name, _ in ACTIONS), "gone"]),
    channel=st.sampled_from(CHANNELS),
    decided_at=TIMES,
    counts_until=st.one_of(st.just(np.inf), TIMES),
    answers=st.dictionaries(st.sampled_from(OUTCOMES), TIMES),
)
ROWS = st.lists(
    st.tuples(
        st.lists(CONTACTS, max_size=8), st.sampled_from(CHANNELS), st.integers(-4, 4).map(lambda s: NOW + 5.0 * s)
    ),
    min_size=1,
    max_size=6,
)


@given(st.lists(rules(), min_size=1, max_size=4), ROWS)
@settings(max_examples=300, deadline=None)
def test_removals_are_those_of_the_definition(
    declared: list[ContactRule], rows: list[tuple[list[Contact], str, float]]
) -> None:
    made = catalogue(*declared)
    past = history(*(contacts for contacts, _, _ in rows))
    asked = requests([channel for _, channel, _ in rows], now=[now for _, _, now in rows], history=past)
    codes, removals = contact_removals(made, past, asked)

    for i, (contacts, channel, now) in enumerate(rows):
        expected = plainly(made, contacts, channel, now)
        assert {arm.id for arm, code in zip(made.arms, codes[i], strict=True) if code} == expected
        alone, why = contact_removals(made, past.take(i, i + 1), asked.take(i, i + 1))
        told = [removals[c - 1].reason if c else "" for c in codes[i]]
        assert told == [why[c - 1].reason if c else "" for c in alone[0]]


@given(st.lists(rules(), min_size=1, max_size=3), ROWS, st.sampled_from(["squarecb", "epsilon_greedy", "uniform"]))
@settings(max_examples=100, deadline=None)
def test_no_excluded_arm_ever_has_positive_probability(
    declared: list[ContactRule], rows: list[tuple[list[Contact], str, float]], kind: str
) -> None:
    made = catalogue(*declared)
    policy = Policy(exploration=Exploration(kind=kind, floor=0.1))  # type: ignore[arg-type]
    engine = Engine(made, compile_rules(made), policy, SALT, reward_unit="response")
    past = history(*(contacts for contacts, _, _ in rows))
    asked = requests([channel for _, channel, _ in rows], now=[now for _, _, now in rows], history=past)
    decisions = engine.decide(asked, NoModel())

    for i, (contacts, channel, now) in enumerate(rows):
        out = plainly(made, contacts, channel, now)
        assert all(decisions.probability[i, k] == 0.0 for k, arm in enumerate(made.arms) if arm.id in out)
        assert made.arms[decisions.chosen[i]].id not in out
    np.testing.assert_allclose(decisions.probability.sum(axis=1), 1.0, rtol=1e-12)


def test_how_far_back_rules_look() -> None:
    """A cap its window; a suppression window, pause and the wait for outcomes: 3,600 + 86,400 + 600 s."""
    suppression = ContactRule(
        kind="suppression", scope="all", after=1, outcomes=("reject",), within="PT1H", pause="P1D"
    )

    assert lookback_s(catalogue(), wait_s=WAIT_S) == 0.0
    assert lookback_s(catalogue(cap("all", within="PT2H")), wait_s=WAIT_S) == 7_200.0
    assert lookback_s(catalogue(cap("all", within="PT2H"), suppression), wait_s=WAIT_S) == 90_600.0
