"""The whole pipeline on one core against the fastest loop of vowpal-wabbit-next, which only scores.

Ours: eligible set with five rules and two contact rules, features, scores, arbitration, SquareCB with floor, sampling
by decision id, and the records as columns in memory. The peer: cached action examples and `predict_one`, nothing else.
"""

import time
from typing import Any

import numpy as np

from bandit_nba.catalogue import Catalogue
from bandit_nba.catalogue.rules import compile_rules
from bandit_nba.decide.batch import Requests
from bandit_nba.decide.choice.salt import Salt
from bandit_nba.decide.columns import Coded, Column, Facts
from bandit_nba.decide.eligibility.history import History
from bandit_nba.decide.engine import Engine
from bandit_nba.decide.policy import Exploration, FeatureSettings, Learning, Number, Policy
from bandit_nba.decide.scoring import Scorer
from bandit_nba.learn.compile import CompiledScorer
from bandit_nba.learn.vowpal import VowpalRegressor
from bandit_nba.settings import parse
from experiments.bench.peer_vowpal import predictions_per_s

CATEGORIES, NUMBERS, VALUES, ACTIONS = 8, 4, 10, 19  # and "no action": 20 arms
SIZES = (1_000, 10_000, 100_000, 1_000_000)
REPEATS = 5
NOW_S = 1.8e9
DAY_S = 86_400.0
CONTACTS = 2  # past contacts of each customer, in the last ten days
CONTACT_RULES = """
[[contact_rules]]
kind = "cap"
scope = "action"
max = 1
within = "P7D"

[[contact_rules]]
kind = "cap"
scope = "all"
max = 3
within = "P1D"
"""


def measure(*, quick: bool = False) -> dict[str, Any]:
    """Decisions a second on both sides, alternating; `ratio` is the median of the rounds' ratios."""
    engine, scorer, regressor = _prepared()
    sizes = SIZES[:3] if quick else SIZES
    data = {n: requests(n, seed=n) for n in sizes}
    engine.decide(data[100_000], scorer)  # warm caches, tables and the allocator
    per_s = {n: _decisions_per_s(engine, scorer, data[n]) for n in sizes}
    streamed = {n: _streamed_cpu_us(engine, scorer, data[n]) for n in sizes}
    rounds = []
    for _ in range(2 if quick else REPEATS):
        peer = predictions_per_s(regressor, engine, data[sizes[0]])
        ours, _ = _decisions_per_s(engine, scorer, data[100_000], repeats=1)
        rounds.append((ours, peer))
    one = data[sizes[0]].take(0, 1)
    return {
        "ratio": float(np.median([ours / peer for ours, peer in rounds])),
        "decisions_per_s": float(np.median([ours for ours, _ in rounds])),
        "peer_predictions_per_s": float(np.median([peer for _, peer in rounds])),
        "rows": {
            str(n): {"per_s": rate, "cpu_us_per_row": cpu_us, "streamed_cpu_us_per_row": streamed[n]}
            for n, (rate, cpu_us) in per_s.items()
        },
        "one_request_us": _one_request_us(engine, scorer, one),
        "arms": len(engine.arms),
        "features": CATEGORIES + NUMBERS,
        "rules": 5,
        "contact_rules": 2,
    }


def requests(n: int, *, seed: int) -> Requests:
    """n requests of distinct customers on one channel, columns drawn at random."""
    rng = np.random.default_rng(seed)
    values = tuple(f"v{i}" for i in range(VALUES))
    columns: dict[str, Column] = {
        f"c{i}": Coded(codes=rng.integers(0, VALUES, n), values=values) for i in range(CATEGORIES)
    }
    columns |= {f"n{i}": rng.uniform(0, 100, n) for i in range(NUMBERS)}
    return Requests(
        ids=[f"{seed}-{i:07d}" for i in range(n)],
        customers=[f"customer-{i}" for i in range(n)],
        channels=Coded(codes=np.zeros(n, dtype=np.int64), values=("web",)),
        decided_at=np.full(n, NOW_S),
        facts=Facts(size=n, schema=catalogue().facts, columns=columns),
        readable=np.ones(n, dtype=np.bool_),
        contacts=_history(rng, n),
    )


def _history(rng: np.random.Generator, n: int) -> History:
    """The same number of contacts for each customer, with actions and times drawn at random; nobody answered."""
    contacts = n * CONTACTS
    return History(
        indptr=np.arange(n + 1, dtype=np.int64) * CONTACTS,
        actions=Coded(codes=rng.integers(0, ACTIONS, contacts), values=tuple(f"a{i}" for i in range(ACTIONS))),
        channels=Coded(codes=np.zeros(contacts, dtype=np.int64), values=("web",)),
        decided_at=NOW_S - rng.uniform(0.0, 10.0 * DAY_S, contacts),
        counts_until=np.full(contacts, np.inf),
        answers={},
    )


def catalogue() -> Catalogue:
    """19 actions in 4 groups, five rules that together leave about two thirds of the arms."""
    facts = [f'c{i} = "category"' for i in range(CATEGORIES)] + [f'n{i} = "number"' for i in range(NUMBERS)]
    rules = {
        "g0": "customer.n0 >= 20.0",
        "g1": 'customer.c0 in ["v0", "v1", "v2", "v3", "v4", "v5"]',
        "g2": 'customer.c1 != "v3" && customer.n1 < 80.0',
        "g3": 'customer.c2 == "v1" || customer.n2 + customer.n3 > 90.0',
    }
    groups = [f"[groups.{name}]\neligibility = '{rule}'" for name, rule in rules.items()]
    actions = [f'[[actions]]\nid = "a{i}"\nkind = "offer"\ngroup = "g{i % 4}"' for i in range(ACTIONS)]
    actions[0] += "\nsuitability = 'customer.n0 < 90.0'"
    return parse("\n".join(["[facts]", *facts, *groups, *actions, CONTACT_RULES]), Catalogue, where="bench")


def _prepared() -> tuple[Engine, Scorer, VowpalRegressor]:
    """An engine, and a model that has learned enough that its weights differ, compiled and as VW's own."""
    features = FeatureSettings(
        customer=(*(f"c{i}" for i in range(CATEGORIES)), *(f"n{i}" for i in range(NUMBERS))),
        numbers={f"n{i}": Number(scale=100.0) for i in range(NUMBERS)},
        channel=False,
        interactions=("UA",),
    )
    policy = Policy(features=features, exploration=Exploration(kind="squarecb", floor=0.05))
    salt = Salt(id="bench", key=b"0" * 32)
    engine = Engine(catalogue(), compile_rules(catalogue()), policy, salt, reward_unit="response")
    rng = np.random.default_rng(1)
    some = requests(5_000, seed=2)
    contexts = engine.featuriser.contexts(some.facts, some.channels)
    regressor = VowpalRegressor(features, Learning())
    chosen = rng.integers(0, len(engine.arms), len(some))
    regressor.learn(contexts, engine.arm_features, chosen, (rng.random(len(some)) < 0.1).astype(np.float64))
    scorer = CompiledScorer(regressor.weights(), features, version="bench", examples_learned=len(some))
    return engine, scorer, regressor


def _decisions_per_s(engine: Engine, scorer: Scorer, batch: Requests, *, repeats: int = 3) -> tuple[float, float]:
    """The median rate by the wall's clock, and the median CPU microseconds a row; records are kept until each end."""
    rates, cpu_us = [], []
    for _ in range(repeats):
        started, cpu = time.perf_counter(), time.process_time()
        made = engine.decide(batch, scorer)
        cpu_us.append((time.process_time() - cpu) / len(batch) * 1e6)
        rates.append(len(batch) / (time.perf_counter() - started))
        if not np.isclose(made.probability[-1].sum(), 1.0):
            raise AssertionError("a row is not a distribution")
    return float(np.median(rates)), float(np.median(cpu_us))


def _streamed_cpu_us(engine: Engine, scorer: Scorer, batch: Requests) -> float:
    """CPU microseconds a row where each chunk's records are handed on: no fresh memory for the kernel to zero."""
    started = time.process_time()
    decided = sum(len(part) for part in engine.stream(batch, scorer))
    return (time.process_time() - started) / decided * 1e6


def _one_request_us(engine: Engine, scorer: Scorer, one: Requests, *, repeats: int = 500) -> float:
    """The median time of one request alone, in microseconds."""
    taken = []
    for _ in range(repeats):
        started = time.perf_counter()
        engine.decide(one, scorer)
        taken.append(time.perf_counter() - started)
    return float(np.median(taken)) * 1e6
