"""Real impressions replayed: the Open Bandit Dataset sample as a world whose answers are a shop's own customers'.

Rejection sampling (Li, Chu, Langford & Wang 2011, "replay"): the log's policy was uniform, so the impressions on which
a policy agrees with it are an unbiased sample of what that policy would have met. Nothing is made up; the price is that
of n impressions only about n / K are kept, and that no q(x, a) is known: this world has no truth and is no `World`.

Needs a log of the uniform policy (`logger = "random"`); one of another policy would need importance weights and is
refused.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from bandit_nba.decide.columns import Floats, Ints
from bandit_nba.errors import InputError, RefusedError

Decide = Callable[[Floats, np.random.Generator], Ints]
"""From contexts (n, d) to the items chosen, int64 (n,)."""
Learn = Callable[[Floats, Ints, Floats], None]
"""Told the kept contexts, items and clicks."""


@dataclass(frozen=True)
class LoggedImpressions:
    """A uniform log in time order: contexts (N, d), the item shown (N,), of `items`, and whether it was clicked (N,).

    propensity: the logged probability of the item, (N,).
    """

    contexts: Floats
    item: Ints
    click: Floats
    propensity: Floats
    items: int


@dataclass(frozen=True)
class Replayed:
    """What a policy met: which impressions were kept, and their clicks. rate: kept share; about 1 / K."""

    kept: Ints
    click: Floats
    offered: int

    @property
    def rate(self) -> float:
        """Share of the impressions that were kept."""
        return len(self.kept) / self.offered

    @property
    def value(self) -> float:
        """Mean clicks per impression kept: an unbiased estimate of the policy's value where it does not learn.

        Raises
        ------
        RefusedError
            If nothing was kept.
        """
        if not len(self.kept):
            raise RefusedError("no impression was kept", where="replay", got=0, hint="a longer log is needed")
        return float(self.click.mean())


class ReplayObd:
    """A uniform log as a world; `batch` impressions are decided together, the kept ones are then learned.

    Raises
    ------
    InputError
        If the log is not uniform, or its arrays differ in length.
    """

    name = "replay-obd"

    def __init__(self, log: LoggedImpressions) -> None:
        n = len(log.item)
        if not (len(log.contexts) == len(log.click) == len(log.propensity) == n):
            raise InputError("differ in length", where="log", got=n)
        if n and not np.allclose(log.propensity, 1.0 / log.items, rtol=1e-6):
            got = float(log.propensity[np.abs(log.propensity - 1.0 / log.items).argmax()])
            raise InputError("is not uniform", where="log.propensity", got=got, allowed=f"1 / {log.items} everywhere")
        self.log = log

    def play(
        self, decide: Decide, *, rng: np.random.Generator, learn: Learn | None = None, batch: int = 500
    ) -> Replayed:
        """Go through the log once; a policy sees an impression's context and never an item that it did not choose."""
        if batch < 1:
            raise InputError("is out of range", where="batch", got=batch, allowed="1 or more")
        log = self.log
        kept: list[Ints] = []
        for low in range(0, len(log.item), batch):
            rows = np.arange(low, min(low + batch, len(log.item)))
            chosen = np.asarray(decide(log.contexts[rows], rng))
            if chosen.shape != rows.shape:
                allowed = f"one item for each context, ({len(rows)},)"
                raise InputError("has another shape", where="decide", got=chosen.shape, allowed=allowed)
            agree = rows[chosen == log.item[rows]]
            if learn is not None and len(agree):
                learn(log.contexts[agree], log.item[agree], log.click[agree])
            kept.append(agree)
        found = np.concatenate(kept) if kept else np.empty(0, dtype=np.int64)
        return Replayed(kept=found, click=log.click[found], offered=len(log.item))


def replay_obd(*, campaign: str = "all") -> ReplayObd:
    """The sample's uniform log of a campaign (all, men or women), fetched by name where it is not there yet.

    Raises
    ------
    InputError
        If there is no such campaign.
    RefusedError
        If the sample cannot be fetched.
    """
    # the one place where a world needs the experiments' reader of that sample; loaded only when it is asked for
    from experiments.ope.open_bandit_data import CAMPAIGNS, cache_folder, impressions, open_package

    if campaign not in CAMPAIGNS:
        raise InputError("no such campaign", where="campaign", got=campaign, allowed=", ".join(CAMPAIGNS))
    log = impressions(open_package(cache_folder()), logger="random", campaign=campaign)
    item = log.item.astype(np.int64)
    return ReplayObd(LoggedImpressions(log.features, item, log.click, log.propensity, log.items))
