"""The state of N customers as a struct of arrays; a step of the world changes it in place."""

from dataclasses import dataclass, fields

import numpy as np

from bandit_nba.decide.columns import Bools, Floats, Ints
from simulators.journey.draws import Streams


@dataclass
class State:
    """What customers are like now, before the decision of step `t`; arrays (N,).

    Fixed: customer (their numbers), stream (their chances), profile (row of the population), persona, kind (uplift
    type), rate and leave and amount (BG/NBD and Gamma-Gamma), theta (sBG).
    Changing: stage; since, joined, last_purchase (step numbers, negative before the start); purchases; alive (false
    once BG/NBD has them gone); owned (bits of products); margin (money a week); fatigue; contacts (bit j: contacted
    j + 1 steps ago); consent (bits of channels); event (open life event, 0 for none); issue (an open trouble);
    event_until, protected (the first step without).
    Of the moment: channel, hour; reachable; code (what tables of stage, channel, event and trouble are asked by).
    """

    t: int
    customer: Ints
    stream: Streams
    profile: Ints
    persona: Ints
    kind: Ints
    rate: Floats
    leave: Floats
    amount: Floats
    theta: Floats
    stage: Ints
    since: Ints
    joined: Ints
    last_purchase: Ints
    purchases: Ints
    alive: Bools
    owned: Ints
    margin: Floats
    fatigue: Floats
    contacts: Ints
    consent: Ints
    event: Ints
    event_until: Ints
    issue: Bools
    protected: Ints
    channel: Ints
    hour: Ints
    reachable: Bools
    code: Ints

    def __len__(self) -> int:
        return len(self.customer)

    def copy(self) -> "State":
        """The same customers at the same moment, to be played otherwise."""
        return State(self.t, *(getattr(self, name).copy() for name in ARRAYS))

    def rows(self, start: int, stop: int) -> "State":
        """Customers start..stop as views: what changes here changes there."""
        return State(self.t, *(getattr(self, name)[start:stop] for name in ARRAYS))

    def at(self, which: Ints) -> "State":
        """Copies of the customers named, in that order; one may stand there more than once."""
        return State(self.t, *(getattr(self, name)[which] for name in ARRAYS))

    @property
    def bytes(self) -> int:
        """Memory of the arrays."""
        return int(sum(getattr(self, name).nbytes for name in ARRAYS))

    def digest_arrays(self) -> list[np.ndarray[tuple[int, ...], np.dtype[np.generic]]]:
        """All arrays in order, for checks that two states are equal bit for bit."""
        return [getattr(self, name) for name in ARRAYS]


ARRAYS = tuple(field.name for field in fields(State) if field.name != "t")
