"""Contract checks for journey worlds, shipped or of a researcher's own: `nba world check FILE`.

Each check says what it found; statistical ones state their error rate. A world that passes can be played, judged and
compared like the shipped ones.
"""

import inspect
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from scipy.stats import norm

from bandit_nba.catalogue.rules import compile_rules
from bandit_nba.decide.columns import Bools, Floats, Ints
from bandit_nba.decide.eligibility.stages import eligible
from bandit_nba.errors import NbaError, SettingsError
from simulators.asking import requests_of
from simulators.journey.rollout import at_random
from simulators.own_file import function_of
from simulators.world import Outcome

ERROR_RATE = 1e-4
"""Chance that a sound world fails the check of its truth."""

CUSTOMERS = 500
STEPS = 12
REPLICATIONS = 200
NEEDED = (
    "name",
    "catalogue",
    "channels",
    "steps",
    "step_s",
    "start_s",
    "horizon_s",
    "discount",
    "start",
    "channel",
    "facts",
    "eligible",
    "q",
    "step",
)


@dataclass(frozen=True)
class Finding:
    """One check: its name, whether it passed, and what was found."""

    check: str
    passed: bool
    found: str


def load_world(path: Path, *, seed: int = 0, **options: Any) -> Any:
    """The world of a file: what its function `make(seed=..., **options)` gives. The file is Python and is run.

    A file that ends in .toml holds the settings of a journey; nothing is run.

    Raises
    ------
    SettingsError
        If the file cannot be run, or has no such function.
    """
    if path.suffix == ".toml":
        from simulators.registry import make as made

        return made(str(path), seed=seed, **options)
    hint = "`nba world new FILE` writes a world to start from"
    make = function_of(path, "make", form="make(*, seed)", hint=hint)
    try:
        inspect.signature(make).bind(seed=seed, **options)
    except TypeError as error:
        hint = "its options are the keyword arguments of make"
        raise SettingsError(f"make does not take this ({error})", where=str(path), hint=hint) from None
    return make(seed=seed, **options)


def check_world(
    make: Callable[..., Any], *, customers: int = CUSTOMERS, replications: int = REPLICATIONS
) -> Iterator[Finding]:
    """All findings, one after the other; after a failed specification the others are not tried."""
    world = make(seed=0)
    checks: tuple[tuple[str, Callable[[], str]], ...] = (
        ("specification", lambda: specification(world, customers)),
        ("masks", lambda: masks(world, customers)),
        ("finite numbers", lambda: finite(world, customers)),
        ("determinism", lambda: determinism(make, customers)),
        ("common random numbers", lambda: common_numbers(world, customers)),
        ("rules", lambda: rules(world, customers)),
        ("truth", lambda: truth(world, customers, replications)),
    )
    for name, check in checks:
        try:
            yield Finding(name, True, check())
        except AssertionError as error:
            yield Finding(name, False, str(error))
            if name == "specification":
                return
        except Exception as error:  # noqa: BLE001 (somebody's own world may raise anything; the report goes on)
            yield Finding(name, False, f"{type(error).__name__}: {error}")
            if name == "specification":
                return


def specification(world: Any, n: int) -> str:
    """Names, types and shapes."""
    missing = [name for name in NEEDED if not hasattr(world, name)]
    _must(not missing, f"the world has no {', '.join(missing)}")
    arms = len(world.catalogue.arms)
    _must(world.catalogue.arms[0].id == "no_action", "arm 0 must be no_action")
    _must(world.steps >= 1 and world.step_s > 0 and world.horizon_s > 0, "steps, step_s and horizon_s must be positive")
    _must(0 < world.discount <= 1, f"discount must be above 0 and at most 1, got {world.discount}")
    state = world.start(n)
    _must(len(state) == n and state.t == 0, f"start({n}) must give {n} customers at step 0")
    _must(np.array_equal(state.customer, np.arange(n)), "customers must be numbered 0 .. n - 1")
    _shape(world.channel(state), (n,), np.integer, "channel")
    _shape(world.eligible(state), (n, arms), np.bool_, "eligible")
    _must(bool(world.eligible(state)[:, 0].all()), "no_action is not eligible for every customer")
    _shape(world.q(state), (n, arms), np.floating, "q")
    facts = world.facts(state)
    _must(facts.size == n, f"facts must have {n} rows, got {facts.size}")
    unknown = set(facts.columns) - set(world.catalogue.facts)
    _must(not unknown, f"facts that the catalogue does not declare: {', '.join(sorted(unknown))}")
    outcome = world.step(state, at_random(world, state))
    _must(state.t == 1, "step must move state.t by one")
    for name, kind in (("arm", np.integer), ("responded", np.bool_), ("left", np.bool_)):
        _shape(getattr(outcome, name), (n,), kind, f"outcome.{name}")
    for name in ("delay_s", "reward", "value"):
        _shape(getattr(outcome, name), (n,), np.floating, f"outcome.{name}")
    return f"{arms} arms, {len(world.channels)} channels, {len(world.catalogue.facts)} facts, {world.steps} steps"


def masks(world: Any, n: int) -> str:
    """ "No action" is always eligible, and arms that are not eligible are refused."""
    refused = 0
    for state in _states(world, n):
        mask = world.eligible(state)
        _must(bool(mask[:, 0].all()), f"step {state.t}: no_action is not eligible for every customer")
        rows, arms = np.nonzero(~mask)
        if len(rows):
            arm = np.zeros(n, dtype=np.int64)
            arm[rows[0]] = arms[0]
            try:
                world.step(state.copy(), arm)
            except NbaError:
                refused += 1
            else:
                raise AssertionError(
                    f"step {state.t}: an arm that is not eligible was done, row {rows[0]}, arm {arms[0]}"
                )
    return f"no_action always eligible; {refused} wrong arms refused"


def finite(world: Any, n: int) -> str:
    """No number is infinite or NaN, and q is a chance."""
    low, high = np.inf, -np.inf
    for state in _states(world, n):
        q = world.q(state)
        _must(bool(np.isfinite(q).all()), f"step {state.t}: q is not finite")
        _must(bool((q >= 0).all() and (q <= 1).all()), f"step {state.t}: q lies outside [0, 1]")
        low, high = min(low, float(q.min())), max(high, float(q.max()))
        outcome = world.step(state.copy(), at_random(world, state))
        _must(bool(np.isfinite(outcome.value).all()), f"step {state.t}: value is not finite")
        _must(bool(np.isin(outcome.reward, (0.0, 1.0)).all()), f"step {state.t}: reward is neither 0 nor 1")
        delay = outcome.delay_s
        _must(
            bool((np.isnan(delay) == ~outcome.responded).all()),
            f"step {state.t}: delay_s is NaN where nobody responded",
        )
        _must(bool((delay[outcome.responded] >= 0).all()), f"step {state.t}: a delay is negative")
        in_time = outcome.responded & (np.nan_to_num(delay, nan=np.inf) <= world.horizon_s)
        _must(bool((outcome.reward == in_time).all()), f"step {state.t}: reward is not a response within the horizon")
    return f"q between {low:.4f} and {high:.4f}"


def determinism(make: Callable[..., Any], n: int) -> str:
    """The same seed gives the same bytes, another seed or replication others."""
    logs = [_log(make(seed=0), n, 0), _log(make(seed=0), n, 0), _log(make(seed=1), n, 0), _log(make(seed=0), n, 1)]
    _must(logs[0] == logs[1], "two worlds of the same seed gave different logs")
    _must(logs[0] != logs[2], "another seed gave the same log")
    _must(logs[0] != logs[3], "another replication gave the same log")
    return f"{len(logs[0]):,} bytes equal"


def common_numbers(world: Any, n: int) -> str:
    """A customer's chances depend neither on how many others there are nor on what is done to them."""
    if getattr(world, "couples_customers", False):
        return "not asked: the world says that its customers share something, such as a budget"
    half = max(n // 2, 1)
    few, many = world.start(half), world.start(n)
    for _ in range(min(4, world.steps)):
        arm = at_random(world, many)
        kept = arm.copy()
        kept[half:] = 0
        if (world.eligible(few)[np.arange(half), arm[:half]]).all():
            a, b = world.step(few, arm[:half]), world.step(many, kept)
        else:
            raise AssertionError("the same customers are eligible for other arms when others are beside them")
        _must(a.value.tobytes() == b.value[:half].tobytes(), "a customer's money depends on other customers")
    return f"{half} customers live the same lives among {n}"


def rules(world: Any, n: int) -> str:
    """The catalogue's rules over the facts leave exactly the arms of `eligible`."""
    compiled = compile_rules(world.catalogue)
    for state in _states(world, n):
        found = eligible(world.catalogue, compiled, requests_of(world, state))
        wrong = found.mask != world.eligible(state)
        _must(not wrong.any(), _disagreement(world, state, found.mask, wrong))
    return f"{len(compiled.rules)} rules agree with `eligible`"


def _disagreement(world: Any, state: Any, by_rules: Bools, wrong: Bools) -> str:
    """Which arms, and the first customer as an example: what decides must be a fact, and a rule over it."""
    if not wrong.any():
        return ""
    names = [world.catalogue.arms[k].id for k in np.unique(wrong.nonzero()[1])]
    row, k = (int(place[0]) for place in wrong.nonzero())
    says = ("eligible", "not") if by_rules[row, k] else ("not eligible", "eligible")
    facts = world.facts(state).take(row, row + 1).rows()[0]
    return (
        f"step {state.t}: the catalogue's rules disagree with `eligible` about {', '.join(names)}; row {row}: by the "
        f"rules {world.catalogue.arms[k].id} is {says[0]}, by `eligible` {says[1]}; the rules see {facts}"
    )


def truth(world: Any, n: int, replications: int) -> str:
    """Mean rewards of every eligible arm against q, over replications; two-sided, Bonferroni over arms."""
    state = world.start(n)
    for _ in range(min(3, world.steps - 1)):
        world.step(state, at_random(world, state))
    mask, q = world.eligible(state), world.q(state)
    if not hasattr(world, "again"):
        return _truth_from_start(world, n, replications)
    got, due, variance = (np.zeros(mask.shape[1]) for _ in range(3))
    for r in range(replications):
        arm = _spread(mask, r)
        outcome = world.step(world.again(state, r + 1), arm)
        _add(got, due, variance, arm, outcome, q[np.arange(n), arm])
    return _verdict(world, got, due, variance)


def _truth_from_start(world: Any, n: int, replications: int) -> str:
    """For worlds that cannot give customers other chances half way: their first step, replication by replication."""
    arms = len(world.catalogue.arms)
    got, due, variance = (np.zeros(arms) for _ in range(3))
    for r in range(replications):
        state = world.start(n, replication=r + 1)
        q, arm = world.q(state), _spread(world.eligible(state), r)
        _add(got, due, variance, arm, world.step(state, arm), q[np.arange(n), arm])
    return _verdict(world, got, due, variance)


def _verdict(world: Any, got: Floats, due: Floats, variance: Floats) -> str:
    tried = variance > 0
    z = np.abs(got - due)[tried] / np.sqrt(variance[tried])
    bound = float(norm.isf(ERROR_RATE / 2 / max(int(tried.sum()), 1)))
    worst = int(np.argmax(z)) if len(z) else 0
    name = world.catalogue.arms[int(np.flatnonzero(tried)[worst])].id if len(z) else "none"
    largest = float(z[worst]) if len(z) else 0.0
    _must(
        largest <= bound,
        f"{name}: mean reward is {largest:.1f} standard errors from q, allowed {bound:.1f} (error rate {ERROR_RATE:g})",
    )
    return (
        f"{int(tried.sum())} arms, largest |z| {largest:.2f} ({name}), allowed {bound:.2f}; error rate {ERROR_RATE:g}"
    )


def _add(got: Floats, due: Floats, variance: Floats, arm: Ints, outcome: Outcome, p: Floats) -> None:
    done = outcome.arm == arm  # a budget may leave some undone, whatever their chances
    arm, p, reward = arm[done], p[done], outcome.reward[done]
    np.add.at(got, arm, reward)
    np.add.at(due, arm, p)
    np.add.at(variance, arm, p * (1.0 - p))


def _spread(mask: Bools, r: int) -> Ints:
    """The eligible arm number r (cyclically) of each row, so that all arms are tried."""
    count = mask.sum(axis=1)
    wanted = (r + np.arange(len(mask))) % count
    return np.asarray((mask.cumsum(axis=1) > wanted[:, None]).argmax(axis=1), dtype=np.int64)


def _states(world: Any, n: int) -> Iterator[Any]:
    """The states of a short random play."""
    state = world.start(n)
    for _ in range(min(STEPS, world.steps)):
        yield state
        world.step(state, at_random(world, state))


def _log(world: Any, n: int, replication: int) -> bytes:
    state, parts = world.start(n, replication=replication), []
    for _ in range(min(STEPS, world.steps)):
        arm = at_random(world, state)
        outcome = world.step(state, arm)
        parts += [np.asarray(a).tobytes() for a in (arm, outcome.responded, outcome.delay_s, outcome.value)]
    return b"".join(parts)


def _shape(array: Any, shape: tuple[int, ...], kind: type[Any], name: str) -> None:
    got = np.asarray(array)
    _must(got.shape == shape, f"{name} must have shape {shape}, got {got.shape}")
    _must(np.issubdtype(got.dtype, kind), f"{name} must be {kind.__name__}, got {got.dtype}")


def _must(true: bool, otherwise: str) -> None:
    if not true:
        raise AssertionError(otherwise)
