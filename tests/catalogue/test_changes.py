"""What differs between two catalogues is told completely and field by field."""

import msgspec
import pytest

from bandit_nba.catalogue import Action, Catalogue, ContactRule, Group, Rules, Treatment
from bandit_nba.catalogue.changes import Change, FieldChange, changes, in_words, refuse_other_kinds
from bandit_nba.errors import RefusedError

CAP = ContactRule(kind="cap", scope="all", max=2, within="P7D")
TV = Action(id="tv", kind="offer", group="sell", value=10.0, treatments=(Treatment(id="a", text="Hello"),))
BILL = Action(id="bill", kind="service", group="serve")
BEFORE = Catalogue(facts={"age": "number"}, groups={"sell": Group(), "serve": Group()}, actions=(TV, BILL))


def with_(**fields: object) -> Catalogue:
    return msgspec.structs.replace(BEFORE, **fields)


def test_equal_catalogues_have_no_changes() -> None:
    assert changes(BEFORE, with_()) == ()


def test_a_changed_action_shows_each_field_before_and_after() -> None:
    variants = (Treatment(id="a", text="Hi"), Treatment(id="b"))
    tv = msgspec.structs.replace(TV, value=12.0, suitability="customer.age > 18.0", treatments=variants)

    assert changes(BEFORE, with_(actions=(tv, BILL))) == (
        Change(
            "action",
            "tv",
            "changed",
            (
                FieldChange("value", 10.0, 12.0),
                FieldChange("treatments.a.text", "Hello", "Hi"),
                FieldChange("suitability", None, "customer.age > 18.0"),
                FieldChange("treatments.b", None, True),
            ),
        ),
    )


def test_actions_come_go_retire_and_return() -> None:
    retired = msgspec.structs.replace(TV, retired=True)
    new = Action(id="new", kind="offer", group="sell")
    found = changes(BEFORE, with_(actions=(retired, new)))

    assert [(c.id, c.how) for c in found] == [("tv", "retired"), ("bill", "removed"), ("new", "added")]
    assert changes(with_(actions=(retired, BILL)), BEFORE)[0].how == "brought back"
    assert in_words(found)[:2] == ["action tv: retired", "    retired: - -> true"]
    assert "better retired" in in_words(found)[2]


def test_facts_groups_rules_and_contact_rules_are_told() -> None:
    after = Catalogue(
        facts={"age": "number", "town": "category"},
        rules=Rules(consent="customer.age > 18.0"),
        groups={"sell": Group(consent="true"), "serve": Group()},
        contact_rules=(CAP,),
        actions=BEFORE.actions,
    )

    assert [(c.what, c.id, c.how) for c in changes(BEFORE, after)] == [
        ("fact", "town", "added"),
        ("rules", "catalogue", "changed"),
        ("group", "sell", "changed"),
        ("contact rule", 'kind="cap" scope="all" max=2 within="P7D"', "added"),
        # nothing of the actions
    ]
    assert changes(after, BEFORE)[-1].how == "removed"


def test_an_other_order_is_a_change() -> None:
    (change,) = changes(BEFORE, with_(actions=(BILL, TV)))

    assert in_words([change]) == ["action order in the file: changed"]


def test_a_fact_keeps_its_kind() -> None:
    with pytest.raises(RefusedError, match="keeps its kind") as caught:
        refuse_other_kinds(BEFORE, with_(facts={"age": "category"}))

    assert caught.value.where == "catalogue.toml: facts.age"
    refuse_other_kinds(BEFORE, with_(facts={"town": "category"}))
