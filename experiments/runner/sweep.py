"""What an experiment runs, as data: every policy in every scenario under every seed.

Read from `sweep.toml`. A sweep says nothing of how results are read; that is `analysis.py` beside it.
"""

import hashlib
import importlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, TypeVar, cast

import msgspec
from msgspec import Meta

import experiments
from bandit_nba.errors import SettingsError
from bandit_nba.settings import Settings, load, nearest, version_of
from simulators.registry import worlds

Count = Annotated[int, Meta(ge=1, le=10_000_000)]
PLAY_JOURNEYS = "experiments.runner.customers.play:play"
PLAY_WORLDS = (PLAY_JOURNEYS, "experiments.runner.game.play:play")
FILES = (".py", ".toml")
"""How names of a researcher's own files end."""
Name = Annotated[str, Meta(pattern=r"^[A-Za-z0-9][A-Za-z0-9 ,:_./%-]{0,79}$")]


class Seeds(Settings, frozen=True, kw_only=True):
    """first, first + 1, ...: `count` of them."""

    first: Annotated[int, Meta(ge=0)] = 0
    count: Count = 1


class Scenario(Settings, frozen=True, kw_only=True):
    """Where policies are tried; `options` are for the sweep's `play`. seeds, rounds: instead of the sweep's."""

    name: Name
    options: Mapping[str, Any] = {}
    seeds: Seeds | None = None
    rounds: Count | None = None


class Entrant(Settings, frozen=True, kw_only=True):
    """Who is tried."""

    name: Name
    options: Mapping[str, Any] = {}


T = TypeVar("T", Scenario, Entrant)


class Profile(Settings, frozen=True, kw_only=True):
    """A smaller form of the sweep: at most so many seeds and rounds; only the scenarios and policies named, if any."""

    seeds: Count | None = None
    rounds: Count | None = None
    scenarios: tuple[str, ...] = ()
    policies: tuple[str, ...] = ()


class Sweep(Settings, frozen=True, kw_only=True):
    """play: "module:function" that plays one cell and gives a list of `Measure`."""

    title: str
    play: str
    policies: tuple[Entrant, ...]
    scenarios: tuple[Scenario, ...]
    rounds: Count = 1_000
    seeds: Seeds = Seeds()
    profiles: Mapping[str, Profile] = {}


@dataclass(frozen=True)
class Cell:
    """One run: a policy in a scenario under a seed. `id` names all that the result depends on, but for the code."""

    play: str
    scenario: str
    scenario_options: Mapping[str, Any]
    policy: str
    policy_options: Mapping[str, Any]
    seed: int
    rounds: int

    @property
    def id(self) -> str:
        """Twelve hex digits."""
        return version_of(
            [self.play, self.scenario, self.scenario_options, self.policy, self.policy_options, self.seed, self.rounds]
        )

    @property
    def key(self) -> tuple[str, str, int]:
        """What results are sorted by."""
        return self.scenario, self.policy, self.seed


def names() -> tuple[str, ...]:
    """Experiments that are there, by the names of the command line."""
    return tuple(sorted(path.parent.name.replace("_", "-") for path in _root().glob("*/sweep.toml")))


def sweep_of(name: str) -> Sweep:
    """The sweep of an experiment: a shipped one, or a researcher's own folder with a sweep.toml.

    Files of worlds and policies are named from that folder; their own bytes are part of what a run depends on.

    Raises
    ------
    SettingsError
        If there is none of this name, its file is wrong, or names a file that is not there.
    """
    place = folder(name)
    sweep = load(place / "sweep.toml", Sweep)
    return msgspec.structs.replace(
        sweep,
        scenarios=tuple(_with_file(one, "world", place) for one in sweep.scenarios),
        policies=tuple(_with_file(one, "file", place) for one in sweep.policies),
    )


def folder(name: str) -> Path:
    """Where an experiment's files are.

    Raises
    ------
    SettingsError
        If there is none of this name, and no such folder with a sweep.toml.
    """
    known = names()
    if name in known:
        return _root() / name.replace("-", "_")
    if is_own(name):
        return Path(name)
    hint = f"{nearest(name, known)}; a folder of your own needs a sweep.toml"
    raise SettingsError("no such experiment", where="NAME", got=name, allowed=", ".join(known), hint=hint)


def is_own(name: str) -> bool:
    """Whether this is a researcher's own folder."""
    return name not in names() and (Path(name) / "sweep.toml").is_file()


def cells(sweep: Sweep, *, profile: str = "", seeds: int | None = None) -> tuple[Cell, ...]:
    """Every run, those of one scenario and seed beside each other. seeds: at most so many of each scenario.

    Raises
    ------
    SettingsError
        If there is no such profile, or a profile names what is not there.
    """
    if profile and profile not in sweep.profiles:
        allowed = ", ".join(sweep.profiles) or "none is declared"
        hint = nearest(profile, sweep.profiles)
        raise SettingsError("no such profile", where="--profile", got=profile, allowed=allowed, hint=hint)
    chosen = sweep.profiles[profile] if profile else Profile()
    scenarios = _named(sweep.scenarios, chosen.scenarios, "scenarios")
    policies = _named(sweep.policies, chosen.policies, "policies")
    found = []
    for scenario in scenarios:
        own = scenario.seeds or sweep.seeds
        count = min(own.count, chosen.seeds or own.count, seeds or own.count)
        rounds = scenario.rounds or sweep.rounds
        for seed in range(own.first, own.first + count):
            found += [
                Cell(
                    play=sweep.play,
                    scenario=scenario.name,
                    scenario_options=scenario.options,
                    policy=policy.name,
                    policy_options=policy.options,
                    seed=seed,
                    rounds=min(rounds, chosen.rounds or rounds),
                )
                for policy in policies
            ]
    if len({cell.key for cell in found}) != len(found):
        raise SettingsError("names a scenario or a policy twice", where="sweep.toml")
    return tuple(found)


def on_world(sweep: Sweep, world: str) -> Sweep:
    """The sweep on one other world: a name that `simulators.make` knows, or a researcher's own file (.py or .toml).

    The scenario has the other options of the sweep's first one. The file's own bytes are part of what a run depends on,
    so that a changed world is played anew.

    Raises
    ------
    SettingsError
        If there is no such file or world, or the experiment cannot be played on another world.
    """
    if sweep.play not in PLAY_WORLDS:
        raise SettingsError("this experiment is played on its own worlds only", where="--world", got=world)
    options = {k: v for k, v in sweep.scenarios[0].options.items() if k not in ("world", "world_options")}
    if world.endswith(FILES):
        options |= _file("world", world, beside=Path(), where="--world", hint="`nba world new FILE` writes one")
        world = Path(world).stem
    elif world in worlds():
        options["world"] = world
    else:
        raise SettingsError("unknown world", where="--world", got=world, hint=nearest(world, worlds()) or "FILE.py")
    return msgspec.structs.replace(sweep, scenarios=(Scenario(name=world, options=options),), profiles=_any(sweep))


def _with_file(one: T, key: str, place: Path) -> T:
    """A scenario or policy whose file is found wherever the command is run, and known by its bytes."""
    name = one.options.get(key)
    if not isinstance(name, str) or not name.endswith(FILES):
        return one
    found = _file(key, name, beside=place, where=f"sweep.toml: {one.name}: {key}")
    return msgspec.structs.replace(one, options={**one.options, **found})


def _file(key: str, name: str, *, beside: Path, where: str, hint: str = "") -> dict[str, str]:
    path = (beside / name).resolve()
    if not path.is_file():
        raise SettingsError("no such file", where=where, got=name, hint=hint or f"it is looked for in {beside}")
    return {key: str(path), "sha256": hashlib.sha256(path.read_bytes()).hexdigest()}


def _any(sweep: Sweep) -> dict[str, Profile]:
    """The profiles, which name no scenario."""
    return {name: msgspec.structs.replace(one, scenarios=()) for name, one in sweep.profiles.items()}


def named_function(words: str) -> Callable[..., Any]:
    """The function that "module:function" names; only this project's experiments are looked in.

    Raises
    ------
    SettingsError
        If there is none.
    """
    module, _, function = words.partition(":")
    if not module.startswith("experiments."):
        raise SettingsError("is outside experiments", where="sweep.toml", got=words, allowed="experiments.MODULE:NAME")
    found = getattr(importlib.import_module(module), function, None)
    if not callable(found):
        raise SettingsError("names no function", where="sweep.toml", got=words)
    return cast(Callable[..., Any], found)


def _named(found: Sequence[Any], wanted: Sequence[str], where: str) -> list[Any]:
    """Those wanted in the order of the sweep; all if none is."""
    known = [one.name for one in found]
    for name in wanted:
        if name not in known:
            raise SettingsError("is not in the sweep", where=f"profile: {where}", got=name, hint=nearest(name, known))
    return [one for one in found if not wanted or one.name in wanted]


def _root() -> Path:
    return Path(experiments.__file__).parent
