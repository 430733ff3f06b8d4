"""Log files without a workspace: the same arrays from every format, and estimates that are right by enumeration."""

import json
from pathlib import Path

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from bandit_nba.errors import InputError, RefusedError, SettingsError
from bandit_nba.evaluate import estimate
from bandit_nba.evaluate.file import features_of, judge_file
from bandit_nba.evaluate.formats import from_obp, read_file, rows_of, to_obp
from bandit_nba.evaluate.formats.row import LogRow
from bandit_nba.evaluate.judge import judge
from bandit_nba.evaluate.policies import Fixed, LoggingPolicy, Uniform
from tests import command

# the two kinds of context, and by arm: the logged chance and the reward
WORLD = {"young": ((0.5, 1.0), (0.25, 0.0), (0.25, 0.5)), "old": ((0.25, 0.0), (0.25, 1.0), (0.5, 0.25))}


def enumerated() -> list[dict]:
    """Every (context, arm) as often as it is drawn, 8 rows in all: what is estimated from them has no error at all."""
    rows = []
    for segment, arms in WORLD.items():
        for arm, (chance, reward) in enumerate(arms):
            for _ in range(int(chance * 4)):
                row = {"arm": f"arm{arm}", "p": [c for c, _ in arms], "reward": reward, "segment": segment}
                rows.append(row | {"id": f"r{len(rows)}", "at": 1000.0 + len(rows)})
    return rows


NAMES = ["arm0", "arm1", "arm2"]
UNIFORM = np.mean([reward for arms in WORLD.values() for _, reward in arms])


def dsjson(path: Path) -> Path:
    lines = [
        {
            "_label_cost": -row["reward"],
            "_label_probability": row["p"][NAMES.index(row["arm"])],
            "_labelIndex": NAMES.index(row["arm"]),
            "EventId": row["id"],
            "Timestamp": f"1970-01-01T00:{16 + int(row['at'] - 960) // 60:02d}:{int(row['at'] - 960) % 60:02d}Z",
            "a": [1, 2, 3],
            "p": row["p"],
            "c": {"segment": row["segment"], "_multi": [{"_tag": name} for name in NAMES]},
        }
        for row in enumerated()
    ]
    path.write_text("\n".join(map(json.dumps, lines)))
    return path


def table(path: Path, *, whole: bool = True) -> Path:
    columns: dict[str, list] = {
        "id": [row["id"] for row in enumerated()],
        "arm": [row["arm"] for row in enumerated()],
        "propensity": [row["p"][NAMES.index(row["arm"])] for row in enumerated()],
        "reward": [row["reward"] for row in enumerated()],
        "decided_at": [row["at"] for row in enumerated()],
        "fact.segment": [row["segment"] for row in enumerated()],
    }
    if whole:
        columns["arms"] = [json.dumps(NAMES)] * len(enumerated())
        columns["probabilities"] = [json.dumps(row["p"]) for row in enumerated()]
    if path.suffix == ".parquet":
        import pyarrow as pa
        import pyarrow.parquet as pq

        pq.write_table(pa.table(columns), path)
    else:
        import csv

        with path.open("w", newline="") as file:
            writer = csv.writer(file)
            writer.writerow(columns)
            writer.writerows(zip(*columns.values(), strict=True))
    return path


FILES = {
    "dsjson": dsjson,
    "parquet": table,
    "csv": table,
}


@pytest.mark.parametrize("kind", FILES)
def test_every_format_gives_the_same_arrays_and_estimates_without_error(tmp_path, kind):
    log, bad = read_file(FILES[kind](tmp_path / f"log.{kind}"))
    assert bad == []
    assert list(log.ids) == [row["id"] for row in enumerated()]
    assert log.decided_at.tolist() == [row["at"] for row in enumerated()]
    assert [row["segment"] for row in log.facts.rows()] == [row["segment"] for row in enumerated()]
    assert [log.arms[k] for k in log.arm[log.chosen]] == [row["arm"] for row in enumerated()]

    judged = judge(
        log,
        [LoggingPolicy(), Uniform(), Fixed("arm1")],
        features=features_of(log),
        estimators=("ips",),
        rng=np.random.default_rng(0),
    )
    values = {one.policy: one.estimates["ips"].value for one in judged}
    assert values["logging"] == pytest.approx(np.mean([row["reward"] for row in enumerated()]), abs=1e-15)
    assert values["uniform"] == pytest.approx(UNIFORM, abs=1e-15)
    assert values["always arm1"] == pytest.approx(0.5, abs=1e-15)


def test_a_propensity_alone_is_enough_for_any_policy(tmp_path):
    log, _ = read_file(table(tmp_path / "log.csv", whole=False))
    assert log.mask().all()  # every arm of the file was eligible
    assert log.propensity.tolist() == [row["p"][NAMES.index(row["arm"])] for row in enumerated()]
    weights = np.repeat(1 / 3, len(log)) / log.propensity
    assert estimate(weights, log.reward, estimator="ips").value == pytest.approx(UNIFORM, abs=1e-15)


def test_a_wrong_row_is_named_and_the_others_are_read(tmp_path):
    path = table(tmp_path / "log.csv", whole=False)
    text = path.read_text().splitlines()
    wrong = ["x1,arm0,0,1,1,young", "x2,arm0,nan,1,1,young", "x3,,0.5,1,1,young", "x4,arm0,0.5,inf,1,old"]
    wrong += ["x5,arm0,0.5,1,soon,old", "x6,arm0,1.5,1,1,old"]
    path.write_text("\n".join([*text, *wrong]))
    log, bad = read_file(path)

    assert len(log) == 8
    found = [(one.number, one.id, one.field) for one in bad]
    fields = ["propensity", "propensity", "arm", "reward", "decided_at", "propensity"]
    assert found == [(9 + k, f"x{k + 1}", field) for k, field in enumerate(fields)]
    assert log.left_out == {"rejected": 6}

    path.write_text("\n".join([text[0], *wrong]))
    with pytest.raises(RefusedError, match="6 rejected, the first: row 1, propensity"):
        read_file(path)


def test_obp_dictionaries_both_ways():
    rows = enumerated()
    feedback = {
        "n_rounds": 8,
        "n_actions": 3,
        "context": np.array([[row["segment"] == "old", 2.0] for row in rows], dtype=float),
        "action": np.array([NAMES.index(row["arm"]) for row in rows]),
        "position": None,
        "reward": np.array([row["reward"] for row in rows]),
        "pscore": np.array([row["p"][NAMES.index(row["arm"])] for row in rows]),
    }
    log = from_obp(feedback)
    weights = (1 / 3) / log.propensity
    assert estimate(weights, log.reward, estimator="ips").value == pytest.approx(UNIFORM, abs=1e-15)

    again = to_obp(from_obp({**feedback, "pi_b": np.array([row["p"] for row in rows]), "action_names": NAMES}))
    number = [list(again["action_names"]).index(name) for name in NAMES]
    assert again["pi_b"][:, number, 0].tolist() == [row["p"] for row in rows]
    for name in ("reward", "pscore"):
        assert again[name].tolist() == feedback[name].tolist()

    for name, value, where in [
        ("pscore", np.array([0.5] * 7 + [0.0]), r"propensity\[7\]"),
        ("action", np.array([0] * 7 + [3]), r"action\[7\]"),
        ("reward", np.array([0.0] * 7 + [np.nan]), r"reward\[7\]"),
        ("pscore", None, "pscore"),
        ("n_actions", 0, "n_actions"),
        ("context", np.zeros((7, 2)), "context"),
    ]:
        with pytest.raises(InputError, match=where):
            from_obp({**feedback, name: value})


def test_an_obp_file_is_read_as_the_log_that_it_was_written_from(tmp_path):
    """Eligible sets, customers and times come along; single wrong rounds are rejected, whole files with the reason."""
    text = dsjson(tmp_path / "log.dsjson").read_text().splitlines()
    narrow = json.loads(text[0]) | {"EventId": "narrow"}
    kept = narrow["_labelIndex"]
    narrow |= {"c": narrow["c"] | {"_multi": [narrow["c"]["_multi"][kept]]}, "a": [1], "p": [1.0]}
    narrow |= {"_label_probability": 1.0, "_labelIndex": 0}
    (tmp_path / "log.dsjson").write_text("\n".join([*text, json.dumps(narrow)]))
    log, _ = read_file(tmp_path / "log.dsjson")
    path = tmp_path / "log.npz"
    np.savez_compressed(path, **to_obp(log))

    again, wrong = read_file(path)
    assert wrong == []
    for one, other in ((log, again),):
        assert np.diff(one.indptr).tolist() == np.diff(other.indptr).tolist()
        assert one.propensity.tolist() == other.propensity.tolist()
        assert one.reward.tolist() == other.reward.tolist()
        assert one.decided_at.tolist() == other.decided_at.tolist()
        assert [one.arms[a] for a in one.arm[one.chosen]] == [other.arms[a] for a in other.arm[other.chosen]]
        assert len(np.unique(one.group)) == len(np.unique(other.group))

    broken = to_obp(log)
    broken["reward"] = np.where(np.arange(len(log)) == 2, 1e9, broken["reward"])
    np.savez(path, **broken)
    assert [(row.number, row.field) for row in read_file(path)[1]] == [(3, "reward")]
    np.savez(path, **{**to_obp(log), "pscore": np.ones(3)})
    with pytest.raises(SettingsError, match="another shape") as shape:
        read_file(path)
    assert shape.value.where.endswith("log.npz: pscore")
    for content in (b"", b"no file of numpy's", path.read_bytes()[:300]):
        path.write_bytes(content)
        with pytest.raises(SettingsError, match="is no file of Open Bandit"):
            read_file(path)
    np.save(tmp_path / "x.npy", {"n_rounds": 1}, allow_pickle=True)
    (tmp_path / "x.npy").rename(path)
    with pytest.raises(SettingsError, match="is no file of Open Bandit"):
        read_file(path)


def test_files_of_a_few_rows_are_refused_with_how_many_are_needed(tmp_path):
    path = tmp_path / "log.csv"
    header = "arm,propensity,reward"
    for rows, what, said in (
        ([], "holds no row that can be used", "no rows"),
        (["a,0.5,1"], "holds no row that can be used", "is below one for the only arm"),
        (["a,0.5,1", "b,0.5,0"], "too few decisions", "2"),
        (["a,0.5,1", "b,0.5,0"] * 9, "too few decisions", "18"),
    ):
        path.write_text("\n".join([header, *rows]))
        with pytest.raises(RefusedError, match=what) as refused:
            judge_file(path, rng=np.random.default_rng(0))
        assert refused.value.where == str(path)
        assert said in str(refused.value.got)


def test_a_log_without_any_fact_is_judged_by_the_means_of_its_arms(tmp_path):
    """Arm a always earns 1 and b nothing: with no feature the reward model knows their means, pulled to each other."""
    path = tmp_path / "log.csv"
    path.write_text("\n".join(["arm,propensity,reward", *["a,0.5,1", "b,0.5,0"] * 200]))
    found = judge_file(path, fixed=["a"], rng=np.random.default_rng(0)).found

    value = {one.policy: {name: e.value for name, e in one.estimates.items()} for one in found.policies}
    assert found.judged == 300
    assert value["uniform"]["dr"] == pytest.approx(0.5, abs=1e-3)
    assert value["always a"]["dr"] == pytest.approx(1.0, abs=1e-3)
    assert value["best fixed"] == value["always a"]


def test_rows_without_support_and_skipped_ones_are_left_out_and_counted(tmp_path):
    path = tmp_path / "log.dsjson"
    text = dsjson(path).read_text().splitlines()
    sure = json.loads(text[0]) | {"p": [1.0, 0.0, 0.0], "_label_probability": 1.0, "_labelIndex": 0, "EventId": "s"}
    skipped = json.loads(text[0]) | {"_skipLearn": True, "EventId": "k"}
    path.write_text("\n".join([*text, json.dumps(sure), json.dumps(skipped)]))
    log, _ = read_file(path)
    assert log.left_out == {"without support": 1, "learning not wished (_skipLearn)": 1}

    path.write_text(json.dumps(sure))
    with pytest.raises(RefusedError, match="explore"):
        read_file(path)


def many(path: Path, n: int = 2_000) -> Path:
    rng = np.random.default_rng(2)
    lines = ["arm,propensity,reward,segment"]
    for _ in range(n):
        segment = ("young", "old")[int(rng.integers(2))]
        chances = [c for c, _ in WORLD[segment]]
        arm = int(rng.choice(3, p=chances))
        lines.append(f"{NAMES[arm]},{chances[arm]},{WORLD[segment][arm][1]},{segment}")
    path.write_text("\n".join(lines))
    return path


def test_a_file_is_judged_as_a_workspace_is(tmp_path):
    path = many(tmp_path / "log.csv")
    found = judge_file(path, columns={"fact.segment": "segment"}, fixed=["arm0"], rng=np.random.default_rng(0)).found
    assert found.judged == 1_500
    by_name = {one.policy: one.estimates for one in found.policies}
    assert set(by_name) == {"logging", "uniform", "always arm0", "best fixed"}
    for estimates in by_name["uniform"].values():
        assert estimates.low <= UNIFORM <= estimates.high
    with pytest.raises(SettingsError, match="range"):
        judge_file(path, reward_range=(0.0, 0.5), rng=np.random.default_rng(0))


def test_the_command_takes_a_file(tmp_path):
    path = many(tmp_path / "log.csv")
    with path.open("a") as file:
        file.write("\narm0,0,1,young\n")
    arguments = ["evaluate", str(path), "--mapping", "fact.segment=segment", "--json"]
    result = command.nba(*arguments)
    assert result.exit_code == 0, result.output
    told = msgspec.json.decode(result.stdout)
    assert told["judged"] == 1_500 + 0
    assert told["leftOut"] == {"rejected": 1}
    assert "row 2001: propensity" in result.stderr

    arguments = ["evaluate", str(path), "--mapping", "armm=segment"]
    result = command.nba(*arguments)
    assert (result.exit_code, "no such field" in result.stderr) == (2, True)


HEADER = "id,arm,propensity,reward,arms,probabilities,facts\n"
LINE = 'good,arm0,.5,1,"[""arm0"",""arm1""]",,\n'


@pytest.mark.parametrize(
    ("line", "field"),
    [
        (b'a,arm0,.5,1,"[""arm0"",""arm1""]",,,more\n', "line"),
        (b"a,arm0,.5,1\n", "line"),
        ('a,arm0,.5,1,"[""arm0"",""arm1""]",,"{""x"":""jos\u00e9""}"\n'.encode("latin-1"), "facts"),
        (b'a,arm0,.5,1,"[""arm0"",""arm1""]","[1' + b"0" * 400 + b',0]",\n', "probabilities"),
        (b'a,arm0,.5,1,"' + b"[" * 50_000 + b'",,\n', "arms"),
        (b"a," + b"x" * 1_000_000 + b',.5,1,"[""arm0""]",,\n', "arm"),
        (b'a,arm0,.5,1,"[""arm0"",""arm1""]",,"{""x"":""\\ud800""}"\n', "facts"),
        (b'a,arm0,.5,1,"[""arm0"",""\\uDC00""]",,\n', "arms"),
        (b'a\0b,arm0,.5,1,"[""arm0"",""arm1""]",,\n', "id"),
        (b'a,arm0,1e-320,1,"[""arm0"",""arm1""]",,\n', "propensity"),
        (b'a,arm0,,1,"[""arm0"",""arm1""]","[1e-310, 1]",\n', "propensity"),
    ],
    ids=[
        *("more cells", "fewer cells", "latin-1", "huge integer", "deep", "long"),
        *(
            "half a pair in a fact",
            "half a pair in an arm",
            "zero byte",
            "infinite weight",
            "infinite weight in a list",
        ),
    ],
)
def test_a_torn_or_hostile_line_is_rejected_alone(tmp_path, line, field):
    path = tmp_path / "log.csv"
    path.write_bytes(HEADER.encode() + line + LINE.encode())

    log, bad = read_file(path)

    assert (len(log), [one.field for one in bad]) == (1, [field])
    assert json.dumps([bad[0].content, bad[0].got], ensure_ascii=False).encode()  # can be written down


def test_a_huge_integer_in_dsjson_is_rejected_and_its_byte_order_mark_is_none_of_the_line(tmp_path):
    path = dsjson(tmp_path / "log.dsjson")
    lines = path.read_bytes().splitlines(keepends=True)
    huge = json.dumps(json.loads(lines[0]) | {"_label_cost": 10**400, "EventId": "huge"}).encode() + b"\n"
    path.write_bytes(b"\xef\xbb\xbf" + b"".join(lines) + b"\n" + huge)

    log, bad = read_file(path)

    assert (len(log), [one.field for one in bad]) == (len(lines), ["reward"])


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("log.parquet", b"PAR1junkPAR1"),
        ("log.csv", HEADER.encode("utf-16")),
        ("log.csv", HEADER.replace("facts", "reward").encode() + LINE.encode()),
    ],
)
def test_a_file_of_another_kind_is_refused_by_name(tmp_path, name, content):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(InputError, match=name):
        read_file(tmp_path / name)


@pytest.mark.parametrize(
    ("changed", "where"), [({"action": [0.0, 1.7]}, "action"), ({"pi_b": np.full((2, 2, 2), 0.5)}, "pi_b")]
)
def test_obp_numbers_that_would_be_cut_or_folded_are_refused(changed, where):
    feedback = {"n_rounds": 2, "n_actions": 2, "action": [0, 1], "reward": [0, 1], "pscore": [0.5, 0.5]}
    assert len(from_obp(feedback)) == 2
    with pytest.raises(InputError, match=where):
        from_obp(feedback | changed)


def test_parquet_texts_as_bytes_and_numbers_with_gaps_are_the_words_they_stand_for(tmp_path):
    customers = [
        pa.array([b"ann", "j\u00f6rg".encode(), b"\xff", None], type=pa.binary()),
        pa.array([17.0, None, 3.5, 0.0]),
        pa.array([17.0, float("nan"), 3.5, 0.0]),
    ]
    expected = [["ann", "j\u00f6rg", ""], ["17", "", "3.5", "0"], ["17", "", "3.5", "0"]]
    for customer, known in zip(customers, expected, strict=True):
        table = {"arm": [b"a", b"b", b"a", b"b"], "propensity": [0.5] * 4, "reward": [1.0] * 4, "customer": customer}
        pq.write_table(pa.table(table), tmp_path / "log.parquet")
        rows = list(rows_of(tmp_path / "log.parquet", arms=["a", "b"]))

        assert [row.customer for row in rows if isinstance(row, LogRow)] == known
        assert [row.field for row in rows if not isinstance(row, LogRow)] == ["customer"] * (4 - len(known))
