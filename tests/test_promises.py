"""docs/promises.md names ten promises, and every file and scenario that it names exists."""

import re
from pathlib import Path

from tests.faults.scenarios import SCENARIOS

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "promises.md"


def test_every_link_leads_somewhere() -> None:
    links = re.findall(r"\]\(([^)]+)\)", PAGE.read_text())
    missing = [link for link in links if not (PAGE.parent / link).resolve().is_file()]

    assert len(links) > 30
    assert missing == []


def test_every_promise_links_a_test() -> None:
    parts = re.split(r"^## ", PAGE.read_text(), flags=re.MULTILINE)
    promises = {title.group(): part for part in parts if (title := re.match(r"P\d+", part))}

    assert list(promises) == [f"P{n}" for n in range(1, 11)]
    assert [name for name, part in promises.items() if "../tests/" not in part] == []


def test_every_scenario_is_told_of_and_no_other() -> None:
    told = {name for line in PAGE.read_text().split("- faults:")[1:] for name in re.findall(r"`([a-z-]+)`", line)}

    assert told & set(SCENARIOS) == set(SCENARIOS)
