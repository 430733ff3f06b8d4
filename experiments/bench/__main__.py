"""`python -m experiments.bench NAME --json -`; without a name all of them, one after the other."""

import importlib
import sys
from pathlib import Path
from typing import Annotated, Any

import msgspec
import typer

from bandit_nba.settings import nearest

BENCHMARKS = {
    "batch_decide": "the whole pipeline on a million requests against VW's own prediction loop",
    "learn": "the learner, online and from the store, against VW's command-line driver on the same events",
    "http": "one decision over HTTP, durable, against an echo by a plain Ray Serve deployment in the same mode",
    "log": "durable decisions by group commit against one commit each, on SQLite and PostgreSQL",
    "ope": "five policies judged on a million decisions over 20 arms, against Open Bandit Pipeline",
    "simulate": "the journey simulator on one core: alone, with the learned policy, as a gymnasium environment",
}


def run(
    name: Annotated[str, typer.Argument(help="Which; all without a name: " + ", ".join(BENCHMARKS))] = "",
    *,
    json: Annotated[str, typer.Option(help="Write the numbers here; - prints them.")] = "",
    quick: Annotated[bool, typer.Option("--quick", help="Smaller sizes, to see that it runs.")] = False,
    replicas: Annotated[int, typer.Option(min=1, max=8, help="Of http: processes that serve, on both sides.")] = 1,
) -> None:
    """Measure the product beside a peer.

    Examples:

      python -m experiments.bench batch_decide --json -

      python -m experiments.bench http --replicas 2

      python -m experiments.bench --quick
    """
    if name and name not in BENCHMARKS:
        print(f"error: no such benchmark: {name}; {nearest(name, BENCHMARKS)}", file=sys.stderr)
        raise typer.Exit(2)
    found: dict[str, Any] = {}
    for which in [name] if name else BENCHMARKS:
        print(f"{which}: {BENCHMARKS[which]}", file=sys.stderr)
        options = {"replicas": replicas} if which == "http" else {}
        found[which] = importlib.import_module(f"experiments.bench.{which}").measure(quick=quick, **options)
    document = msgspec.json.format(msgspec.json.encode(found[name] if name else found), indent=2)
    if json and json != "-":
        Path(json).write_bytes(document)
    else:
        print(document.decode())


typer.run(run)
