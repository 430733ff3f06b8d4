"""The short profile of the fault runner, a scenario a test, so that they run side by side."""

from pathlib import Path

import pytest

from tests.faults.run import play
from tests.faults.scenarios import SCENARIOS
from tests.faults.shim import compiler

SEED = 1

pytestmark = [
    pytest.mark.timeout(500),
    pytest.mark.skipif(compiler() is None, reason="the shim between SQLite and the kernel needs a C compiler"),
]


ON_RAY = [
    pytest.mark.ray,
    pytest.mark.slow,
]  # minutes; the quick tests kill that service in tests/serve/test_service.py


@pytest.mark.parametrize("name", [pytest.param(n, marks=ON_RAY if n == "ray" else []) for n in SCENARIOS])
def test_no_promise_is_broken(name: str, tmp_path: Path) -> None:
    counts, violations = play(name, profile="short", seed=SEED, directory=tmp_path / name)

    assert not violations, f"python -m tests.faults --profile short --seed {SEED} --only {name}"
    assert counts.found_decisions == counts.acknowledged_decisions > 20
    assert counts.acknowledged_outcomes > 20
    assert counts.learned_examples == counts.oracle_examples > 20
