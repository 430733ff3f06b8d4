"""One run of the demo: start, import, play, freeze, judge, check, report, stop."""

import asyncio
import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import msgspec
import numpy as np

from bandit_nba.errors import SettingsError
from bandit_nba.workspace import open_workspace
from experiments.demo.judge import Judged, judge
from experiments.demo.service import free_port, running
from simulators.drive import Played, Player, import_customers
from simulators.telco import TelcoWorld
from simulators.telco_workspace import write_workspace

MARK = ".made-by-nba-demo"
FROZEN_SHARE = 0.7
CONCURRENCY = 32
CHANNELS = ("web",)


@dataclass(frozen=True)
class Options:
    """What `nba demo` was asked for."""

    seed: int = 1
    decisions: int = 20_000
    workspace: Path = Path("demo")
    port: int = 0
    stay_up: bool = False


@dataclass(frozen=True)
class Frozen:
    """The model that had learned from the whole first part, and the time when the second part began."""

    model: str
    at_s: float


@dataclass(frozen=True)
class Result:
    """Everything the table, the page and the JSON are made of."""

    options: Options
    world: TelcoWorld
    played: Played
    frozen: Frozen
    judged: Judged
    status: dict[str, Any]
    pid: int
    port: int


def run(
    options: Options, *, say: Callable[[str], None], on_progress: Callable[[Played, dict[str, Any]], None]
) -> Result:
    """The whole demo; `say` gets one line per step, `on_progress` every answer with the last status seen."""
    if options.decisions < 1_000:
        raise SettingsError("too few decisions to learn from", got=options.decisions, allowed="1,000 or more")
    _fresh(options.workspace)
    world = TelcoWorld(seed=options.seed)
    write_workspace(options.workspace)
    say(f"Workspace {options.workspace}: four readable files, data in {options.workspace / 'data'}")
    port = options.port or free_port()
    log = options.workspace / "service.log"
    say(f"Starting the service on http://127.0.0.1:{port} (about 20 s; its log is {log}) ...")
    keep = "keep" if options.stay_up else ""
    with running(options.workspace, port=port, log=log, keep=keep) as process:
        played, frozen, status = asyncio.run(_loop(world, options, port, say, on_progress))
        if not keep:
            say("Stopping the service ...")
    say("Judging policies on the last 30 % of the log ...")
    judged = judge(open_workspace(options.workspace), world, played, frozen_model=frozen.model, after_s=frozen.at_s)
    return Result(options, world, played, frozen, judged, status, process.pid, port)


def _fresh(path: Path) -> None:
    """An empty directory; an older demo is replaced, anything else is left alone and refused."""
    if path.exists() and any(path.iterdir()):
        if not (path / MARK).exists():
            raise SettingsError(
                "is not empty and was not made by the demo",
                where=str(path),
                hint="name another directory with --workspace",
            )
        shutil.rmtree(path)
    path.mkdir(parents=True, exist_ok=True)
    (path / MARK).write_text("The next `nba demo` may replace this directory.\n")


async def _loop(
    world: TelcoWorld,
    options: Options,
    port: int,
    say: Callable[[str], None],
    on_progress: Callable[[Played, dict[str, Any]], None],
) -> tuple[Played, Frozen, dict[str, Any]]:
    connector = aiohttp.TCPConnector(limit=CONCURRENCY + 8)
    timeout = aiohttp.ClientTimeout(total=30)
    seen: dict[str, Any] = {}
    async with aiohttp.ClientSession(f"http://127.0.0.1:{port}", connector=connector, timeout=timeout) as session:

        async def watch() -> None:
            while True:
                seen.update(await _status(session))
                await asyncio.sleep(0.5)

        known = await import_customers(session, world.customers.ids, world.customers.profiles)
        say(f"{known:,} customers imported; sending {options.decisions:,} decisions and their outcomes ...")
        player = Player(
            session,
            world,
            n=options.decisions,
            channels=CHANNELS,
            rng=np.random.default_rng((options.seed, 20_261_122)),
            on_answer=lambda played: on_progress(played, seen),
        )
        learned_on = int(options.decisions * FROZEN_SHARE)
        watcher = asyncio.create_task(watch())
        try:
            await player.play(0, learned_on, concurrency=CONCURRENCY)
            status = await _settled(session)
            frozen = Frozen(model=status["model"]["version"], at_s=time.time())
            say(f"Model {frozen.model} is frozen; the rest of the decisions will judge it.")
            await player.play(learned_on, options.decisions, concurrency=CONCURRENCY)
        finally:
            watcher.cancel()
        say("Waiting until the last decisions have matured ...")
        status = await _settled(session)
    return player.played, frozen, status


async def _status(session: aiohttp.ClientSession) -> dict[str, Any]:
    async with session.get("/v1/status") as answer:
        status: dict[str, Any] = msgspec.json.decode(await answer.read())
    return status


async def _settled(session: aiohttp.ClientSession, *, within_s: float = 30.0) -> dict[str, Any]:
    """The status once nothing waits to mature or to be learned, or after `within_s`."""
    give_up = time.monotonic() + within_s
    while True:
        status = await _status(session)
        decisions = status["decisions"]
        if decisions["immature"] + decisions["waitingToBeLearned"] == 0 or time.monotonic() > give_up:
            return status
        await asyncio.sleep(0.5)
