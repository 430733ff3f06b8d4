"""fatigue-trap: does patience pay? `python -m simulators.journey.trap`; the assumptions stand in docs/worlds.md.

The myopic policy takes the action that brings most money at once; the patient one does so only above a price per
contact of w (1 + F). w is chosen on one replication of the chances and judged on others, against the myopic policy,
customer by customer with common random numbers. No other policy is tried.
"""

import sys
from dataclasses import dataclass
from typing import get_args

import numpy as np

from simulators.journey.named import Wear, fatigue_trap
from simulators.journey.rollout import Value, mean_of, myopic_money, nothing, patient, play

PRICES = (0.0, 0.25, 0.5, 1.0, 2.0, 4.0)
CHOSEN_ON = 1_000  # the replication on which w is chosen
JUDGED_ON = 2  # replications 0, 1


@dataclass(frozen=True)
class Judged:
    """Money a customer over the whole episode; gain: patient less myopic; lift: gain over the myopic value."""

    wear: Wear
    price: float
    myopic: float
    patient: float
    nothing: float
    gain: Value
    lift: float
    contacts: tuple[float, float]


def judge(wear: Wear, *, seed: int = 1, n: int = 10_000, steps: int | None = None) -> Judged:
    """One setting of the world."""
    world = fatigue_trap(seed=seed, wear=wear)
    tried = {
        w: play(world, patient(w), n=max(n // 4, 500), steps=steps, replication=CHOSEN_ON).value.mean for w in PRICES
    }
    price = max(tried, key=lambda w: tried[w])
    sums = {"myopic": np.zeros(n), "patient": np.zeros(n), "nothing": np.zeros(n)}
    contacts = {"myopic": 0.0, "patient": 0.0}
    for replication in range(JUDGED_ON):
        for name, policy in (("myopic", myopic_money), ("patient", patient(price)), ("nothing", nothing)):
            played = play(world, policy, n=n, steps=steps, replication=replication)
            sums[name] += played.money / JUDGED_ON
            if name in contacts:
                contacts[name] += float(played.by_step["contacts"].mean()) / JUDGED_ON
    gain = mean_of(sums["patient"] - sums["myopic"])
    myopic = float(sums["myopic"].mean())
    return Judged(
        wear=wear,
        price=price,
        myopic=myopic,
        patient=float(sums["patient"].mean()),
        nothing=float(sums["nothing"].mean()),
        gain=gain,
        lift=gain.mean / myopic,
        contacts=(contacts["myopic"], contacts["patient"]),
    )


def main() -> None:
    """Print the table of docs/worlds.md."""
    out = sys.stdout
    out.write(
        "| wear | w | myopic | patient | nothing | patient - myopic (95 %) | lift | contacts a week |\n"
        "|---|---|---|---|---|---|---|---|\n"
    )
    for wear in get_args(Wear):
        j = judge(wear)
        low, high = j.gain.interval
        out.write(
            f"| {wear} | {j.price:g} | {j.myopic:.1f} | {j.patient:.1f} | {j.nothing:.1f} | "
            f"{j.gain.mean:+.1f} ({low:+.1f} to {high:+.1f}) | {j.lift:+.1%} | "
            f"{j.contacts[0]:.2f}, {j.contacts[1]:.2f} |\n"
        )
        out.flush()


if __name__ == "__main__":
    main()
