"""What was compared before the Telco policy's settings were chosen: `python -m experiments.telco_tuning [--repeats N]`.

Runs on the development worlds (seeds 1 to 10) only; every world that a result is reported on must be another one.
"""

import argparse
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import msgspec
import numpy as np

from bandit_nba.decide.policy import Exploration, Learning, Policy
from bandit_nba.settings import parse
from experiments.offline_loop import Pace, run
from experiments.offline_value import TrueValues, effective_sizes, true_values
from simulators.telco_workspace import telco_policy

DEVELOPMENT_SEEDS = tuple(range(1, 11))
DECISIONS = 20_000

FTRL: Mapping[str, float | bool | str] = {"ftrl": True, "ftrl_alpha": 0.005, "ftrl_beta": 1.0}
PACE = Pace()
CLOSE = Exploration(kind="squarecb", scale=1.0, floor=0.05)


@dataclass(frozen=True)
class Variant:
    """One line of the table: the Telco policy with other VW options, another exploration or another pace."""

    name: str
    options: Mapping[str, float | bool | str]
    exploration: Exploration = CLOSE
    pace: Pace = PACE

    def policy(self) -> Policy:
        """The policy of this variant."""
        base = parse(telco_policy(), Policy, where="policy.toml")
        return msgspec.structs.replace(base, learning=Learning(options=self.options), exploration=self.exploration)


def squarecb(scale: float, floor: float, *, exponent: float = 0.5) -> Exploration:
    """SquareCB with these settings."""
    return Exploration(kind="squarecb", scale=scale, exponent=exponent, floor=floor)


VARIANTS: tuple[Variant, ...] = (
    Variant("chosen: ftrl .005/1, scale 1, floor .05", FTRL),
    Variant("VW's defaults (learning rate .5)", {}),
    Variant("learning rate .1", {"learning_rate": 0.1}),
    Variant("learning rate .05", {"learning_rate": 0.05}),
    Variant("learning rate .08, power_t .7", {"learning_rate": 0.08, "power_t": 0.7}),
    Variant("learning rate .05, power_t 0", {"learning_rate": 0.05, "power_t": 0.0}),
    Variant("sgd, learning rate .01", {"sgd": True, "learning_rate": 0.01}),
    Variant("coin", {"coin": True}),
    Variant("ftrl .002/1", {**FTRL, "ftrl_alpha": 0.002}),
    Variant("ftrl .02/1", {**FTRL, "ftrl_alpha": 0.02}),
    Variant("ftrl .1/1", {**FTRL, "ftrl_alpha": 0.1}),
    Variant("no linear terms of the customer", {**FTRL, "ignore_linear": "U"}),
    Variant("scale 1, floor .1", FTRL, squarecb(1.0, 0.1)),
    Variant("scale 2, floor .05", FTRL, squarecb(2.0, 0.05)),
    Variant("scale 2, floor .2", FTRL, squarecb(2.0, 0.2)),
    Variant("scale 10, floor .05", FTRL, squarecb(10.0, 0.05)),
    Variant("scale 10, exponent .25, floor .05", FTRL, squarecb(10.0, 0.05, exponent=0.25)),
    Variant("epsilon .2, no floor", FTRL, Exploration(kind="epsilon_greedy", epsilon=0.2, floor=0.0)),
    Variant("uniform", FTRL, Exploration(kind="uniform")),
    Variant("250 decisions a second", FTRL, pace=Pace(per_s=250.0)),
    Variant("1,000 decisions a second", FTRL, pace=Pace(per_s=1_000.0)),
    Variant("2,000 decisions a second", FTRL, pace=Pace(per_s=2_000.0)),
)


@dataclass(frozen=True)
class Line:
    """What a variant reached over all runs. sizes: effective sample sizes of uniform, best fixed, learned (runs, 3)."""

    values: Sequence[TrueValues]
    sizes: np.ndarray

    def __str__(self) -> str:
        closed = np.array([v.closed for v in self.values])
        lift = np.array([v.lift for v in self.values])
        online = np.mean([v.online_closed for v in self.values])
        fixed, learned = self.sizes[:, 1], self.sizes[:, 2]
        return (
            f"{closed.mean():6.3f} {closed.std():6.3f} {closed.min():6.3f}  {lift.mean():5.2f} {lift.min():5.2f}  "
            f"{online:6.3f}  {self.sizes[:, 0].mean():6.0f} {fixed.mean():5.0f} {fixed.min():5.0f} "
            f"{learned.mean():6.0f}"
        )


HEADER = (
    f"{'':42s} closed     sd    min   lift   min  online  ESS: uniform fixed  (min) learned\n"
    f"{'':42s} closed: share of the gap from uniform to oracle that the frozen greedy policy closes; lift: over the\n"
    f"{'':42s} best fixed action; online: closed by the deciding policy in the last 30 %"
)


def line(variant: Variant, *, repeats: int, seeds: Sequence[int] = DEVELOPMENT_SEEDS) -> Line:
    """Play a variant in every development world, `repeats` times each."""
    policy = variant.policy()
    values, sizes = [], []
    for seed in seeds:
        for repeat in range(repeats):
            result = run(world_seed=seed, n_decisions=DECISIONS, policy=policy, rng_seed=repeat, pace=variant.pace)
            values.append(true_values(result))
            sizes.append(effective_sizes(result))
    return Line(values=values, sizes=np.array(sizes))


def main() -> None:
    """Print the table, a line per variant."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=3, help="runs per world and variant (default 3)")
    repeats = parser.parse_args().repeats
    print(HEADER)
    for variant in VARIANTS:
        print(f"{variant.name:42s} {line(variant, repeats=repeats)}", flush=True)


if __name__ == "__main__":
    main()
