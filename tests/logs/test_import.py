"""Logs from elsewhere: every row is kept, known, left out by its own log or rejected with row, field and reason."""

import json
import os
from pathlib import Path

import msgspec
import numpy as np
import pytest
import sqlalchemy as sa

from bandit_nba.errors import RefusedError, SettingsError
from bandit_nba.evaluate.formats import rows_of
from bandit_nba.evaluate.stored import read_log
from bandit_nba.evaluate.workspace import judge_workspace
from bandit_nba.logs.importing import Imported, import_rows
from bandit_nba.online.definitions import register
from bandit_nba.store.database import Database
from bandit_nba.store.tables import decisions
from bandit_nba.workspace import open_workspace
from tests import command
from tests.logs import rich_world

NOW_S = rich_world.NOW_S


@pytest.fixture
def shop(tmp_path: Path) -> Path:
    rich_world.make(tmp_path / "shop")
    return tmp_path / "shop"


def taken(directory: Path, file: Path, **options) -> tuple[Imported, list]:
    columns = options.pop("columns", None)
    workspace = open_workspace(directory)
    database = Database.open(workspace.database_url)
    workspace = register(workspace, database)
    arms = [arm.id for arm in workspace.catalogue.arms]
    rows = rows_of(file, columns=columns, arms=arms, facts=tuple(workspace.catalogue.facts))
    bad: list = []
    try:
        settings = {"origin": "old", "now_s": NOW_S, **options}
        return import_rows(database, workspace, rows, reject=bad.append, **settings), bad
    finally:
        database.close()


def event(number: int, **changes) -> dict:
    """A line as Personalizer and VW write it: the second of three actions was chosen."""
    line = {
        "_label_cost": -1.0,
        "_label_probability": 0.8,
        "_label_Action": 2,
        "_labelIndex": 1,
        "Timestamp": "2023-11-15T10:00:00.5Z",
        "Version": "1",
        "EventId": f"e{number}",
        "a": [2, 1, 3],
        "c": {
            "Customer": {"seg=One year": 1, "age": 44.5, "senior": False, "unheard": 3},
            "_multi": [
                {"_tag": "no_action", "A": {"price": 0.0}},
                {"_tag": "alpha", "A": {"price": 1.5, "colour": "blue"}},
                {"_tag": "beta"},
            ],
        },
        "p": [0.8, 0.1, 0.1],
        "pdrop": 0.0,
    }
    return {name: value for name, value in (line | changes).items() if value is not ...}


def lines(path: Path, *events: object) -> Path:
    texts = [one if isinstance(one, str) else json.dumps(one) for one in events]
    path.write_text("\n".join(texts) + "\n")
    return path


def test_a_line_becomes_a_decision_with_its_facts_propensities_and_reward(shop, tmp_path):
    done, bad = taken(shop, lines(tmp_path / "old.dsjson", event(1)))
    assert (done.kept, bad) == (1, [])
    assert dict(done.unknown_facts) == {"unheard": 1}

    workspace = open_workspace(shop)
    database = Database.open(workspace.database_url)
    with database.read() as connection:
        row = connection.execute(sa.select(decisions)).one()
        facts = msgspec.json.decode(connection.scalar(sa.select(decisions.c.facts)))
    log = read_log(database, workspace.rewards, workspace.catalogue.facts, now_s=NOW_S)
    database.close()
    assert (row.id, row.arm, row.propensity, row.origin, row.channel) == ("e1", "alpha", 0.8, "old", "web")
    assert msgspec.json.decode(row.arms) == ["no_action", "alpha", "beta"]
    assert msgspec.json.decode(row.probabilities) == [0.1, 0.8, 0.1]
    assert row.decided_at == 1_700_042_400.5
    assert facts == {"seg": "One year", "age": 44.5, "senior": False}
    assert log.reward.tolist() == [1.0]
    assert log.origin.values == ("old",)


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"_label_probability": 0.0, "p": [0.0, 0.5, 0.5]}, "propensity"),
        ({"_label_probability": 1.5, "a": ..., "p": ...}, "propensity"),
        ({"_label_probability": ..., "a": ..., "p": ...}, "propensity"),
        ({"_label_probability": 0.7}, "propensity"),  # not what `p` says
        ({"p": [0.8, 0.1, 0.2]}, "probabilities"),
        ({"p": [0.8, 0.3, -0.1]}, "probabilities"),
        ({"a": [2, 2, 3]}, "a"),
        ({"_label_cost": ...}, "_label_cost"),
        ({"_label_cost": "much"}, "reward"),
        ({"_label_cost": -3.0}, "reward"),  # rewards.toml says 0 to 1
        ({"_labelIndex": 3}, "_labelIndex"),
        ({"EventId": ""}, "EventId"),
        ({"Timestamp": "yesterday"}, "Timestamp"),
        ({"Timestamp": ...}, "decided_at"),
        ({"Timestamp": "2123-01-01T00:00:00Z"}, "decided_at"),
        ({"c": {"_multi": []}}, "c._multi"),
        ({"c": {"_multi": [{"x": 1}, {"x": 2}, {"x": 3}]}}, "c._multi[0]._tag"),
        ({"c": {"_multi": [{"_tag": "a"}, {"_tag": "b"}, {"_tag": "c"}]}}, "arm"),
        ({"c": {"_multi": [{"_tag": "alpha"}, {"_tag": "alpha"}, {"_tag": "beta"}]}}, "arms"),
        ({"c": {"_multi": [{}], "_slots": [{}]}}, "c._slots"),
    ],
)
def test_a_wrong_line_is_rejected_by_row_and_field(shop, tmp_path, changes, field):
    done, bad = taken(shop, lines(tmp_path / "old.dsjson", event(1), event(2, **changes), event(3)))

    assert (done.kept, done.rejected, done.read) == (2, 1, 3)
    assert [(one.number, one.field) for one in bad] == [(2, field)]


@pytest.mark.parametrize("text", ["{", "[1]", '{"c": 1e999}', "{" * 5_000, "nonsense", '{"c": {"_multi": [NaN]}}'])
def test_a_line_that_is_no_event_is_rejected(shop, tmp_path, text):
    done, bad = taken(shop, lines(tmp_path / "old.dsjson", event(1), text))
    assert (done.kept, [one.number for one in bad]) == (1, [2])


def test_what_the_log_itself_leaves_out_is_counted_by_why(shop, tmp_path):
    file = lines(
        tmp_path / "old.dsjson",
        event(1, _skipLearn=True),
        event(2, DeferredAction=True),
        event(3, DeferredAction=True, ActionTaken=True),
    )
    done, _ = taken(shop, file)
    assert done.kept == 1
    assert dict(done.left_out) == {"learning not wished (_skipLearn)": 1, "deferred and never activated": 1}


def test_an_id_is_one_decision_in_a_file_and_across_imports(shop, tmp_path):
    first = lines(tmp_path / "a.dsjson", event(1), event(1), event(1, _label_cost=0.0), event(2))
    done, bad = taken(shop, first)
    assert (done.kept, done.known, done.rejected) == (2, 1, 1)
    assert (bad[0].number, bad[0].field) == (3, "id")

    done, bad = taken(shop, first)  # a crash in the middle, and once more
    assert (done.kept, done.known, done.rejected) == (0, 3, 1)


def test_actions_of_elsewhere_come_inline_with_their_features(shop, tmp_path):
    multi = [{"_tag": "x", "f": {"topic=tv": 1}}, {"_tag": "y", "size": 2.5}, {"_tag": "z"}]
    context = event(1)["c"] | {"_multi": multi}
    file = lines(tmp_path / "old.dsjson", *[event(i, c=context) for i in range(20)])
    done, bad = taken(shop, file)
    assert (done.kept, done.rejected) == (0, 20)
    assert "--inline" in bad[0].allowed

    done, bad = taken(shop, file, inline=True)
    assert (done.kept, bad) == (20, [])
    model = rich_world.learn(shop)
    assert model.manifest.examples_learned == 20
    assert rich_world.learn(shop).manifest.examples_learned == 20  # once only


def csv_log(path: Path, n: int = 400, *, seed: int = 1) -> Path:
    rng = np.random.default_rng(seed)
    rows = ["when,item,pscore,clicked,seg,age,user"]
    for i in range(n):
        arm = ("no_action", "alpha", "beta")[int(rng.integers(3))]
        clicked = int(arm == "alpha" and rng.random() < 0.6)
        rows.append(f"{rich_world.START_S + i},{arm},0.25,{clicked},One year,{rng.integers(20, 80)},u{i % 90}")
    path.write_text("\n".join(rows) + "\n")
    return path


MAPPING = {
    "decided_at": "when",
    "arm": "item",
    "propensity": "pscore",
    "reward": "clicked",
    "customer": "user",
}


def test_a_table_with_propensities_warms_the_learner_and_can_be_judged(shop, tmp_path):
    done, bad = taken(shop, csv_log(tmp_path / "old.csv"), columns=MAPPING)
    assert (done.kept, bad) == (400, [])
    assert rich_world.learn(shop).manifest.examples_learned == 400

    # The model has learned from every row that there is, also from the file's own: nothing is left to judge it on.
    with pytest.raises(RefusedError):
        judge_workspace(shop, now_s=NOW_S, rng=np.random.default_rng(0))

    rich_world.play(open_workspace(shop), 400, seed=4, start_s=rich_world.START_S + 86_400.0)
    found = judge_workspace(shop, now_s=NOW_S, fixed=["alpha"], rng=np.random.default_rng(0))
    assert found.judged == 400
    assert found.imported == {}  # those came before


def test_a_file_whose_name_is_no_unicode_is_called_by_what_can_be_said(shop, tmp_path):
    file = tmp_path / os.fsdecode(b"caf\xe9.csv")
    file.write_text("arm,propensity,reward\nalpha,0.5,1\n")
    result = command.nba("log", "import", str(shop), str(file), "--channel", "web", "--start", "2023-11-15", "--json")

    assert result.exit_code == 0, result.output
    database = Database.open(open_workspace(shop).database_url)
    with database.read() as connection:
        kept = connection.execute(sa.select(decisions.c.id, decisions.c.origin)).all()
    database.close()
    assert kept == [("caf?.csv:1", "caf?.csv")]


def test_the_audit_makes_again_what_was_made_here(shop, tmp_path):
    rich_world.play(open_workspace(shop), 50, seed=4)
    taken(shop, csv_log(tmp_path / "old.csv"), columns=MAPPING)
    arguments = ["audit", str(shop), "--json"]
    result = command.nba(*arguments)
    assert (result.exit_code, msgspec.json.decode(result.stdout)["rows"]) == (0, 50)


def test_the_judge_says_how_many_of_its_rows_were_imported(shop, tmp_path):
    rich_world.play(open_workspace(shop), 300, seed=4, start_s=rich_world.START_S - 86_400.0)
    early = rich_world.learn(shop, now_s=rich_world.START_S - 10.0)
    taken(shop, csv_log(tmp_path / "old.csv"), columns=MAPPING)
    found = judge_workspace(shop, model=early.manifest.version, now_s=NOW_S, rng=np.random.default_rng(0))
    assert (found.judged, found.imported) == (400, {"old": 400})

    # A model that has learned from the imported rows is not judged on them, whenever it is asked for.
    late = rich_world.learn(shop)
    with pytest.raises(RefusedError, match="after the model had learned"):
        judge_workspace(shop, model=late.manifest.version, now_s=NOW_S, rng=np.random.default_rng(0))


@pytest.mark.parametrize(
    ("mapping", "what"),
    [
        ({"arm": "items"}, "no such column"),
        ({"colour": "item"}, "no such field"),
        ({"arm": "item", "reward": "clicked"}, "propensity"),
    ],
)
def test_a_mapping_that_does_not_fit_the_file_is_refused_before_anything_is_kept(shop, tmp_path, mapping, what):
    with pytest.raises(SettingsError, match=what):
        taken(shop, csv_log(tmp_path / "old.csv"), columns=mapping)


def test_the_command_writes_rejects_with_reasons_and_can_be_repeated(shop, tmp_path):
    file = lines(tmp_path / "old.dsjson", event(1), event(2, _label_cost=-9.0), "nonsense")

    def run(*more: str):
        arguments = ["log", "import", str(shop), str(file), "--json", *more]
        return command.nba(*arguments)

    result = run()
    assert result.exit_code == 1, result.output
    told = msgspec.json.decode(result.stdout)
    assert (told["kept"], told["known"], told["rejected"]) == (1, 0, 2)
    rejects = [json.loads(line) for line in Path(told["rejectedTo"]).read_text().splitlines()]
    assert [(one["number"], one["id"], one["field"]) for one in rejects] == [(2, "e2", "reward"), (3, "", "line")]
    assert rejects[0]["allowed"].startswith("0 to 1")
    assert rejects[1]["content"] == "nonsense"

    told = msgspec.json.decode(run().stdout)
    assert (told["kept"], told["known"], told["rejected"]) == (0, 1, 2)
