"""The fault runner: `python -m tests.faults --profile short --seed 1`."""

import argparse
import json
import sys
import tempfile
import time
from dataclasses import asdict
from pathlib import Path

from tests.faults.check import Counts
from tests.faults.run import ROUNDS, play
from tests.faults.scenarios import SCENARIOS


def main() -> int:
    """Run the scenarios; 1 where a promise was broken."""
    parser = argparse.ArgumentParser(prog="python -m tests.faults", description=__doc__)
    parser.add_argument("--profile", choices=sorted(ROUNDS), default="short")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--only", metavar="NAME", choices=list(SCENARIOS), help="one scenario")
    parser.add_argument("--json", metavar="FILE", type=Path, help="write counts and violations there, - for the output")
    parser.add_argument("--keep", metavar="DIR", type=Path, help="keep workspaces, histories and logs there")
    asked = parser.parse_args()
    print(f"seed {asked.seed}", file=sys.stderr)
    counts, violations = Counts(), []
    with tempfile.TemporaryDirectory(prefix="nba-faults-") as scratch:
        directory = asked.keep or Path(scratch)
        for name in [asked.only] if asked.only else SCENARIOS:
            started = time.monotonic()
            found, wrong = play(name, profile=asked.profile, seed=asked.seed, directory=directory / name)
            print(f"{name}: {found.words()}; {time.monotonic() - started:.0f} s", file=sys.stderr)
            counts += found
            violations += [f"{name}: {one}" for one in wrong]
    only = f" --only {asked.only}" if asked.only else ""
    for one in violations:
        print(f"VIOLATION {one}", file=sys.stderr)
    print(f"again: python -m tests.faults --profile {asked.profile} --seed {asked.seed}{only}", file=sys.stderr)
    if asked.json is None:
        print(counts.words())
    else:
        said = json.dumps({"seed": asked.seed, "violations": violations, **asdict(counts)})
        print(said) if str(asked.json) == "-" else asked.json.write_text(said + "\n")
    return 1 if violations else 0


if __name__ == "__main__":
    sys.exit(main())
