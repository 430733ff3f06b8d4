"""`python -m tests.serve.load NAME|all`: load on the real service, one promise after the other; 1 if one was broken."""

import argparse
import json
import os
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from tests.serve.load import ending, gone, overload, replacing, saturation, slow_clients, swaps
from tests.serve.load.shop import load_of_the_machine
from tests.serve.load.verdict import Verdict

SCENARIOS: dict[str, tuple[Callable[[Path, float], Verdict], float]] = {
    "closed": (saturation.closed_loop, 24.0),
    "open": (overload.open_loop, 60.0),
    "slow": (slow_clients.slow_clients, 60.0),
    "swaps": (swaps.swaps, 60.0),
    "end": (ending.end_under_load, 5.0),
    "replace": (replacing.replace_under_load, 9.0),
    "gone": (gone.clients_that_go, 5.0),
}


def main() -> int:
    """Run what was asked for."""
    parser = argparse.ArgumentParser(prog="python -m tests.serve.load", description=__doc__)
    parser.add_argument("name", choices=[*SCENARIOS, "all"])
    parser.add_argument("--seconds", type=float, help="how long the load lasts, in each scenario")
    parser.add_argument("--json", metavar="FILE", help="write what was measured there, - for the output")
    asked = parser.parse_args()
    names = list(SCENARIOS) if asked.name == "all" else [asked.name]
    found = {name: play(name, seconds=asked.seconds) for name in names}
    if asked.json:
        text = json.dumps(found, indent=2)
        sys.stdout.write(text + "\n") if asked.json == "-" else Path(asked.json).write_text(text)
    return int(any(one["broken"] for one in found.values()))


def play(name: str, *, seconds: float | None = None) -> dict[str, object]:
    """Run one scenario and say what came of it."""
    scenario, usual = SCENARIOS[name]
    before, begun = load_of_the_machine(), time.monotonic()
    with tempfile.TemporaryDirectory(prefix="nba-load-") as folder:
        verdict = scenario(Path(folder), seconds or usual)
    load = f"{before} before, {load_of_the_machine()} after, {os.cpu_count()} cores"
    print(
        f"{name}: {'BROKEN' if verdict.broken else 'kept'} ({time.monotonic() - begun:.0f} s; load {load})",
        file=sys.stderr,
    )
    for key, value in verdict.measured.items():
        print(f"  {key}: {value}", file=sys.stderr)
    for one in verdict.broken:
        print(f"  BROKEN {one}", file=sys.stderr)
    return {"measured": verdict.measured, "broken": verdict.broken, "load": load}


if __name__ == "__main__":
    sys.exit(main())
