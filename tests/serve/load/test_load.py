"""Each promise under load, in a few seconds: what `python -m tests.serve.load` measures for longer."""

import shutil

import pytest

from tests.serve.load.__main__ import SCENARIOS, play

SHORT_S = {"closed": 6.0, "open": 8.0, "slow": 12.0, "swaps": 15.0, "end": 2.0, "replace": 6.0, "gone": 2.0}

pytestmark = [pytest.mark.slow, pytest.mark.ray, pytest.mark.timeout(300)]


@pytest.mark.parametrize("name", SCENARIOS)
def test_the_promise_is_kept(name: str) -> None:
    if shutil.which("wrk") is None and name in ("closed", "open", "slow", "swaps"):
        pytest.skip("wrk is not installed")
    assert play(name, seconds=SHORT_S[name])["broken"] == []
