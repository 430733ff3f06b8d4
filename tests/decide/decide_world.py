"""A catalogue with every kind of rule, random requests for it, and a model whose sums are exact."""

import numpy as np

from bandit_nba.catalogue import Action, Catalogue, Group, Rules, Treatment
from bandit_nba.catalogue.rules import compile_rules
from bandit_nba.decide.batch import Requests
from bandit_nba.decide.choice.salt import Salt
from bandit_nba.decide.columns import Coded, Facts, Floats
from bandit_nba.decide.engine import Engine
from bandit_nba.decide.policy import Arbitration, Exploration, FeatureSettings, Number, Policy
from bandit_nba.decide.scoring import FeatureRows

SALT = Salt(id="s1", key=bytes(range(32)))
NUMBERS = ("age", "tenure", "bill", "data_left")
CATEGORIES = {"contract": ("monthly", "yearly"), "internet": ("none", "dsl", "fiber"), "region": ("n", "e", "s", "w")}
BOOLEANS = ("senior", "paperless", "consent")
PRODUCTS = ("tv", "phone", "case", "music", "cloud")
CHANNELS = ("web", "app", "call")
T0 = 1_700_000_000.0

CATALOGUE = Catalogue(
    facts={
        **dict.fromkeys(NUMBERS, "number"),
        **dict.fromkeys(CATEGORIES, "category"),
        **dict.fromkeys(BOOLEANS, "boolean"),
        "owned": "set",
    },
    rules=Rules(applicability='channel != "call" || customer.age >= 18.0'),
    groups={
        "sell": Group(consent="customer.consent"),
        "retain": Group(applicability="customer.tenure > 1.0"),
        "serve": Group(),
    },
    actions=(
        *(Action(id=product, kind="offer", group="sell", owned_as=product, value=10.0) for product in PRODUCTS),
        Action(id="fiber", kind="offer", group="sell", eligibility='customer.internet == "dsl"', value=100.0),
        Action(
            id="discount",
            kind="retention",
            group="retain",
            value=50.0,
            treatments=tuple(Treatment(id=f"v{i}", features={"percent": 5.0 * i}) for i in range(1, 5)),
        ),
        Action(id="yearly", kind="retention", group="retain", suitability='customer.contract == "monthly"', value=40.0),
        Action(id="visit", kind="service", group="serve", channels=("call",)),
        Action(id="bill_help", kind="service", group="serve", safe_without_profile=True),
        *(Action(id=f"tip{i}", kind="information", group="serve", safe_without_profile=i == 1) for i in range(1, 7)),
    ),
)

POLICY = Policy(
    features=FeatureSettings(
        customer=(*NUMBERS[:3], *CATEGORIES, *BOOLEANS[:2], "owned"),
        request=("data_left",),
        numbers={"age": Number(scale=10.0, bins=(30.0, 60.0)), "bill": Number(scale=50.0)},
    ),
    exploration=Exploration(kind="squarecb", floor=0.05),
    arbitration=Arbitration(priority_range=5.0, levers={"retain": 1.5}),
)


class ExactModel:
    """Weights of 20 random bits per (term, arm) and values rounded to 1/1024: sums carry no rounding at all.

    So a test that finds a row depending on its batch has found it in the pipeline, not in the model.
    """

    version = "exact"

    def __init__(self, *, examples_learned: int = 400, seed: int = 0) -> None:
        self.examples_learned = examples_learned
        self._seed = np.uint64(seed)

    def score(self, contexts: FeatureRows, arms: FeatureRows) -> Floats:
        arm = np.array([arms.hashes[arms.terms[s]] for s in arms.indptr[:-1]], dtype=np.uint64)
        mixed = (contexts.hashes.astype(np.uint64)[:, None] ^ self._seed) * np.uint64(0x9E3779B97F4A7C15) ^ (
            arm * np.uint64(0xBF58476D1CE4E5B9)
        )
        mixed = (mixed ^ (mixed >> np.uint64(29))) * np.uint64(0x94D049BB133111EB)
        table = (mixed >> np.uint64(44)).astype(np.float64) / 2**20 / 20
        table = np.round((table - 0.025) * 2**20) / 2**20
        values = np.round(contexts.values * 1024) / 1024
        scores = np.zeros((len(contexts), len(arms)))
        row = np.repeat(np.arange(len(contexts)), np.diff(contexts.indptr))
        np.add.at(scores, row, table[contexts.terms] * values[:, None])
        return scores


def engine(policy: Policy = POLICY, catalogue: Catalogue = CATALOGUE, salt: Salt = SALT, **overrides: object) -> Engine:
    """An engine over the world; `overrides` replace settings of the exploration."""
    if overrides:
        exploration = Exploration(**{**_as_dict(policy.exploration), **overrides})  # type: ignore[arg-type]
        policy = Policy(features=policy.features, exploration=exploration, arbitration=policy.arbitration)
    return Engine(catalogue, compile_rules(catalogue), policy, salt, reward_unit="response")


def requests(rows: int, *, seed: int = 0, readable: float = 1.0, known: float = 0.9) -> Requests:
    """Random requests, a share `known` of the facts known, a share `readable` of the profiles readable."""
    rng = np.random.default_rng(seed)

    facts = [
        {name: value for name, value in row.items() if value is not None and rng.random() < known}
        for row in (
            {
                **{name: float(rng.gamma(4.0, 10.0)) for name in NUMBERS},
                **{name: str(rng.choice(values)) for name, values in CATEGORIES.items()},
                **{name: bool(rng.random() < 0.7) for name in BOOLEANS},
                "owned": tuple(sorted(p for p in PRODUCTS if rng.random() < 0.3)),
            }
            for _ in range(rows)
        )
    ]
    return Requests(
        ids=[f"d{seed}-{i}" for i in range(rows)],
        customers=[f"{i:032x}" for i in range(rows)],
        channels=Coded(codes=rng.integers(0, 3, size=rows), values=CHANNELS),
        decided_at=T0 + np.arange(rows, dtype=np.float64),
        facts=Facts.from_rows(facts, CATALOGUE.facts),
        readable=rng.random(rows) < readable,
    )


def _as_dict(exploration: Exploration) -> dict[str, object]:
    return {name: getattr(exploration, name) for name in exploration.__struct_fields__}
