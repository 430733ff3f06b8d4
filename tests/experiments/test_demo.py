"""The demo as a stranger runs it: a real service, real customers, and numbers that must hold."""

import os
import re
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest

pytestmark = pytest.mark.ray

UNSEEN_SEEDS = (101, 102, 103, 104, 105)  # worlds that nobody looked at while developing


def nba(*arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    """`nba ARGUMENTS` in a process of its own."""
    path = os.pathsep.join([str(Path(__file__).parents[2]), os.environ.get("PYTHONPATH", "")])
    return subprocess.run(
        [sys.executable, "-m", "bandit_nba.cli", *arguments],
        cwd=cwd,
        env={**os.environ, "PYTHONPATH": path, "COLUMNS": "80"},
        capture_output=True,
        text=True,
        timeout=280,
        check=False,
    )


def played(tmp_path: Path, *, seed: int, decisions: int) -> dict:
    """One demo's JSON."""
    done = nba("demo", "--seed", str(seed), "--decisions", str(decisions), "--json", "demo.json", cwd=tmp_path)
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-4000:]
    assert "Report: demo/report.html" in done.stdout
    return msgspec.json.decode((tmp_path / "demo.json").read_bytes())


def nothing_was_lost(found: dict) -> None:
    """Ids by the client's account are those of the log."""
    counts = found["counts"]
    for what in ("decisions", "outcomes"):
        assert counts[f"{what}Lost"] == 0
        assert counts[f"{what}Acknowledged"] == counts[f"{what}InLogWithoutError"] > 0


def test_a_short_demo_ends_with_its_table_report_and_a_clean_audit(tmp_path):
    found = played(tmp_path, seed=3, decisions=2_000)

    nothing_was_lost(found)
    assert found["counts"]["decisionsAcknowledged"] + found["counts"]["decisionsFailed"] == 2_000
    assert set(found["policies"]) == {"logging", "uniform", "best fixed", "learned"}
    truths = {name: policy["truth"] for name, policy in found["policies"].items()}
    assert 0 < truths["uniform"] < found["oracleTruth"]
    assert max(truths.values()) < found["oracleTruth"]
    page = (tmp_path / "demo" / "report.html").read_text()
    assert page.count("<svg") == 2
    assert "default-src 'none'" in page  # nothing is fetched, and a browser would refuse to
    assert not re.search(r"""(src|href)=["'](?!#)|url\((?!#)|<script""", page.replace('xlink:href="#', ""))
    audited = nba("audit", "demo", "--json", cwd=tmp_path)
    assert audited.returncode == 0, audited.stdout
    evaluated = nba("evaluate", "demo", "--json", cwd=tmp_path)
    assert evaluated.returncode == 0, evaluated.stderr


@pytest.mark.slow
@pytest.mark.timeout(400)
@pytest.mark.parametrize("seed", UNSEEN_SEEDS)
def test_it_learns_on_worlds_that_nobody_looked_at(tmp_path, seed):
    found = played(tmp_path, seed=seed, decisions=20_000)

    nothing_was_lost(found)
    print(f"seed {seed}: closes {found['gapClosed']:.0%} of the gap, {found['liftOverBestFixed']:+.0%} over best fixed")
    assert found["gapClosed"] >= 0.55
    assert found["liftOverBestFixed"] >= 0.20
