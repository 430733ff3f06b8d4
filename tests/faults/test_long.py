"""The long profile of the fault runner: eight times as much of each scenario; half an hour altogether."""

from pathlib import Path

import pytest

from tests.faults.run import play
from tests.faults.scenarios import SCENARIOS
from tests.faults.shim import compiler

SEED = 7

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(1_800),
    pytest.mark.skipif(compiler() is None, reason="the shim between SQLite and the kernel needs a C compiler"),
]


@pytest.mark.parametrize("name", [pytest.param(n, marks=[pytest.mark.ray] if n == "ray" else []) for n in SCENARIOS])
def test_no_promise_is_broken(name: str, tmp_path: Path) -> None:
    counts, violations = play(name, profile="long", seed=SEED, directory=tmp_path / name)

    assert not violations, f"python -m tests.faults --profile long --seed {SEED} --only {name}"
    assert counts.learned_examples == counts.oracle_examples > 500
