"""The Telco world: 7,043 real customers who respond to offers by a random, calibrated, exactly known law."""

from functools import lru_cache

import numpy as np

from bandit_nba.catalogue import Catalogue
from bandit_nba.catalogue.rules import compile_rules
from bandit_nba.decide.batch import Requests
from bandit_nba.decide.columns import Bools, Coded, Floats, Ints
from bandit_nba.decide.eligibility.stages import eligible
from bandit_nba.errors import InputError
from simulators.calibration import Calibration, calibrate, responses
from simulators.delays import Delays
from simulators.tastes import TasteKind, utilities
from simulators.telco_catalogue import CHANNEL, telco_arms_catalogue
from simulators.telco_population import telco_customers
from simulators.world import Customers

BEST_FIXED = (0.10, 0.14)  # mean response of the best fixed action; each seed draws its own from this range
RATIO = (1.8, 2.0)  # oracle / best fixed
APPEAL = 0.6  # an arm's own level is within +- this, in logits
BREADTH = 1.0  # and grows with the logarithm of its eligible share: what suits everybody is the strong fixed rival


class TelcoWorld:
    """One seed's world; equal seed and options give equal arrays and, with an equal `rng`, equal draws.

    horizon_s: the reward definition's wait in seconds; every response comes within it. kind: the form of the tastes.
    Everything random about the world is drawn here, before any learner sees it; "no action" earns nothing.
    """

    name = "telco"

    def __init__(self, *, seed: int, horizon_s: float = 3.0, kind: TasteKind | None = None) -> None:
        if seed < 0:
            raise InputError("is out of range", where="seed", got=seed, allowed="0 or more")
        rng = np.random.default_rng([0x7E1C0, seed])
        self.seed = seed
        self.customers: Customers = telco_customers()
        self.catalogue: Catalogue = telco_arms_catalogue()
        self.eligible: Bools = telco_eligible()
        self.delays = Delays(horizon_s=horizon_s)
        targets = {"best_fixed": rng.uniform(*BEST_FIXED), "ratio": rng.uniform(*RATIO)}
        appeal = rng.uniform(-APPEAL, APPEAL, len(self.catalogue.arms))
        appeal += BREADTH * np.log(self.eligible.mean(axis=0))
        utility = utilities(rng, self.customers.facts, self.catalogue.arms, self.eligible, kind=kind or TasteKind())
        self.calibration: Calibration = calibrate(appeal, utility, self.eligible, **targets)
        self.q: Floats = responses(self.calibration.level, self.calibration.heterogeneity, appeal, utility)
        self.q.flags.writeable = False

    def sample_customers(self, rng: np.random.Generator, n: int) -> Ints:
        """Who asks next: int64 (n,), uniform with replacement."""
        return rng.integers(0, len(self.customers), size=n)

    def respond(self, rng: np.random.Generator, customer_index: Ints, arm_index: Ints) -> tuple[Bools, Floats]:
        """Whether each customer accepts (n,), and after how many seconds (n,), NaN without a response.

        Three uniforms per row are drawn whatever the arms, so that two policies can meet the same chances.
        """
        accepted = rng.random(len(customer_index)) < self.q[customer_index, arm_index]
        delay_s = self.delays.sample(rng, len(customer_index))
        return accepted, np.where(accepted, delay_s, np.nan)

    def requests(self, customer_index: Ints, *, ids: list[str], decided_at: Floats) -> Requests:
        """Requests of these customers on the world's channel, as the library takes them."""
        return Requests(
            ids=ids,
            customers=[self.customers.ids[i] for i in customer_index],
            channels=Coded(codes=np.zeros(len(ids), dtype=np.int64), values=(CHANNEL,)),
            decided_at=decided_at,
            facts=self.customers.facts_of(customer_index),
            readable=np.ones(len(ids), dtype=np.bool_),
        )


@lru_cache(maxsize=1)
def telco_eligible() -> Bools:
    """Which arms the catalogue's rules leave each customer, bool (customers, K); the same for every seed."""
    customers, catalogue = telco_customers(), telco_arms_catalogue()
    n = len(customers)
    everyone = Requests(
        ids=customers.ids,
        customers=customers.ids,
        channels=Coded(codes=np.zeros(n, dtype=np.int64), values=(CHANNEL,)),
        decided_at=np.zeros(n),
        facts=customers.facts,
        readable=np.ones(n, dtype=np.bool_),
    )
    mask = eligible(catalogue, compile_rules(catalogue), everyone).mask
    mask.flags.writeable = False
    return mask
