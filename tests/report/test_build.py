"""The whole report on a log of known rates: what it says, that it is honest, and that a browser can show it."""

import re
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path

import msgspec
import numpy as np
import pytest

from bandit_nba.errors import RefusedError, SettingsError
from bandit_nba.promote import ledger
from bandit_nba.promote.candidate import read_policy
from bandit_nba.report.build import Report, as_document, as_page, build, policy_names
from bandit_nba.report.page import html
from bandit_nba.workspace import open_workspace
from tests.command import nba
from tests.promote import world

NOW_S = world.START_S + 10_000.0
HOSTILE = "<img src=x onerror=alert(1)>$x^2$"


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("report") / "shop"
    world.play(world.make(directory), 3_000, start_s=world.START_S, seed=21)
    (directory / "sharp.toml").write_text(world.SHARP)
    (directory / "hostile.toml").write_text(world.SHARP.replace('"sharp"', f"'{HOSTILE}'").replace("0.1", "0.9"))
    return directory


@pytest.fixture(scope="module")
def report(shop: Path) -> Report:
    return made(shop, "sharp", "hostile")


def made(shop: Path, *names: str, **options: str) -> Report:
    paths = [shop / f"{name}.toml" for name in names]
    return build(open_workspace(shop), paths, now_s=NOW_S, rng=np.random.default_rng(0), **options)


def test_the_surely_better_policy_is_the_verdict(report: Report) -> None:
    """Truth on these rows: uniform .95 (.02 + .05 + .5) / 3 + .05 x .02 = .182; sharp .456: 150 % more."""
    head = report.headline

    assert head.policy == "sharp"
    assert head.advice == "switch"
    assert re.fullmatch(r"sharp earns \d+ % to \d+ % more than today's policy; switch\.", head.sentence)
    assert head.gain is not None
    assert head.gain[0] < 1.50 < head.gain[1]


def test_everybody_stands_side_by_side_on_the_same_decisions(report: Report) -> None:
    titles = [contender.title for contender in report.comparison.contenders]

    assert titles[:2] == ["today's policy", "uniform"]
    assert titles[2].startswith("best fixed: ")
    assert titles[3:] == ["learned, greedy", "sharp", HOSTILE]
    today, uniform = report.comparison.contenders[:2]
    assert today.judgement.weights.tolist() == [1.0] * len(report.comparison.log)
    assert uniform.gain is not None
    assert (uniform.gain.low, uniform.gain.high) == pytest.approx((0.0, 0.0))  # today's policy is uniform


def test_judged_decisions_come_after_everything_learned(report: Report) -> None:
    assert len(report.comparison.log) == 750
    assert report.learned_on == 2_250


def test_who_gets_nothing_is_counted_with_the_reason(report: Report) -> None:
    tables = {table.name: table for table in report.tables}
    everybody = next(row for row in tables["underserved"].rows if row[0] == "everybody")

    assert 0.03 < float(everybody[3]) < 0.07  # truth .05
    assert len(tables["underserved_reasons"].rows) == 1
    assert "barred" in str(tables["underserved_reasons"].rows[0][0])
    assert [row[1] for row in tables["funnel"].rows] == ["", "applicability"]


def test_contact_load_is_exact(report: Report) -> None:
    """Uniform offers something in 2/3 of the open decisions; best fixed in all of them."""
    rows = [row for row in report.tables[1].rows if str(row[0]).startswith("contact load")]
    barred = float(next(row for row in report.tables[5].rows if row[0] == "everybody")[3])
    load = {row[1]: row[2] for row in rows}

    assert load["uniform"] == pytest.approx((1.0 - barred) * 2 / 3)
    assert max(load.values()) == pytest.approx(1.0 - barred)


def test_the_action_mix_sums_to_one(report: Report) -> None:
    mix = next(table for table in report.tables if table.name == "action_mix")

    assert [sum(row[i] for row in mix.rows) for i in (1, 2, 3)] == pytest.approx([1.0] * 3)


def test_a_policy_that_a_search_found_here_is_corrected_for_it(shop: Path) -> None:
    workspace = open_workspace(shop)
    version = read_policy(shop / "sharp.toml", workspace).version
    plain = made(shop, "sharp").comparison.candidates[0].gain
    event = ledger.Event(kind="searched", at=NOW_S, champion="c", policy=version, among=100)
    ledger.record(shop, event)
    try:
        corrected = made(shop, "sharp").comparison.candidates[0].gain
    finally:
        (shop / ledger.FILE).unlink()

    assert plain is not None
    assert corrected is not None
    assert corrected.low < plain.low
    assert corrected.half_width / plain.half_width == pytest.approx(
        3.4808 / 1.9600, rel=1e-3
    )  # z at .0005 / 2, .05 / 2


def test_too_little_data_is_said_with_a_number(tmp_path: Path) -> None:
    world.play(world.make(tmp_path / "shop"), 300, start_s=world.START_S, seed=22)
    (tmp_path / "shop" / "sharp.toml").write_text(world.SHARP)

    head = made(tmp_path / "shop", "sharp").headline

    assert head.advice == "wait"
    assert re.match(r"Not enough data to judge sharp: about [\d,]+ more decisions are needed", head.sentence)
    assert head.more_decisions is not None
    assert head.more_decisions > 500


def test_nothing_to_judge_is_refused(tmp_path: Path) -> None:
    workspace = world.make(tmp_path / "shop")
    world.play(workspace, 1, start_s=world.START_S, seed=1)

    with pytest.raises(RefusedError, match="too few"):
        made(tmp_path / "shop")


def test_a_segment_must_be_a_declared_category(shop: Path) -> None:
    with pytest.raises(SettingsError, match="no such category"):
        made(shop, segment="segmnt")


class Seen(HTMLParser):
    """Tags, ids, attributes, and headings in order."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.ids: list[str] = []
        self.attributes: set[str] = set()
        self.links: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes |= {name for name, _ in attrs}
        for name, value in attrs:
            if name == "id":
                self.ids.append(value or "")
            if name in ("href", "xlink:href"):
                self.links.append(value or "")


@pytest.fixture(scope="module")
def page(report: Report) -> str:
    return html(as_page(report))


@pytest.fixture(scope="module")
def seen(page: str) -> Seen:
    parser = Seen()
    parser.feed(page)
    return parser


def test_the_verdict_comes_first(page: str, report: Report) -> None:
    body = page[page.index("<h1>") :]

    assert body.index(html_text(report.headline.sentence)) < body.index("<h2")


def html_text(text: str) -> str:
    return text.replace("'", "&#39;")


def test_hostile_names_stay_text_in_the_page(seen: Seen, page: str) -> None:
    assert not {"script", "img", "iframe", "object", "link"} & set(seen.tags)
    assert not {name for name in seen.attributes if name.startswith("on")}
    assert "&lt;img src=x" in page


def test_ids_are_unique_and_every_link_leads_somewhere_in_the_page(seen: Seen) -> None:
    assert len(seen.ids) == len(set(seen.ids))
    assert {link.removeprefix("#") for link in seen.links if link.startswith("#")} <= set(seen.ids)
    assert all(link.startswith("#") for link in seen.links)


def test_headings_and_tables_can_be_walked_by_a_screen_reader(seen: Seen, page: str) -> None:
    levels = [int(tag[1]) for tag in seen.tags if re.fullmatch(r"h[1-6]", tag)]

    assert levels.count(1) == 1
    assert all(after - before <= 1 for before, after in pairwise(levels))
    assert page.count("<caption") == page.count("<table>")
    assert page.count('role="img"') == page.count("<svg ")


def test_the_command_writes_page_json_and_tables(shop: Path, tmp_path: Path) -> None:
    out, json, tables = tmp_path / "r.html", tmp_path / "r.json", tmp_path / "tables"

    done = nba(
        "report",
        str(shop),
        "--policy",
        str(shop / "sharp.toml"),
        "--out",
        str(out),
        "--json",
        str(json),
        "--csv",
        str(tables),
    )

    assert done.exit_code == 0, done.output
    assert done.stdout.startswith("sharp earns ")
    document = msgspec.json.decode(json.read_bytes())
    assert document["verdict"]["advice"] == "switch"
    assert {path.stem for path in tables.glob("*.csv")} == set(document["tables"])
    assert out.read_text().startswith("<!doctype html>")


def test_the_same_report_is_made_again(shop: Path, report: Report) -> None:
    again = made(shop, "sharp", "hostile")

    assert msgspec.json.encode(as_document(again)) == msgspec.json.encode(as_document(report))
    assert html(as_page(again)) == html(as_page(report))


def test_a_copy_of_todays_policy_file_goes_by_its_file() -> None:
    """Somebody copies policy.toml and changes a line: "shop earns more than today's policy" would tell nobody which."""
    assert policy_names(["shop", "bold"], ["b", "c"], today="shop") == ["b", "bold"]
    assert policy_names(["bold", "bold"], ["b", "c"], today="shop") == ["b", "c"]
    with pytest.raises(SettingsError, match="same name"):
        policy_names(["shop", "b"], ["b", "c"], today="shop")
