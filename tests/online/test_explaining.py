"""Explanations of logged decisions: words in two languages, numbers that add up, and nothing that changes."""

from collections.abc import Sequence

import msgspec
import pytest
import sqlalchemy as sa

from bandit_nba.decide.explain.labels import Language
from bandit_nba.errors import RefusedError, UnknownIdError
from bandit_nba.online import definitions
from bandit_nba.online.answering import Answer
from bandit_nba.online.collector import Collector
from bandit_nba.online.decider import Decider
from bandit_nba.online.explaining import Explaining, ExplanationAnswer
from bandit_nba.online.learning_loop import LearningLoop
from bandit_nba.online.messages import DecisionRequest, Outcome
from bandit_nba.online.model_feed import ModelFeed, StoredModels
from bandit_nba.store.database import Database
from bandit_nba.store.tables import decisions, metadata
from bandit_nba.workspace import Workspace
from tests.online import customer
from tests.online.clock import Clock

KNOWN = {**customer.KNOWN, "owned": ["streaming"]}


def asked(decision: str, **facts: object) -> DecisionRequest:
    return msgspec.convert({"decisionId": decision, "channel": "web", "facts": {**KNOWN, **facts}}, DecisionRequest)


@pytest.fixture
def learned(workspace: Workspace, database: Database, clock: Clock) -> Decider:
    """A decider whose model has learned 300 decisions: the young take the discount, the retired take nothing."""
    definitions.register(workspace, database, clock=clock)
    feed = ModelFeed(StoredModels(database), poll_every_s=1.0, clock=clock)
    decider = Decider(workspace, database, feed, clock=clock)
    collector = Collector(workspace, database, clock=clock)
    arms = arms_of(decider, [asked(f"t-{i}", senior=i % 2 == 0) for i in range(300)])
    taken = [decision for i, (decision, arm) in enumerate(arms.items()) if arm == "loyalty_discount" and i % 2]
    collector.collect_batch([Outcome(outcome_id=f"o-{d}", type="accept", decision_id=d) for d in taken])
    clock.now_s += 1_801.0
    LearningLoop.open(workspace, database, clock=clock).step()
    feed.poll()
    assert feed.current().examples_learned == 300
    return decider


@pytest.fixture
def explaining(workspace: Workspace, database: Database) -> Explaining:
    return Explaining(database, workspace.salts, workspace.labels)


def everything(database: Database) -> dict[str, list[tuple[object, ...]]]:
    """All rows of all tables."""
    with database.read() as connection:
        return {
            table.name: sorted(map(tuple, connection.execute(sa.select(table)).all()), key=repr)
            for table in metadata.sorted_tables
        }


def arms_of(decider: Decider, requests: Sequence[DecisionRequest]) -> dict[str, str]:
    """The arm of each decision by id."""
    answers = decider.decide_batch(requests)
    told = [msgspec.json.decode(answer.body) for answer in answers if isinstance(answer, Answer)]
    return {one["decisionId"]: one["arm"] for one in told}


def decide(decider: Decider, *, arm: str) -> str:
    """The id of a decision that came out as `arm`."""
    arms = arms_of(decider, [asked(f"{arm}-{i}") for i in range(500)])
    return next(decision for decision, chosen in arms.items() if chosen == arm)


@pytest.mark.parametrize("language", ["en", "de"])
def test_the_best_action_in_words(learned: Decider, explaining: Explaining, language: Language) -> None:
    found = explaining.explain(decide(learned, arm="loyalty_discount"), language)
    words = found.words

    if language == "de":
        assert words.headline == "Vorgeschlagen: 10 % Nachlass für ein weiteres Jahr."
        assert words.why == ["Das versprach am meisten von allem, was möglich war."]
        assert "Spricht dafür: Das kommt auch sonst besser an als das andere, bei wem auch immer." in words.speaks_for
        assert "Streaming ein Jahr zum halben Preis: Der Kunde hat das schon." in words.excluded
        assert any(one.startswith("Der Wert für das Geschäft: erwarteter Nutzen ") for one in words.weighing)
    else:
        assert words.headline == "Proposed: 10 % off for another year with us."
        assert words.why == ["It promised the most of all that was possible."]
        assert "Streaming at half price for a year: the customer has it already." in words.excluded
        assert any(one.startswith("Its value to the business: expected gain ") for one in words.weighing)
    assert all(one.endswith((".", ")")) or "%" in one for one in (*words.why, *words.speaks_for, *words.others))


def test_a_fact_that_speaks_for_it_is_told_by_its_label(learned: Decider, explaining: Explaining) -> None:
    """Half of those learned from were retired, whom the discount never convinced; all had the same contract."""
    words = explaining.explain(decide(learned, arm="loyalty_discount"), "de").words

    assert "Spricht dafür: im Ruhestand: nein." in words.speaks_for
    assert not any("Vertrag" in one for one in (*words.speaks_for, *words.speaks_against))


def test_why_something_else_than_the_best_was_shown(learned: Decider, explaining: Explaining) -> None:
    german = explaining.explain(decide(learned, arm="network_status"), "de").words
    english = explaining.explain(decide(learned, arm="network_status"), "en").words

    assert german.why[0].startswith("Gewählt, um zu lernen: 10 % Nachlass für ein weiteres Jahr versprach mehr")
    assert english.why[0].startswith("It was chosen to learn: 10 % off for another year with us promised more")
    assert " %" in german.why[0]


def test_what_a_rule_excluded_names_the_facts_it_read(learned: Decider, explaining: Explaining) -> None:
    learned.decide_batch([asked("d-1", consent_marketing=False, internet="fiber", tenure_months=2.0)])
    excluded = explaining.explain("d-1", "de").words.excluded

    title = "Wechsel von DSL auf Glasfaser (speed)"
    assert f"{title}: Der Kunde hat dem nicht zugestimmt (Werbung zugestimmt: nein)." in excluded
    assert (
        "10 % Nachlass für ein weiteres Jahr: steht diesem Kunden nicht offen "
        "(Vertrag monatlich kündbar, Kunde seit Monaten: 2)." in excluded
    )


def test_numbers_add_up(learned: Decider, explaining: Explaining) -> None:
    found = explaining.explain(decide(learned, arm="loyalty_discount"), "en")

    assert found.compared_with_average_customer
    for arm in found.arms:
        assert sum(one.reward for one in arm.terms) == pytest.approx(arm.expected_reward, abs=1e-12)
        total = found.average_expected_reward + sum(one.effect for one in arm.effects)
        assert total == pytest.approx(arm.expected_reward, abs=1e-12)
        assert arm.priority == pytest.approx(arm.gain * arm.weighed_by.multiplier, abs=1e-12)
    assert sum(arm.probability for arm in found.arms) == pytest.approx(1.0)
    assert msgspec.json.decode(msgspec.json.encode(found), type=ExplanationAnswer) == found


def test_explaining_changes_nothing(learned: Decider, explaining: Explaining, database: Database) -> None:
    decision = decide(learned, arm="loyalty_discount")
    before = everything(database)

    first = explaining.explain(decision, "de")
    assert explaining.explain(decision, "de") == first
    assert everything(database) == before


def test_before_anything_is_learned(
    workspace: Workspace, database: Database, clock: Clock, explaining: Explaining
) -> None:
    definitions.register(workspace, database, clock=clock)
    feed = ModelFeed(StoredModels(database), poll_every_s=1.0, clock=clock)
    Decider(workspace, database, feed, clock=clock).decide_batch([asked("d-1")])
    words = explaining.explain("d-1", "en").words

    assert words.why == ["Nothing has been learned yet, so each possible action was equally likely."]
    assert words.speaks_for == words.speaks_against == words.weighing == []


def test_what_cannot_be_explained(learned: Decider, explaining: Explaining, database: Database) -> None:
    decision = decide(learned, arm="loyalty_discount")
    with database.write() as connection:
        connection.execute(sa.update(decisions).where(decisions.c.id == decision).values(facts=None))

    with pytest.raises(RefusedError, match="erased"):
        explaining.explain(decision, "en")
    with pytest.raises(UnknownIdError, match="no such decision"):
        explaining.explain("gone", "en")
